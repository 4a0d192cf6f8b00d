//! The effects of calls to the coordinator: changes, and answers to waiting requests.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::storage::Change;

/// The number of a JoinGroup or SyncGroup request, whose answer may come from a later call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What to do after a call: first write the changes, then send the answers.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The changes to store, in this order.
    pub(crate) changes: Vec<Change>,
    /// Each ticket is answered exactly once.
    pub(crate) answers: Vec<(Ticket, GroupAnswer)>,
}

/// The answer to a request with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupAnswer {
    Join(JoinAnswer),
    Sync(SyncAnswer),
}

/// The member's place in the generation, or an error and its member id.
pub(crate) type JoinAnswer = Result<JoinedGroup, (ResponseError, String)>;

/// The member's assignment, or an error.
pub(crate) type SyncAnswer = Result<Synced, ResponseError>;

/// A member's place in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedGroup {
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    /// A leader that joins again and keeps the assignments must not make new ones (KIP-814).
    pub(crate) skip_assignment: bool,
    /// All members with their metadata, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

/// A member's assignment in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl Effects {
    pub(super) fn admit(&mut self, ticket: Ticket, joined: JoinedGroup) {
        self.answers.push((ticket, GroupAnswer::Join(Ok(joined))));
    }

    pub(super) fn refuse(
        &mut self,
        ticket: Ticket,
        error: ResponseError,
        member_id: impl Into<String>,
    ) {
        self.answers.push((ticket, GroupAnswer::Join(Err((error, member_id.into())))));
    }

    pub(crate) fn sync(&mut self, ticket: Ticket, answer: SyncAnswer) {
        self.answers.push((ticket, GroupAnswer::Sync(answer)));
    }
}
