//! Why a session ends.

use std::time::Duration;

use kafka::transaction::TransactionError;
use models::Partition;
use rdkafka::error::KafkaError;

use crate::changelog::RestoreFailure;

/// Why a session has ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// A step of a transaction failed.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// librdkafka can't make a client, or its consumer can't be used any more.
    #[error("{doing}")]
    Kafka { doing: &'static str, source: KafkaError },
    /// The state can't be restored.
    #[error(transparent)]
    Restore(#[from] RestoreFailure),
    /// A topic has more partitions than at the start of the process.
    #[error(
        "{topic} has got a partition {partition} while the joiner was running; start it again to have it read"
    )]
    Grown { topic: String, partition: Partition },
    /// The group has dropped us.
    #[error("the partitions were given to another joiner: ours was silent for too long")]
    AssignmentLost,
    /// A partition delivers nothing for an unknown reason.
    #[error(
        "{topic}/{partition} has delivered nothing for {after:.0?}, though there is more to read"
    )]
    Stalled { topic: String, partition: Partition, after: Duration },
}

impl SessionError {
    /// Whether another session would end in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Restore(failure) => failure.is_final(),
            Self::Kafka { source, .. } => {
                matches!(source, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_))
            }
            Self::Grown { .. } => true,
            Self::Transaction(_) | Self::AssignmentLost | Self::Stalled { .. } => false,
        }
    }
}

pub(super) fn kafka_error(doing: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |source| SessionError::Kafka { doing, source }
}
