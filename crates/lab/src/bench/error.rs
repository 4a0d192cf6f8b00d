//! Why a run has no result.

use std::io;
use std::time::Duration;

use avro_schemas::{EncodeError, RegistryError};
use kafka::topics::TopicError;
use kafka::transaction::TransactionError;
use rdkafka::error::KafkaError;
use service::ConfigError;

use fleet::ProcessError;

/// What can go wrong while measuring.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The configuration can't work.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The settings of Kafka can't work.
    #[error(transparent)]
    Kafka(#[from] kafka::ConfigError),
    /// The topics can't be made.
    #[error(transparent)]
    Topics(#[from] TopicError),
    /// The schemas can't be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A trip can't be written as Avro.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A client can't do its work.
    #[error("{doing}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// The pass-through's transactions fail.
    #[error("passing through: {0}")]
    Transaction(#[from] TransactionError),
    /// The service can't be measured.
    #[error(transparent)]
    Process(ProcessError),
    /// The operating system refused something.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// The pass-through gets no rows.
    #[error("passing through: no row came for {after:?}, after {rows} of {all}")]
    LimitStuck {
        /// How long it was waited for.
        after: Duration,
        /// Rows read.
        rows: u64,
        /// Rows there are.
        all: u64,
    },
    /// Trips that were sent are not joined.
    #[error("{joined} of {trips} trips were joined, and no more for {after:?}")]
    NotJoined {
        /// Trips whose joined row was read.
        joined: usize,
        /// Trips there are.
        trips: usize,
        /// How long it was waited for.
        after: Duration,
    },
    /// The API answered something else.
    #[error("the API did not answer what it was asked for: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
    /// The API does not answer.
    #[error("the API has not answered for {after:?}")]
    NoAnswer {
        /// How long it was waited for.
        after: Duration,
    },
    /// Kafka does not hold what was answered.
    #[error("{trips} trips were answered, but {topic} holds {rows} rows")]
    Count {
        /// The topic.
        topic: String,
        /// Rows in it.
        rows: i64,
        /// Trips that were answered, with one row each for the topic.
        trips: u64,
    },
    /// Stopping was asked for.
    #[error("interrupted")]
    Interrupted,
}

impl From<ProcessError> for BenchError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted => Self::Interrupted,
            error => Self::Process(error),
        }
    }
}

impl BenchError {
    /// What librdkafka says to what was being done.
    pub(super) fn client(doing: &'static str) -> impl Fn(KafkaError) -> Self {
        move |source| Self::Client { doing, source }
    }

    /// What the operating system says to what was being done.
    pub(super) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}
