//! Why a transaction was not committed, or is not known to be.

/// What became of the transaction, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionFailure {
    /// Kafka refuses it.
    #[error("Kafka refused the transaction, nothing was produced: {0}")]
    Refused(String),
    /// Time ran out before it was to be committed.
    #[error("the transaction was not complete in time, nothing was produced: {0}")]
    TimedOut(String),
    /// Time ran out after Kafka had been asked to commit it.
    #[error(
        "Kafka did not say in time whether the transaction was committed: the records of this request are all there, \
         or none of them: {0}"
    )]
    Unknown(String),
    /// As [`TransactionFailure::Unknown`], but there is a way to find out.
    #[error(
        "Kafka did not say in time whether the transaction was committed: the records of this request are all there, \
         or none of them; to find out, send it again with the same Idempotency-Key: {0}"
    )]
    UnknownUntilSentAgain(String),
}

impl TransactionFailure {
    /// Whether the records of the request were written; `None` if nobody knows.
    pub(crate) const fn produced(&self) -> Option<bool> {
        match self {
            Self::Refused(_) | Self::TimedOut(_) => Some(false),
            Self::Unknown(_) | Self::UnknownUntilSentAgain(_) => None,
        }
    }
}
