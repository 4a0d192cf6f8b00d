//! A coordinator, its stored changes and its answers.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::clock::Millis;
use crate::group::classic::GroupState;
use crate::group::{
    Client, Commit, Coordinator, Effects, GroupAnswer, GroupOptions, Join, JoinAnswer, JoinedGroup,
    Leaving, NewOffset, Protocol, Sync, SyncAnswer, Ticket,
};
use crate::storage::{Change, Table};

pub(super) const GROUP: &str = "group";
pub(super) const SESSION: Millis = 10_000;
pub(super) const REBALANCE: Millis = 60_000;

/// A coordinator, its storage, and the answers that have come.
pub(super) struct World {
    pub(super) coordinator: Coordinator,
    pub(super) now: Millis,
    pub(super) stored: HashMap<Table, BTreeMap<String, String>>,
    pub(super) answers: BTreeMap<Ticket, GroupAnswer>,
    tickets: u64,
    members: u32,
}

/// A consumer that understands everything and offers `range` and `roundrobin`.
pub(super) fn consumer() -> Join {
    Join {
        group: GROUP.to_owned(),
        client: Client { id: "client".to_owned(), host: "/127.0.0.1".to_owned() },
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range", "roundrobin"]),
        returns_with_member_id: true,
        skips_assignment: true,
        ..Join::default()
    }
}

pub(super) fn static_consumer(instance_id: &str) -> Join {
    Join { instance_id: Some(instance_id.to_owned()), ..consumer() }
}

/// Protocols by name, all with a subscription to the topic `trips`.
pub(super) fn protocols(names: &[&str]) -> Vec<Protocol> {
    let metadata = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05trips\xff\xff\xff\xff");
    let protocol = |name: &&str| Protocol { name: (*name).to_owned(), metadata: metadata.clone() };
    names.iter().map(protocol).collect()
}

pub(super) fn sync_of(joined: &JoinedGroup) -> Sync {
    Sync {
        group: GROUP.to_owned(),
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        protocol_type: joined.protocol_type.clone(),
        protocol: joined.protocol.clone(),
        ..Sync::default()
    }
}

/// An offset of `trips`.
pub(super) fn offset(partition: i32, offset: i64) -> NewOffset {
    NewOffset {
        topic: "trips".to_owned(),
        partition,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

/// A commit of somebody who is in no group.
pub(super) fn commit(offsets: Vec<NewOffset>) -> Commit {
    Commit { group: GROUP.to_owned(), generation: -1, offsets, ..Commit::default() }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            coordinator: Coordinator::default(),
            now: 1_000_000,
            stored: HashMap::new(),
            answers: BTreeMap::new(),
            tickets: 0,
            members: 0,
        }
    }

    /// The process ends and another takes up what is stored.
    pub(super) fn restart(&mut self) {
        let entries = |table| {
            self.stored.get(&table).cloned().unwrap_or_default().into_iter().collect::<Vec<_>>()
        };
        let (groups, offsets) = (entries(Table::Groups), entries(Table::Offsets));
        self.coordinator =
            Coordinator::load(GroupOptions::default(), groups, offsets, self.now).unwrap();
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn apply(&mut self, effects: Effects) {
        self.write(effects.changes);
        for (ticket, answer) in effects.answers {
            assert!(ticket.0 <= self.tickets, "{ticket:?} was never given out");
            let earlier = self.answers.insert(ticket, answer);
            assert!(earlier.is_none(), "{ticket:?} is answered twice: first {earlier:?}");
        }
    }

    pub(super) fn write(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { table, key, json } => {
                    self.stored.entry(table).or_default().insert(key, json);
                }
                Change::Delete { table, key } => {
                    self.stored.entry(table).or_default().remove(&key);
                }
                other => panic!("no group has batches: {other:?}"),
            }
        }
    }

    /// Sends a JoinGroup.
    pub(super) fn join(&mut self, mut join: Join) -> Ticket {
        let ticket = self.ticket();
        self.members += 1;
        join.fresh_member_id = format!("member-{:03}", self.members);
        let mut effects = Effects::default();
        self.coordinator.join(join, ticket, self.now, &mut effects);
        self.apply(effects);
        ticket
    }

    /// Sends a JoinGroup without member id, and another with the one that it is given.
    pub(super) fn enter(&mut self, join: Join) -> (String, Ticket) {
        let first = self.join(join.clone());
        let Err((ResponseError::MemberIdRequired, member_id)) = self.join_answer(first) else {
            panic!("a member id should have been given out, not {:?}", self.answers[&first]);
        };
        let again = self.join(Join { member_id: member_id.clone(), ..join });
        (member_id, again)
    }

    /// Sends a JoinGroup of a member that has its id.
    pub(super) fn rejoin(&mut self, member_id: &str) -> Ticket {
        self.join(Join { member_id: member_id.to_owned(), ..consumer() })
    }

    pub(super) fn sync(&mut self, sync: Sync) -> Ticket {
        let ticket = self.ticket();
        let mut effects = Effects::default();
        self.coordinator.sync(sync, ticket, self.now, &mut effects);
        self.apply(effects);
        ticket
    }

    /// Sends a member's SyncGroup; a leader assigns to each member `for <member id>`.
    pub(super) fn sync_as(&mut self, joined: &JoinedGroup) -> Ticket {
        let assignments = joined.members.iter().map(|member| {
            (member.member_id.clone(), Bytes::from(format!("for {}", member.member_id)))
        });
        self.sync(Sync { assignments: assignments.collect(), ..sync_of(joined) })
    }

    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.coordinator.heartbeat(GROUP, member_id, None, generation, self.now)
    }

    pub(super) fn leave(&mut self, leaving: &[Leaving]) -> Vec<Result<(), ResponseError>> {
        let mut effects = Effects::default();
        let results = self.coordinator.leave(GROUP, leaving, self.now, &mut effects).unwrap();
        self.apply(effects);
        results
    }

    pub(super) fn leaves(&mut self, member_id: &str) {
        let leaving = Leaving { member_id: member_id.to_owned(), instance_id: None };
        assert_eq!(self.leave(&[leaving]), [Ok(())]);
    }

    pub(super) fn commit(
        &mut self,
        commit: Commit,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let mut changes = Vec::new();
        let results = self.coordinator.commit(commit, self.now, &mut changes);
        self.write(changes);
        results
    }

    /// Ends a transaction.
    pub(super) fn complete(&mut self, producer_id: i64, committed: bool) {
        let mut changes = Vec::new();
        self.coordinator.complete(producer_id, committed, &mut changes);
        self.write(changes);
    }

    /// The committed offset of a partition of `trips`; -1 if there is none.
    pub(super) fn committed(&self, partition: i32) -> i64 {
        let found = self.coordinator.committed(GROUP, "trips", partition, false).unwrap();
        found.map_or(-1, |committed| committed.offset)
    }

    /// Lets time pass, doing what is due when it is due.
    pub(super) fn pass(&mut self, duration: Millis) {
        let end = self.now + duration;
        while let Some(next) = self.coordinator.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    pub(super) fn tick(&mut self) {
        let mut effects = Effects::default();
        self.coordinator.tick(self.now, &mut effects);
        self.apply(effects);
    }

    /// Lets time pass in which these members send heartbeats.
    pub(super) fn pass_with_heartbeats(&mut self, duration: Millis, members: &[(&str, i32)]) {
        let end = self.now + duration;
        while self.now < end {
            self.pass((end - self.now).min(SESSION / 2));
            for (member_id, generation) in members {
                let _ = self.heartbeat(member_id, *generation);
            }
        }
    }

    pub(super) fn is_waiting(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    pub(super) fn join_answer(&self, ticket: Ticket) -> JoinAnswer {
        match self.answers.get(&ticket) {
            Some(GroupAnswer::Join(answer)) => answer.clone(),
            other => panic!("{ticket:?} should have been answered, not {other:?}"),
        }
    }

    pub(super) fn joined(&self, ticket: Ticket) -> JoinedGroup {
        self.join_answer(ticket).unwrap()
    }

    pub(super) fn refused(&self, ticket: Ticket) -> ResponseError {
        self.join_answer(ticket).unwrap_err().0
    }

    pub(super) fn sync_answer(&self, ticket: Ticket) -> SyncAnswer {
        match self.answers.get(&ticket) {
            Some(GroupAnswer::Sync(answer)) => answer.clone(),
            other => panic!("{ticket:?} should have been answered, not {other:?}"),
        }
    }

    pub(super) fn assignment(&self, ticket: Ticket) -> String {
        String::from_utf8(self.sync_answer(ticket).unwrap().assignment.to_vec()).unwrap()
    }

    pub(super) fn state(&self) -> &'static str {
        self.coordinator.describe(GROUP).map_or("Dead", |group| group.state().name())
    }

    /// Members of a stable group, the leader first, and its generation.
    pub(super) fn stable(&mut self, joins: Vec<Join>) -> (Vec<String>, i32) {
        let mut members: Vec<(String, Join)> = Vec::new();
        let mut last = Vec::new();
        for join in joins {
            // Those that are in have to join again with each new one.
            let (id, ticket) = if join.instance_id.is_some() {
                let ticket = self.join(join.clone());
                (String::new(), ticket)
            } else {
                self.enter(join.clone())
            };
            last.clear();
            for (id, join) in members.clone() {
                last.push(self.join(Join { member_id: id, ..join }));
            }
            last.push(ticket);
            let id = if id.is_empty() { self.joined(ticket).member_id } else { id };
            members.push((id, join));
        }
        let joined: Vec<JoinedGroup> = last.into_iter().map(|ticket| self.joined(ticket)).collect();
        let generation = joined[0].generation;
        let leader = joined[0].leader.clone();
        for joined in joined {
            self.sync_as(&joined);
        }
        assert_eq!(self.state(), "Stable");
        let mut ids: Vec<String> = members.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| *id != leader);
        (ids, generation)
    }

    pub(super) fn generation(&self) -> i32 {
        self.coordinator.groups[GROUP].generation
    }

    pub(super) fn is_in(&self, state: GroupState) -> bool {
        self.coordinator.groups[GROUP].state == state
    }
}
