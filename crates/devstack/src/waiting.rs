//! Requests that are answered when other members of their group have done their part.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::group::{GroupAnswer, Ticket};

/// Who waits for which ticket's answer.
#[derive(Debug, Default)]
pub(crate) struct WaitingRequests(Mutex<HashMap<Ticket, oneshot::Sender<GroupAnswer>>>);

impl WaitingRequests {
    /// Where the answer for `ticket` will come.
    pub(crate) fn wait(&self, ticket: Ticket) -> oneshot::Receiver<GroupAnswer> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, sender);
        receiver
    }

    /// Hands answers to those who wait for them. One whose connection is gone has no use for its answer.
    pub(crate) fn answer(&self, answers: Vec<(Ticket, GroupAnswer)>) {
        if answers.is_empty() {
            return;
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (ticket, answer) in answers {
            if let Some(sender) = waiting.remove(&ticket) {
                let _ = sender.send(answer);
            }
        }
    }
}
