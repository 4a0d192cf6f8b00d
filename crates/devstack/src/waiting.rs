//! JoinGroup and SyncGroup requests that wait for other members of their group.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::group::{GroupAnswer, Ticket};

/// The requests that wait, by ticket.
#[derive(Debug, Default)]
pub(crate) struct WaitingRequests(Mutex<HashMap<Ticket, oneshot::Sender<GroupAnswer>>>);

impl WaitingRequests {
    /// Registers a request. Its answer will come through the returned channel.
    pub(crate) fn wait(&self, ticket: Ticket) -> oneshot::Receiver<GroupAnswer> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, sender);
        receiver
    }

    /// Sends answers to the requests that wait for them. The answer to a closed connection is dropped.
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
