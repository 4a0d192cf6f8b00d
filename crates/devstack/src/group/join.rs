//! JoinGroup (Kafka's `GroupMetadataManager.classicGroupJoinToClassicGroup`).

use kafka_protocol::ResponseError;

use super::answer::{Effects, JoinedGroup, JoinedMember, Ticket};
use super::classic::{Group, GroupState};
use super::member::Member;
use super::request::Join;
use crate::clock::Millis;

/// A new member may wait this long in its first JoinGroup
/// (`GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_JOIN_TIMEOUT: Millis = 5 * 60 * 1000;

impl Group {
    pub(super) fn join(&mut self, join: Join, ticket: Ticket, now: Millis, effects: &mut Effects) {
        if !self.supports(&join.protocol_type, &join.protocols) {
            effects.refuse(ticket, ResponseError::InconsistentGroupProtocol, join.member_id);
        } else if join.member_id.is_empty() {
            self.join_first(join, ticket, now, effects);
        } else {
            self.join_again(join, ticket, now, effects);
        }
    }

    fn join_first(&mut self, join: Join, ticket: Ticket, now: Millis, effects: &mut Effects) {
        let instance_id = join.instance_id.as_deref();
        let known =
            instance_id.and_then(|id| self.static_member(id)).map(|member| member.id.clone());
        if let Some(known) = known {
            self.take_over(&known, join, ticket, now, effects);
        } else if join.returns_with_member_id && join.instance_id.is_none() {
            self.promised.insert(join.fresh_member_id.clone(), now + join.session_timeout);
            effects.refuse(ticket, ResponseError::MemberIdRequired, join.fresh_member_id);
        } else {
            let id = join.fresh_member_id.clone();
            self.admit(id, join, ticket, now, effects);
        }
    }

    fn join_again(&mut self, join: Join, ticket: Ticket, now: Millis, effects: &mut Effects) {
        let id = join.member_id.clone();
        if self.promised.contains_key(&id) {
            // Only dynamic members are assigned ids in advance.
            if join.instance_id.is_some() {
                return effects.refuse(ticket, ResponseError::UnknownServerError, id);
            }
            return self.admit(id, join, ticket, now, effects);
        }
        if let Err(error) = self.check_member(&id, join.instance_id.as_deref()) {
            return effects.refuse(ticket, error, id);
        }
        let is_unchanged = self.members[&id].protocols == join.protocols;
        let goes_on = match self.state {
            GroupState::Empty | GroupState::PreparingRebalance { .. } => false,
            // The answer to its earlier request may have been lost.
            GroupState::CompletingRebalance => is_unchanged,
            // A leader may join again because of something else, such as new partitions of a topic.
            GroupState::Stable => is_unchanged && !self.is_leader(&id),
        };
        if goes_on {
            effects.admit(ticket, self.place_of(&id));
        } else {
            self.update(&id, join, ticket, effects);
            self.rebalance(now, effects);
        }
    }

    fn admit(
        &mut self,
        id: String,
        mut join: Join,
        ticket: Ticket,
        now: Millis,
        effects: &mut Effects,
    ) {
        let protocol_type = std::mem::take(&mut join.protocol_type);
        // A new member doesn't know its id yet, so it can't send heartbeats, and nobody notices if it is gone. Without
        // a time limit, retries would leave members behind.
        let member = Member::new(id, join, ticket, now + NEW_MEMBER_JOIN_TIMEOUT);
        self.add(member, protocol_type);
        self.rebalance(now, effects);
    }

    /// A known static member joins again without its member id (KIP-345).
    fn take_over(
        &mut self,
        old_id: &str,
        join: Join,
        ticket: Ticket,
        now: Millis,
        effects: &mut Effects,
    ) {
        let id = join.fresh_member_id.clone();
        let skips_assignment = join.skips_assignment;
        let led_by = self.leader.clone();
        self.replace_static(old_id, join, effects);
        self.member(&id).renew_session(now);

        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol => {
                self.store(effects);
                let mut joined = self.place_of(&id);
                if skips_assignment {
                    joined.skip_assignment = self.is_leader(&id);
                } else {
                    // A client that doesn't know `skip_assignment` must not believe that it is the leader.
                    joined.leader = led_by.unwrap_or_default();
                    joined.members.clear();
                }
                effects.admit(ticket, joined);
            }
            // In CompletingRebalance the leader may be making assignments for the old id.
            _ => {
                self.member(&id).joining = Some(ticket);
                self.rebalance(now, effects);
            }
        }
    }

    fn update(&mut self, id: &str, join: Join, ticket: Ticket, effects: &mut Effects) {
        let member = self.member(id);
        member.update(join);
        // Kafka never answers the earlier request, whose connection is probably closed. Answering it leaves no waiting
        // request behind.
        if let Some(earlier) = member.joining.replace(ticket) {
            effects.refuse(earlier, ResponseError::RebalanceInProgress, id);
        }
    }

    /// The member's place in the current generation.
    pub(super) fn place_of(&self, id: &str) -> JoinedGroup {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let as_joined = |member: &Member| JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        let members = self.members.values().filter(|_| self.is_leader(id));
        JoinedGroup {
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: members.map(as_joined).collect(),
        }
    }
}
