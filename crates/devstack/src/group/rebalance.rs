//! Rebalancing: from one generation to the next (Kafka's `prepareRebalance`, `completeClassicGroupJoin`,
//! `expirePendingSync`).

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::answer::Effects;
use super::classic::{Group, GroupState};
use crate::clock::Millis;

impl Group {
    /// Starts a rebalance if there is none, and completes it if all members have joined.
    ///
    /// The first generation of a group doesn't wait for clients that were only assigned a member id:
    /// `group.initial.rebalance.delay.ms` is 0 here.
    pub(super) fn rebalance(&mut self, now: Millis, effects: &mut Effects) {
        let is_first = self.state == GroupState::Empty;
        if !matches!(self.state, GroupState::PreparingRebalance { .. }) {
            self.withdraw_assignments(now, effects);
            self.unsynced.members.clear();
            self.state = GroupState::PreparingRebalance { until: now + self.rebalance_timeout() };
        }
        if is_first || self.has_all_joined() {
            self.complete_join(now, effects);
        }
    }

    /// Completes the rebalance, if there is one and all members have joined.
    pub(super) fn complete_join_if_all_are_there(&mut self, now: Millis, effects: &mut Effects) {
        if matches!(self.state, GroupState::PreparingRebalance { .. }) && self.has_all_joined() {
            self.complete_join(now, effects);
        }
    }

    /// Starts a generation with the members that have joined. Other dynamic members are removed. Static ones stay until
    /// their sessions end (KIP-345).
    pub(super) fn complete_join(&mut self, now: Millis, effects: &mut Effects) {
        self.members.retain(|_, member| member.joining.is_some() || member.instance_id.is_some());
        if self.leader.as_ref().is_some_and(|leader| !self.members.contains_key(leader)) {
            self.leader = self.members.keys().next().cloned();
        }
        if !self.elect_leader() && !self.members.is_empty() {
            self.state = GroupState::PreparingRebalance { until: now + self.rebalance_timeout() };
            return;
        }
        self.begin_generation();
        if self.members.is_empty() {
            return self.store(effects);
        }
        self.unsynced.until = now + self.rebalance_timeout();
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.place_of(&id);
            let member = self.member(&id);
            member.is_new = false;
            member.renew_session(now);
            if let Some(ticket) = member.joining.take() {
                effects.admit(ticket, joined);
            }
            self.unsynced.members.insert(id);
        }
    }

    /// Removes the members that have not asked for their assignments in time.
    pub(super) fn expire_syncs(&mut self, now: Millis, effects: &mut Effects) {
        for id in std::mem::take(&mut self.unsynced.members) {
            self.remove(&id, effects);
        }
        self.rebalance(now, effects);
    }

    /// Removes a member, and rebalances the others.
    pub(super) fn remove_and_rebalance(&mut self, id: &str, now: Millis, effects: &mut Effects) {
        self.remove(id, effects);
        self.rebalance(now, effects);
    }

    fn withdraw_assignments(&mut self, now: Millis, effects: &mut Effects) {
        if self.state != GroupState::CompletingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                effects.sync(ticket, Err(ResponseError::RebalanceInProgress));
                member.renew_session(now);
            }
        }
    }
}
