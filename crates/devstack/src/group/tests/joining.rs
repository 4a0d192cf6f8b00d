//! JoinGroup, SyncGroup and Heartbeat of dynamic members.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::World;
use super::harness::{REBALANCE, SESSION, consumer, protocols, sync_of};
use crate::clock::Millis;
use crate::group::{Join, Sync};

#[test]
fn a_member_alone_leads_the_first_generation() {
    let mut world = World::new();
    let (id, ticket) = world.enter(consumer());
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, &joined.leader), (1, &id));
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, protocols(&["range"])[0].metadata);
    assert_eq!(world.state(), "CompletingRebalance");

    let synced = world.sync_as(&joined);
    assert_eq!(world.assignment(synced), format!("for {id}"));
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.heartbeat(&id, 1), Ok(()));
}

#[test]
fn clients_that_do_not_come_back_with_an_id_are_in_at_once() {
    let mut world = World::new();
    let ticket = world.join(Join { returns_with_member_id: false, ..consumer() });
    assert_eq!(world.joined(ticket).generation, 1);
}

#[test]
fn what_can_not_join_is_told_why() {
    let cases: [(&str, Join, ResponseError); 8] = [
        ("no group", Join { group: String::new(), ..consumer() }, ResponseError::InvalidGroupId),
        (
            "short session",
            Join { session_timeout: 99, ..consumer() },
            ResponseError::InvalidSessionTimeout,
        ),
        (
            "long session",
            Join { session_timeout: 30 * 60 * 1000 + 1, ..consumer() },
            ResponseError::InvalidSessionTimeout,
        ),
        (
            "unknown id",
            Join { member_id: "stranger".to_owned(), ..consumer() },
            ResponseError::UnknownMemberId,
        ),
        (
            "unknown id, unknown group",
            Join { member_id: "stranger".to_owned(), group: "other".to_owned(), ..consumer() },
            ResponseError::UnknownMemberId,
        ),
        (
            "another type",
            Join { protocol_type: "connect".to_owned(), ..consumer() },
            ResponseError::InconsistentGroupProtocol,
        ),
        (
            "nothing in common",
            Join { protocols: protocols(&["sticky"]), ..consumer() },
            ResponseError::InconsistentGroupProtocol,
        ),
        (
            "no protocol, new group",
            Join { group: "other".to_owned(), protocols: Vec::new(), ..consumer() },
            ResponseError::InconsistentGroupProtocol,
        ),
    ];
    for (case, join, error) in cases {
        let mut world = World::new();
        world.stable(vec![consumer()]);
        let ticket = world.join(join);
        assert_eq!(world.refused(ticket), error, "{case}");
        assert_eq!(world.state(), "Stable", "{case}");
    }
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer()]);
    let (second, waiting) = world.enter(consumer());
    assert!(world.is_waiting(waiting));
    assert_eq!(world.heartbeat(&ids[0], 1), Err(ResponseError::RebalanceInProgress));

    let again = world.rejoin(&ids[0]);
    let (first, follower) = (world.joined(again), world.joined(waiting));
    assert_eq!((first.generation, follower.generation), (2, 2));
    assert_eq!(first.leader, ids[0], "the leader stays");
    assert_eq!((first.members.len(), follower.members.len()), (2, 0));

    let of_follower = world.sync_as(&follower);
    assert!(world.is_waiting(of_follower));
    let of_leader = world.sync_as(&first);
    assert_eq!(world.assignment(of_follower), format!("for {second}"));
    assert_eq!(world.assignment(of_leader), format!("for {}", ids[0]));
}

#[test]
fn members_vote_for_a_protocol_that_all_offer() {
    let cases: [(&[&[&str]], &str); 4] = [
        (&[&["a", "b"], &["b", "a"], &["b", "a"]], "b"),
        (&[&["a", "b"], &["b", "a"]], "a"),
        (&[&["a", "b", "c"], &["c", "b"], &["c", "b"]], "c"),
        (&[&["a", "b"], &["b", "c"]], "b"),
    ];
    for (offers, expected) in cases {
        let mut world = World::new();
        let join = |names: &&[&str]| Join { protocols: protocols(names), ..consumer() };
        world.stable(offers.iter().map(join).collect());
        let group = world.coordinator.describe("group").unwrap();
        assert_eq!(group.protocol(), Some(expected), "{offers:?}");
    }
}

#[test]
fn joining_again_begins_a_rebalance_only_if_there_is_something_new() {
    let unchanged = consumer();
    let changed = Join { protocols: protocols(&["range"]), ..consumer() };
    let cases = [
        ("follower, unchanged", 1, &unchanged, false),
        ("follower, changed", 1, &changed, true),
        ("leader, unchanged", 0, &unchanged, true),
    ];
    for (case, member, join, rebalances) in cases {
        let mut world = World::new();
        let (ids, generation) = world.stable(vec![consumer(), consumer()]);
        let ticket = world.join(Join { member_id: ids[member].clone(), ..join.clone() });
        assert_eq!(world.is_waiting(ticket), rebalances, "{case}");
        if !rebalances {
            let joined = world.joined(ticket);
            assert_eq!((joined.generation, joined.members.len()), (generation, 0), "{case}");
            let synced = world.sync_as(&joined);
            assert_eq!(world.assignment(synced), format!("for {}", ids[member]), "{case}");
        }
    }
}

#[test]
fn while_assignments_are_awaited_an_unchanged_join_is_answered_again() {
    let mut world = World::new();
    let (id, ticket) = world.enter(consumer());
    let again = world.rejoin(&id);
    assert_eq!(world.joined(again), world.joined(ticket), "the leader gets its members again");

    // Another protocol begins anew.
    let changed = Join { member_id: id, protocols: protocols(&["roundrobin"]), ..consumer() };
    let changed = world.join(changed);
    assert_eq!(world.joined(changed).generation, 2);
}

#[test]
fn a_rebalance_sends_those_that_wait_for_their_assignment_to_join_again() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let leader = world.rejoin(&ids[0]);
    let follower = world.rejoin(&ids[1]);
    let follower = world.joined(follower);
    let syncing = world.sync_as(&follower);
    assert!(world.is_waiting(syncing));
    world.enter(consumer());
    assert_eq!(world.sync_answer(syncing), Err(ResponseError::RebalanceInProgress));
    assert_eq!(world.joined(leader).generation, 3);
}

#[test]
fn of_two_requests_of_one_member_the_later_one_waits() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let first = world.rejoin(&ids[0]);
    let second = world.rejoin(&ids[0]);
    assert_eq!(world.refused(first), ResponseError::RebalanceInProgress);
    assert!(world.is_waiting(second));

    let follower = world.rejoin(&ids[1]);
    let follower = world.joined(follower);
    let (first, second) = (world.sync_as(&follower), world.sync_as(&follower));
    assert_eq!(world.sync_answer(first), Err(ResponseError::RebalanceInProgress));
    assert!(world.is_waiting(second));
}

#[test]
fn a_sync_that_does_not_fit_is_refused() {
    type Change = fn(Sync) -> Sync;
    let cases: [(&str, Change, Result<(), ResponseError>); 7] = [
        ("fits", |sync| sync, Ok(())),
        ("names no protocol", |sync| Sync { protocol: None, protocol_type: None, ..sync }, Ok(())),
        (
            "group",
            |sync| Sync { group: "other".to_owned(), ..sync },
            Err(ResponseError::UnknownMemberId),
        ),
        (
            "member",
            |sync| Sync { member_id: "stranger".to_owned(), ..sync },
            Err(ResponseError::UnknownMemberId),
        ),
        (
            "generation",
            |sync| Sync { generation: sync.generation - 1, ..sync },
            Err(ResponseError::IllegalGeneration),
        ),
        (
            "protocol",
            |sync| Sync { protocol: Some("roundrobin".to_owned()), ..sync },
            Err(ResponseError::InconsistentGroupProtocol),
        ),
        (
            "type",
            |sync| Sync { protocol_type: Some("connect".to_owned()), ..sync },
            Err(ResponseError::InconsistentGroupProtocol),
        ),
    ];
    for (case, change, expected) in cases {
        let mut world = World::new();
        let (_, ticket) = world.enter(consumer());
        let joined = world.joined(ticket);
        let ticket = world.sync(change(sync_of(&joined)));
        assert_eq!(world.sync_answer(ticket).map(|_| ()), expected, "{case}");
    }
}

#[test]
fn a_sync_in_the_middle_of_a_rebalance_is_sent_to_join_again() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    world.rejoin(&ids[0]);
    let late = Sync {
        group: "group".to_owned(),
        member_id: ids[1].clone(),
        generation,
        ..Sync::default()
    };
    let late = world.sync(late);
    assert_eq!(world.sync_answer(late), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_member_that_the_leader_forgot_has_nothing() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let (leader, follower) = (world.rejoin(&ids[0]), world.rejoin(&ids[1]));
    let (leader, follower) = (world.joined(leader), world.joined(follower));
    let only_leader = [(ids[0].clone(), Bytes::from_static(b"all"))];
    let of_leader = world.sync(Sync { assignments: only_leader.into(), ..sync_of(&leader) });
    let of_follower = world.sync_as(&follower);
    assert_eq!(world.assignment(of_leader), "all");
    assert_eq!(world.assignment(of_follower), "");
}

#[test]
fn heartbeats_are_checked() {
    let mut world = World::new();
    assert_eq!(world.heartbeat("member", 1), Err(ResponseError::UnknownMemberId));
    let (ids, generation) = world.stable(vec![consumer()]);
    let cases = [
        (ids[0].as_str(), generation, Ok(())),
        (ids[0].as_str(), generation + 1, Err(ResponseError::IllegalGeneration)),
        (ids[0].as_str(), generation - 1, Err(ResponseError::IllegalGeneration)),
        ("stranger", generation, Err(ResponseError::UnknownMemberId)),
    ];
    for (member, generation, expected) in cases {
        assert_eq!(world.heartbeat(member, generation), expected, "{member} {generation}");
    }
    let in_no_group = world.coordinator.heartbeat("", &ids[0], None, generation, world.now);
    assert_eq!(in_no_group, Err(ResponseError::InvalidGroupId));
}

#[test]
fn a_rebalance_waits_for_ids_that_were_given_out() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let promise = world.join(consumer());
    let promised = world.join_answer(promise).unwrap_err().1;
    let (first, second) = (world.rejoin(&ids[0]), world.rejoin(&ids[1]));
    assert!(world.is_waiting(first) && world.is_waiting(second));
    world.rejoin(&promised);
    assert_eq!(world.joined(first).members.len(), 3);
}

#[test]
fn the_first_generation_waits_for_nobody() {
    let mut world = World::new();
    world.join(consumer());
    let (_, ticket) = world.enter(consumer());
    assert_eq!(world.joined(ticket).generation, 1);
}

#[test]
fn a_deadline_is_told_for_all_that_waits() {
    fn due_in(world: &World) -> Option<Millis> {
        world.coordinator.next_deadline().map(|at| at - world.now)
    }
    let mut world = World::new();
    assert_eq!(due_in(&world), None);
    world.join(consumer());
    assert_eq!(due_in(&world), Some(SESSION), "the promise of an id");
    let mut world = World::new();
    let patient = Join { session_timeout: 2 * REBALANCE, ..consumer() };
    let (id, ticket) = world.enter(patient.clone());
    assert_eq!(due_in(&world), Some(REBALANCE), "the leader's assignments");
    world.sync_as(&world.joined(ticket));
    assert_eq!(due_in(&world), Some(2 * REBALANCE), "the session");
    world.enter(patient);
    assert_eq!(due_in(&world), Some(REBALANCE), "the rebalance");
    world.rejoin(&id);
}
