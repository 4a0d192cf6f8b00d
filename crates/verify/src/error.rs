//! What keeps a verdict from being given.

use avro_schemas::RegistryError;
use kafka::topics::TopicError;
use service::with_causes;

use crate::consume::ConsumeError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A topic could not be read.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// The cluster could not be asked for its topics.
    #[error("{}", with_causes(.0))]
    Topics(#[from] TopicError),
    /// Rows of an output don't show because a transaction in front of them stays open.
    #[error("a transaction on {topic} stays open and hides rows; is a joiner hanging?")]
    OpenTransaction {
        /// The topic.
        topic: String,
    },
    /// The registry could not be asked for a schema: whether a row can be read is not known.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}
