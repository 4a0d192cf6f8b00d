//! Properties that hold for any behaviour of clients.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use proptest::prelude::*;

use super::World;
use super::harness::{GROUP, REBALANCE, SESSION, consumer, protocols, static_consumer};
use crate::group::classic::GroupState;
use crate::group::{Effects, GroupAnswer, Join, JoinedGroup, Leaving, Ticket};

/// What a client does next, whatever it was told before.
#[derive(Debug, Clone)]
enum Step {
    Join { client: usize, changed: bool },
    JoinAnew { client: usize },
    Sync { client: usize },
    Heartbeat { client: usize },
    Leave { client: usize },
    Expire { client: usize },
    Pass { percent: i64 },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = || 0..4_usize;
    let step = prop_oneof![
        6 => (client(), prop::bool::weighted(0.2))
            .prop_map(|(client, changed)| Step::Join { client, changed }),
        1 => client().prop_map(|client| Step::JoinAnew { client }),
        6 => client().prop_map(|client| Step::Sync { client }),
        2 => client().prop_map(|client| Step::Heartbeat { client }),
        1 => client().prop_map(|client| Step::Leave { client }),
        1 => client().prop_map(|client| Step::Expire { client }),
        2 => (1..150_i64).prop_map(|percent| Step::Pass { percent }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

/// Clients 0 and 1 are static members.
fn join_of(client: usize) -> Join {
    if client < 2 { static_consumer(&format!("instance-{client}")) } else { consumer() }
}

#[derive(Default)]
struct Known {
    member_id: String,
    joined: Option<JoinedGroup>,
}

struct Story {
    world: World,
    clients: [Known; 4],
    /// Which client a ticket is of.
    tickets: BTreeMap<Ticket, usize>,
    seen: BTreeSet<Ticket>,
    leaders: BTreeMap<i32, String>,
    generation: i32,
}

impl Story {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Join { client, changed } => {
                let mut join =
                    Join { member_id: self.clients[client].member_id.clone(), ..join_of(client) };
                if changed {
                    join.protocols = protocols(&["roundrobin", "range"]);
                }
                let ticket = self.world.join(join);
                self.tickets.insert(ticket, client);
            }
            Step::JoinAnew { client } => {
                let ticket = self.world.join(join_of(client));
                self.tickets.insert(ticket, client);
            }
            Step::Sync { client } => {
                let Some(joined) = self.clients[client].joined.clone() else { return };
                let ticket = self.world.sync_as(&joined);
                self.tickets.insert(ticket, client);
            }
            Step::Heartbeat { client } => {
                let Some(joined) = self.clients[client].joined.clone() else { return };
                let _ = self.world.heartbeat(&joined.member_id, joined.generation);
            }
            Step::Leave { client } => {
                let member_id = self.clients[client].member_id.clone();
                self.world.leave(&[Leaving { member_id, instance_id: None }]);
            }
            Step::Expire { client } => {
                let mut effects = Effects::default();
                let id = self.clients[client].member_id.clone();
                let now = self.world.now;
                self.world.coordinator.expire_sessions(GROUP, Some(&id), now, &mut effects);
                self.world.apply(effects);
            }
            Step::Pass { percent } => self.world.pass(SESSION * percent / 100),
            Step::Restart => {
                self.world.restart();
                // Connections end with the process, and what waited on them.
                self.tickets.retain(|ticket, _| self.world.answers.contains_key(ticket));
                let stored = self.world.coordinator.groups.get(GROUP);
                let generation = stored.map_or(0, |group| group.generation);
                // What was begun and not stored is begun again; clients that lost their connections join again.
                self.leaders.retain(|begun, _| *begun <= generation);
                for known in &mut self.clients {
                    known.joined.take_if(|joined| joined.generation > generation);
                }
                self.generation = generation;
            }
        }
    }

    /// Lets the clients read their answers.
    fn read(&mut self) {
        for (ticket, answer) in &self.world.answers {
            if !self.seen.insert(*ticket) {
                continue;
            }
            let Some(client) = self.tickets.get(ticket) else { continue };
            let known = &mut self.clients[*client];
            match answer {
                GroupAnswer::Join(Ok(joined)) => {
                    known.member_id.clone_from(&joined.member_id);
                    known.joined = Some(joined.clone());
                    let leads = joined.leader == joined.member_id;
                    assert_eq!(!joined.members.is_empty(), leads, "the leader knows all");
                    if let Some(me) = joined.members.iter().find(|me| me.member_id == joined.leader)
                    {
                        // A static member leads on under another id (KIP-345).
                        let name = me.instance_id.as_ref().unwrap_or(&me.member_id);
                        let leader = self.leaders.entry(joined.generation);
                        assert_eq!(leader.or_insert_with(|| name.clone()), name, "one leader");
                    }
                }
                GroupAnswer::Join(Err((ResponseError::MemberIdRequired, member_id))) => {
                    known.member_id.clone_from(member_id);
                }
                GroupAnswer::Join(Err((
                    ResponseError::UnknownMemberId | ResponseError::FencedInstanceId,
                    _,
                ))) => {
                    *known = Known::default();
                }
                GroupAnswer::Sync(Ok(synced)) => {
                    assert!(synced.protocol.is_some());
                    let assignment = String::from_utf8(synced.assignment.to_vec()).unwrap();
                    assert!(assignment.starts_with("for member-"), "{assignment:?}");
                }
                GroupAnswer::Join(Err(_)) | GroupAnswer::Sync(Err(_)) => {}
            }
        }
    }

    fn check(&mut self) {
        let Some(group) = self.world.coordinator.groups.get(GROUP) else { return };
        assert!(group.generation >= self.generation, "generations don't go back");
        self.generation = group.generation;
        if group.is_empty() {
            assert!(group.members.is_empty());
            assert!(group.leader.is_none() && group.protocol.is_none());
        } else if let Some(leader) = &group.leader {
            assert!(group.members.contains_key(leader), "the leader is a member");
        }
        let instances: Vec<_> =
            group.members.values().filter_map(|member| member.instance_id.as_ref()).collect();
        let distinct: BTreeSet<_> = instances.iter().collect();
        assert_eq!(instances.len(), distinct.len(), "an instance is one member");
        for member in group.members.values() {
            if member.joining.is_some() {
                assert!(matches!(group.state, GroupState::PreparingRebalance { .. }));
            }
            if member.syncing.is_some() {
                assert_eq!(group.state, GroupState::CompletingRebalance);
            }
            let is_watched = member.session_ends.is_some() || member.is_excused_from_heartbeats();
            assert!(is_watched, "somebody would notice that {} is gone", member.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_clients_do_the_group_keeps_its_promises(steps in steps()) {
        let mut story = Story {
            world: World::new(),
            clients: Default::default(),
            tickets: BTreeMap::new(),
            seen: BTreeSet::new(),
            leaders: BTreeMap::new(),
            generation: 0,
        };
        for step in &steps {
            story.take(step);
            story.read();
            story.check();
        }
        // If nobody does anything any more, everybody is answered and then given up.
        story.world.pass(5 * 60 * 1000 + 4 * REBALANCE);
        for ticket in story.tickets.keys() {
            prop_assert!(!story.world.is_waiting(*ticket), "{ticket:?} waits for ever");
        }
        prop_assert!(matches!(story.world.state(), "Empty" | "Dead"), "{}", story.world.state());
        prop_assert_eq!(story.world.coordinator.next_deadline(), None);
    }
}
