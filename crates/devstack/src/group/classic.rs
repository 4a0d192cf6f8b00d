//! A group: its members, its generation and its protocol (Kafka's `ClassicGroup`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use super::answer::Effects;
use super::member::Member;
use super::options::GroupOptions;
use super::request::{Join, Protocol};
use super::subscription;
use crate::clock::Millis;
use crate::storage::{Change, Table};

/// The protocol type of consumers. The coordinator reads their metadata.
const CONSUMER: &str = "consumer";

/// The state of a group. Kafka's state `Dead` is a group that doesn't exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GroupState {
    /// It has no members, but may have offsets.
    #[default]
    Empty,
    /// It waits for the members to join, at most until this time.
    PreparingRebalance { until: Millis },
    /// It waits for the leader's assignments.
    CompletingRebalance,
    /// The members can get their assignments.
    Stable,
}

impl GroupState {
    /// Kafka's name of the state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance { .. } => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// Members of a generation that have not sent SyncGroup yet, and their deadline.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    pub(super) members: BTreeSet<String>,
    pub(super) until: Millis,
}

/// A group. It is stored when it is stable or empty. The skipped fields follow from the others then.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    #[serde(skip)]
    pub(super) id: String,
    #[serde(skip)]
    pub(super) state: GroupState,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    #[serde(with = "listed")]
    pub(super) members: BTreeMap<String, Member>,
    /// Member ids that were assigned but not used yet (KIP-394), and their deadlines.
    #[serde(skip)]
    pub(super) promised: BTreeMap<String, Millis>,
    #[serde(skip)]
    pub(super) unsynced: Unsynced,
    /// The topics that the consumers of the generation read. `None` if they are unknown.
    #[serde(skip)]
    subscribed: Option<BTreeSet<String>>,
}

impl Group {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Loads a group. The sessions of its members start again.
    pub(super) fn restore(id: String, json: &str, now: Millis) -> Result<Self, serde_json::Error> {
        let mut group: Self = serde_json::from_str(json)?;
        group.id = id;
        group.state = if group.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        group.subscribed = group.subscriptions();
        group.members.values_mut().for_each(|member| member.renew_session(now));
        Ok(group)
    }

    pub(super) fn store(&self, effects: &mut Effects) {
        effects.changes.push(Change::put(Table::Groups, &self.id, self));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state == GroupState::Empty
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members.values().find(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    pub(super) fn member(&mut self, id: &str) -> &mut Member {
        self.members.get_mut(id).expect("the caller has looked the member up")
    }

    /// Checks that there is such a member, and that it has this instance id.
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        if let Some(instance_id) = instance_id {
            let member = self.static_member(instance_id).ok_or(ResponseError::UnknownMemberId)?;
            if member.id != member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        self.members.get(member_id).map(|_| ()).ok_or(ResponseError::UnknownMemberId)
    }

    /// Whether a member with these protocols fits to the others.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let offered = self.offered_by_all();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.members.is_empty() || offered.contains(protocol.name.as_str()))
    }

    /// The protocols that all members support.
    fn offered_by_all(&self) -> HashSet<&str> {
        let mut offers: HashMap<&str, usize> = HashMap::new();
        for member in self.members.values() {
            let names: HashSet<&str> =
                member.protocols.iter().map(|one| one.name.as_str()).collect();
            for name in names {
                *offers.entry(name).or_default() += 1;
            }
        }
        let by_all = offers.into_iter().filter(|(_, count)| *count == self.members.len());
        by_all.map(|(name, _)| name).collect()
    }

    /// Of the protocols that all members support, the one that most members prefer. Among equals, the one of the member
    /// with the first id, where Kafka chooses at random.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let offered = self.offered_by_all();
        let vote = |member: &Member| {
            let mut names = member.protocols.iter().map(|protocol| protocol.name.clone());
            names.find(|name| offered.contains(name.as_str()))
        };
        let votes: Vec<String> = self.members.values().filter_map(vote).collect();
        let count = |name: &String| votes.iter().filter(|vote| *vote == name).count();
        // `max_by_key` takes the last of equal ones, which is the first vote here.
        votes.iter().rev().max_by_key(|name| count(name)).cloned()
    }

    /// Checks the limits for the members' metadata and, for a new member, for the number of members (KIP-389).
    pub(super) fn check_room(
        &self,
        join: &Join,
        options: &GroupOptions,
    ) -> Result<(), ResponseError> {
        let others = self.members.values().filter(|member| member.id != join.member_id);
        let said: usize = others.map(|member| said(&member.protocols)).sum();
        let is_known = self.members.contains_key(&join.member_id)
            || self.promised.contains_key(&join.member_id)
            || join.instance_id.as_deref().is_some_and(|id| self.static_member(id).is_some());
        let is_full = self.members.len() + self.promised.len() >= options.max_members;
        if said + self::said(&join.protocols) > options.max_group_bytes || (is_full && !is_known) {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, member: Member, protocol_type: String) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type);
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.promised.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Removes a member. If it has a waiting request, that is answered with UNKNOWN_MEMBER_ID, so that a living client
    /// joins again.
    pub(super) fn remove(&mut self, member_id: &str, effects: &mut Effects) {
        self.unsynced.members.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        if let Some(ticket) = member.joining {
            effects.refuse(ticket, ResponseError::UnknownMemberId, "");
        }
        if let Some(ticket) = member.syncing {
            effects.sync(ticket, Err(ResponseError::UnknownMemberId));
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Gives a static member a new id, and fences the client with the old id (KIP-345).
    pub(super) fn replace_static(&mut self, old_id: &str, join: Join, effects: &mut Effects) {
        let new_id = join.fresh_member_id.clone();
        let mut member = self.members.remove(old_id).expect("a static member is a member");
        if let Some(ticket) = member.joining.take() {
            effects.refuse(ticket, ResponseError::FencedInstanceId, old_id);
        }
        if let Some(ticket) = member.syncing.take() {
            effects.sync(ticket, Err(ResponseError::FencedInstanceId));
        }
        if self.unsynced.members.remove(old_id) {
            self.unsynced.members.insert(new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        member.id.clone_from(&new_id);
        member.update(join);
        member.is_new = false;
        self.members.insert(new_id, member);
    }

    /// Keeps the leader if it has joined, or else chooses a member that has. `false` if no member has joined.
    pub(super) fn elect_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        let joined = self.members.values().find(|member| member.joining.is_some());
        let Some(joined) = joined else { return false };
        self.leader = Some(joined.id.clone());
        true
    }

    pub(super) fn begin_generation(&mut self) {
        self.generation += 1;
        self.protocol = self.select_protocol();
        self.subscribed = self.subscriptions();
        self.state = if self.members.is_empty() {
            GroupState::Empty
        } else {
            GroupState::CompletingRebalance
        };
        self.unsynced.members.clear();
    }

    pub(super) fn has_all_joined(&self) -> bool {
        self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// The time limit of a rebalance: the largest rebalance time-out of the members, and at least 1 ms, so that
    /// repeated timers make progress.
    pub(super) fn rebalance_timeout(&self) -> Millis {
        self.members.values().map(|member| member.rebalance_timeout).fold(1, Millis::max)
    }

    pub(super) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether the group reads a topic. Consumers with unknown topics may read any.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    fn subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let Some(protocol) = &self.protocol else {
            return self.members.is_empty().then(BTreeSet::new);
        };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }
}

/// The approximate size of protocols in memory.
fn said(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|one| size_of::<Protocol>() + one.name.len() + one.metadata.len()).sum()
}

/// The stored form of members: a list, because each contains its id.
mod listed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Member;

    pub(super) fn serialize<S: Serializer>(
        members: &BTreeMap<String, Member>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(members.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Member>, D::Error> {
        let members = Vec::<Member>::deserialize(deserializer)?;
        Ok(members.into_iter().map(|member| (member.id.clone(), member)).collect())
    }
}
