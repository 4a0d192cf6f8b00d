//! What can go wrong with topics, and the time that the cluster is given.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::ConfigError;

/// How long one question to the cluster may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a created or deleted topic may take until all can see it.
pub(crate) const VISIBLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What can go wrong with topics.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The configuration can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka refused the configuration.
    #[error("creating a Kafka client for {servers}")]
    Client {
        /// The bootstrap servers.
        servers: String,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// The cluster did not answer, or not in time.
    #[error(
        "Kafka at {servers} does not tell its topics (does it run there? see kafka.bootstrap_servers)"
    )]
    Cluster {
        /// The bootstrap servers.
        servers: String,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// The cluster refused to create or delete a topic.
    #[error("could not {action} topic {topic}: {code}")]
    Refused {
        /// `create` or `delete`.
        action: &'static str,
        /// The topic.
        topic: String,
        /// Kafka's reason.
        code: RDKafkaErrorCode,
    },
    /// The cluster accepted it, but the topic did not (dis)appear in time.
    #[error(
        "topic {topic} was {action}d, but the cluster does not show it after {VISIBLE_TIMEOUT:?}"
    )]
    NotVisible {
        /// `create` or `delete`.
        action: &'static str,
        /// The topic.
        topic: String,
    },
}

impl TopicError {
    /// Whether the same call can succeed later without any change by the user: the cluster was out of reach
    /// or busy.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Config(_) | Self::Client { .. } => false,
            Self::Cluster { source, .. } => source.rdkafka_error_code().is_none_or(may_pass),
            Self::Refused { code, .. } => may_pass(*code),
            Self::NotVisible { .. } => true,
        }
    }
}

fn may_pass(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    !matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::SSL
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidConfig
            | Code::PolicyViolation
            | Code::TopicDeletionDisabled
    )
}
