//! The requests to the coordinator.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::hex;
use crate::clock::Millis;

/// The client that sent a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// The client id of the request's header.
    pub(crate) id: String,
    /// The address in Kafka's form: `/127.0.0.1`.
    pub(crate) host: String,
}

/// An assignment protocol that a member supports, with the member's metadata for the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    #[serde(with = "hex")]
    pub(crate) metadata: Bytes,
}

/// JoinGroup: a request to join a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join {
    pub(crate) group: String,
    /// Empty if the member has none yet.
    pub(crate) member_id: String,
    /// The id for a member without one.
    pub(crate) fresh_member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client: Client,
    pub(crate) session_timeout: Millis,
    pub(crate) rebalance_timeout: Millis,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
    /// The client sends the request again with the member id that it is given (KIP-394).
    pub(crate) returns_with_member_id: bool,
    /// The client understands an answer that makes it the leader without assignments to make (KIP-814).
    pub(crate) skips_assignment: bool,
}

/// SyncGroup: a request for the member's assignment. The leader's request contains all assignments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sync {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// Checked if present.
    pub(crate) protocol_type: Option<String>,
    /// Checked if present.
    pub(crate) protocol: Option<String>,
    /// By member id.
    pub(crate) assignments: HashMap<String, Bytes>,
}

/// A member in LeaveGroup. An administrator removes a static member by its instance id alone (KIP-345).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

/// OffsetCommit or TxnOffsetCommit: a request to commit offsets, at once or in a transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    pub(crate) group: String,
    /// Empty for a consumer outside of the group protocol. Then the generation is -1.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// The producer of the transaction, if there is one.
    pub(crate) producer_id: Option<i64>,
    pub(crate) offsets: Vec<NewOffset>,
}

/// An offset to commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewOffset {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// -1 if it is not known.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}
