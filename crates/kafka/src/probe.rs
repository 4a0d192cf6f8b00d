//! Whether the cluster can be reached, for health checks.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use crate::{ConfigError, KafkaConfig, LogContext};

/// Asks the cluster for its metadata over a connection of its own.
#[derive(Clone)]
pub struct Probe {
    servers: Arc<str>,
    client: Arc<BaseConsumer<LogContext>>,
}

/// Why a probe could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The configuration can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka refused the configuration.
    #[error("creating a Kafka client: {0}")]
    Client(#[from] KafkaError),
}

impl Probe {
    /// A probe of the cluster of `config`. Doesn't connect yet.
    ///
    /// # Errors
    ///
    /// [`ProbeError`] if the configuration can't work.
    pub fn new(config: &KafkaConfig) -> Result<Self, ProbeError> {
        let client = config.client()?.create_with_context(LogContext::default())?;
        let servers = config.bootstrap_servers.as_str().into();
        Ok(Self { servers, client: Arc::new(client) })
    }

    /// Whether a broker answers within `timeout`.
    ///
    /// # Errors
    ///
    /// A line that says who did not answer and why, for people.
    pub async fn check(&self, timeout: Duration) -> Result<(), String> {
        let probe = self.clone();
        let check = tokio::task::spawn_blocking(move || probe.check_blocking(timeout));
        check.await.expect("asking for metadata doesn't panic")
    }

    /// As [`Probe::check`], for a thread that may block.
    ///
    /// # Errors
    ///
    /// As [`Probe::check`].
    pub fn check_blocking(&self, timeout: Duration) -> Result<(), String> {
        // One topic that most clusters have: all that is wanted is an answer, and a small one.
        let answer = self.client.fetch_metadata(Some("__consumer_offsets"), timeout);
        // Without being polled, the client would hoard its log lines.
        while self.client.poll(Duration::ZERO).is_some() {}
        match answer {
            Ok(metadata) if !metadata.brokers().is_empty() => Ok(()),
            Ok(_) => Err(format!("Kafka at {} names no brokers", self.servers)),
            Err(error) => Err(format!("Kafka at {} does not answer: {error}", self.servers)),
        }
    }
}
