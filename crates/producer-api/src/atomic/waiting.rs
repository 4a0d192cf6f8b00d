//! A request on its way to the thread that writes transactions, and there until it is answered.

use std::time::Instant;

use tokio::sync::oneshot;

use super::encoded_records::EncodedRecords;
use super::failure::TransactionFailure;
use crate::capacity::Room;
use crate::idempotency::KeyInUse;
use crate::idempotency::entry::KeyEntry;
use crate::idempotency::key::IdempotencyKey;

/// A request that waits for its transaction.
pub(crate) struct TransactionRequest {
    pub(crate) encoded: EncodedRecords,
    /// What to write with them so that they are written once.
    pub(crate) once: Option<(KeyInUse, KeyEntry)>,
    /// After this it isn't worth beginning.
    pub(crate) begin_by: Instant,
    /// When it must be answered.
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<WriteResult>,
    pub(crate) room: Room,
}

/// What became of a request with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done {
    /// It was written for this request.
    Now,
    /// It was done before, by the request of this entry. Two processes that begin at the same moment make equal entries,
    /// so the entry alone doesn't tell whose it is.
    Before(KeyEntry),
}

/// What became of a request; of one without a key there is nothing more to say than that it was written.
pub(crate) type WriteResult = Result<Option<Done>, TransactionFailure>;

/// A [`TransactionRequest`] on the writer's side of the channel.
pub(super) struct WaitingRequest {
    pub(super) encoded: EncodedRecords,
    pub(super) once: Option<(KeyInUse, KeyEntry)>,
    pub(super) begin_by: Instant,
    pub(super) deadline: Instant,
    /// Gone when it was answered before its fate was known.
    answer: Option<oneshot::Sender<WriteResult>>,
    /// Kafka was asked to commit it, and has not said whether it did.
    pub(super) in_doubt: bool,
    /// It shared a transaction that failed; it may be the one that is to blame.
    pub(super) alone: bool,
    _room: Room,
}

impl From<TransactionRequest> for WaitingRequest {
    fn from(request: TransactionRequest) -> Self {
        let TransactionRequest { encoded, once, begin_by, deadline, answer, room } = request;
        Self {
            encoded,
            once,
            begin_by,
            deadline,
            answer: Some(answer),
            in_doubt: false,
            alone: false,
            _room: room,
        }
    }
}

impl WaitingRequest {
    pub(super) fn key(&self) -> Option<&IdempotencyKey> {
        self.once.as_ref().map(|(running, _)| running.key())
    }

    /// Answers, after the key is free: who hears the answer may send it again at once.
    pub(super) fn finish(self, answer: WriteResult) {
        drop(self.once);
        if let Some(sender) = self.answer {
            // An error means that the client has gone.
            let _ = sender.send(answer);
        }
    }

    /// Answers that its fate is not known, and keeps its key in use.
    pub(super) fn leave_open(&mut self, reason: &str) {
        let Some(sender) = self.answer.take() else { return };
        let failure = if self.once.is_some() {
            TransactionFailure::UnknownUntilSentAgain(reason.to_owned())
        } else {
            TransactionFailure::Unknown(reason.to_owned())
        };
        let _ = sender.send(Err(failure));
    }

    pub(super) fn wants_nothing(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}
