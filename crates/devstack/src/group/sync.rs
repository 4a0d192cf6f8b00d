//! SyncGroup (Kafka's `GroupMetadataManager.classicGroupSyncToClassicGroup`).

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::answer::{Effects, Synced, Ticket};
use super::classic::{Group, GroupState};
use super::member::Member;
use super::request::Sync;
use crate::clock::Millis;

impl Group {
    pub(super) fn sync(&mut self, sync: Sync, ticket: Ticket, now: Millis, effects: &mut Effects) {
        if let Err(error) = self.check_sync(&sync) {
            return effects.sync(ticket, Err(error));
        }
        self.unsynced.members.remove(&sync.member_id);
        if self.state == GroupState::Stable {
            let synced = self.assignment_of(&self.members[&sync.member_id]);
            return effects.sync(ticket, Ok(synced));
        }
        if let Some(earlier) = self.member(&sync.member_id).syncing.replace(ticket) {
            effects.sync(earlier, Err(ResponseError::RebalanceInProgress));
        }
        if self.is_leader(&sync.member_id) {
            self.assign(sync.assignments, now, effects);
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        self.check_member(&sync.member_id, sync.instance_id.as_deref())?;
        if sync.generation != self.generation {
            Err(ResponseError::IllegalGeneration)
        } else if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            Err(ResponseError::InconsistentGroupProtocol)
        } else if matches!(self.state, GroupState::PreparingRebalance { .. }) {
            Err(ResponseError::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    /// Stores the leader's assignments and answers the waiting members. A member that the leader has left out gets an
    /// empty assignment.
    fn assign(
        &mut self,
        mut assignments: HashMap<String, Bytes>,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.state = GroupState::Stable;
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
            if let Some(ticket) = member.syncing.take() {
                member.renew_session(now);
                waiting.push((ticket, id.clone()));
            }
        }
        self.store(effects);
        for (ticket, id) in waiting {
            effects.sync(ticket, Ok(self.assignment_of(&self.members[&id])));
        }
    }

    fn assignment_of(&self, member: &Member) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: member.assignment.clone(),
        }
    }
}
