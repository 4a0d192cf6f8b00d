//! A member of a group (Kafka's `ClassicGroupMember`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::answer::Ticket;
use super::hex;
use super::request::{Client, Join, Protocol};
use crate::clock::Millis;

/// A member. The skipped fields are reset when the process starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub(crate) instance_id: Option<String>,
    pub(crate) client: Client,
    pub(super) session_timeout: Millis,
    pub(super) rebalance_timeout: Millis,
    /// The supported protocols in the member's order of preference.
    pub(super) protocols: Vec<Protocol>,
    #[serde(with = "hex")]
    pub(crate) assignment: Bytes,
    /// The JoinGroup request that waits for other members.
    #[serde(skip)]
    pub(super) joining: Option<Ticket>,
    /// The SyncGroup request that waits for the leader's assignments.
    #[serde(skip)]
    pub(super) syncing: Option<Ticket>,
    /// It was in no generation yet.
    #[serde(skip)]
    pub(super) is_new: bool,
    /// The end of its session. `None` while it waits for an answer.
    #[serde(skip)]
    pub(super) session_ends: Option<Millis>,
}

impl Member {
    pub(super) fn new(id: String, join: Join, ticket: Ticket, session_ends: Millis) -> Self {
        Self {
            id,
            instance_id: join.instance_id,
            client: join.client,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
            is_new: true,
            session_ends: Some(session_ends),
        }
    }

    /// Takes over the settings of a repeated JoinGroup.
    pub(super) fn update(&mut self, join: Join) {
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
        self.protocols = join.protocols;
    }

    pub(super) fn renew_session(&mut self, now: Millis) {
        self.session_ends = Some(now + self.session_timeout);
    }

    /// Its metadata for `protocol`. Empty if it doesn't support that.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let offered = self.protocols.iter().find(|offered| offered.name == protocol);
        offered.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    /// Whether its session doesn't end now: a member that waits for an answer sends no heartbeats. A new member is not
    /// excused, because nobody would notice if it is gone (`ClassicGroupMember.hasSatisfiedHeartbeat`).
    pub(super) fn is_excused_from_heartbeats(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
