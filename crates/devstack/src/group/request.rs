//! What members ask of the coordinator.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::hex;
use crate::clock::Millis;

/// Who sent a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// The client id of the request's header.
    pub(crate) id: String,
    /// As Kafka shows it: `/127.0.0.1`.
    pub(crate) host: String,
}

/// A way to assign partitions that a member offers, with what its leader has to know of the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    #[serde(with = "hex")]
    pub(crate) metadata: Bytes,
}

/// A request to join a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join {
    pub(crate) group: String,
    /// Empty if it has none yet.
    pub(crate) member_id: String,
    /// The id that it is given if it needs one.
    pub(crate) fresh_member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client: Client,
    pub(crate) session_timeout: Millis,
    pub(crate) rebalance_timeout: Millis,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
    /// The client understands that it has to come back with the member id that it is given (KIP-394).
    pub(crate) returns_with_member_id: bool,
    /// The client understands that it leads and has nothing to assign (KIP-814).
    pub(crate) skips_assignment: bool,
}

/// A request for the member's assignment; the leader's brings everybody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sync {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// Checked if it is there.
    pub(crate) protocol_type: Option<String>,
    /// Checked if it is there.
    pub(crate) protocol: Option<String>,
    /// By member id.
    pub(crate) assignments: HashMap<String, Bytes>,
}

/// A member that leaves, or that an administrator takes out by its instance id alone (KIP-345).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

/// A request to commit offsets, at once or with a transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    pub(crate) group: String,
    /// Empty for a consumer that is in no group, and then the generation is -1.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// Whose transaction the offsets are part of.
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
