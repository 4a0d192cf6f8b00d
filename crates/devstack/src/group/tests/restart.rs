//! Groups after a restart of the process.

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, SESSION, commit, consumer, offset, static_consumer};
use crate::group::{Commit, Coordinator, GroupOptions, Join};
use crate::storage::{StorageError, Table};

#[test]
fn members_go_on_in_their_generation() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), static_consumer("a")]);
    world.now += 100 * SESSION;
    world.restart();
    assert_eq!((world.state(), world.generation()), ("Stable", generation));
    world.tick();
    for id in &ids {
        assert_eq!(world.heartbeat(id, generation), Ok(()));
    }
    let follower = &ids[1];
    let ticket = world.join(Join { member_id: follower.clone(), ..static_consumer("a") });
    let joined = world.joined(ticket);
    let synced = world.sync_as(&joined);
    assert_eq!(world.assignment(synced), format!("for {follower}"));

    let leader = world.rejoin(&ids[0]);
    let follower = world.join(Join { member_id: follower.clone(), ..static_consumer("a") });
    assert_eq!(world.joined(leader).generation, generation + 1);
    assert_eq!(world.joined(follower).leader, ids[0]);
}

#[test]
fn members_that_are_gone_are_noticed() {
    let mut world = World::new();
    let (_, generation) = world.stable(vec![consumer()]);
    world.restart();
    world.pass(SESSION);
    assert_eq!((world.state(), world.generation()), ("Empty", generation + 1));
    world.restart();
    assert_eq!((world.state(), world.generation()), ("Empty", generation + 1));
}

#[test]
fn a_rebalance_that_was_not_finished_leaves_the_generation_before() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer()]);
    let (second, _) = world.enter(consumer());
    world.rejoin(&ids[0]);
    assert_eq!(world.generation(), generation + 1);
    world.restart();
    assert_eq!((world.state(), world.generation()), ("Stable", generation));
    assert_eq!(world.heartbeat(&ids[0], generation), Ok(()));
    let ticket = world.rejoin(&second);
    assert_eq!(world.refused(ticket), ResponseError::UnknownMemberId);
}

#[test]
fn a_replaced_static_member_stays_replaced() {
    let mut world = World::new();
    let (_, generation) = world.stable(vec![consumer(), static_consumer("a")]);
    let ticket = world.join(static_consumer("a"));
    let joined = world.joined(ticket);
    world.restart();
    assert_eq!(world.heartbeat(&joined.member_id, generation), Ok(()));
}

#[test]
fn a_group_that_nobody_joined_yet_is_there_and_a_deleted_one_is_not() {
    let mut world = World::new();
    world.join(consumer());
    world.restart();
    assert_eq!(world.state(), "Empty");
    let mut changes = Vec::new();
    world.coordinator.delete(GROUP, &mut changes).unwrap();
    world.write(changes);
    world.restart();
    assert_eq!(world.state(), "Dead");
    assert!(world.stored.values().all(std::collections::BTreeMap::is_empty));
}

#[test]
fn a_crash_before_the_first_assignment_leaves_no_members_behind() {
    let mut world = World::new();
    world.join(static_consumer("a"));
    assert_eq!(world.state(), "CompletingRebalance");
    world.restart();
    assert_eq!(world.state(), "Empty");
}

#[test]
fn offsets_and_what_waits_for_a_transaction_are_kept_in_their_order() {
    let mut world = World::new();
    let waiting = vec![offset(0, 50), offset(1, 60), offset(2, 70)];
    let pending = Commit { producer_id: Some(7), ..commit(waiting) };
    world.commit(commit(vec![offset(1, 10)])).unwrap();
    world.commit(pending).unwrap();
    world.commit(commit(vec![offset(0, 20)])).unwrap();
    world.restart();
    assert_eq!((world.state(), world.committed(0), world.committed(1)), ("Empty", 20, 10));
    let unstable = world.coordinator.committed(GROUP, "trips", 1, true);
    assert_eq!(unstable, Err(ResponseError::UnstableOffsetCommit));

    world.commit(commit(vec![offset(2, 5)])).unwrap();
    world.complete(7, true);
    for _ in 0..2 {
        assert_eq!([0, 1, 2].map(|partition| world.committed(partition)), [20, 60, 5]);
        world.restart();
    }
    assert_eq!(world.stored[&Table::Offsets].len(), 3);
}

#[test]
fn an_entry_that_can_not_be_read_is_named() {
    let entry = |key: &str, json: &str| vec![(key.to_owned(), json.to_owned())];
    let good_key = r#"["g","t",0,null]"#;
    let cases = [
        (entry("g", "{"), Vec::new(), Table::Groups, "g"),
        (Vec::new(), entry("g/t/0", "{}"), Table::Offsets, "g/t/0"),
        (Vec::new(), entry(good_key, "{}"), Table::Offsets, good_key),
    ];
    for (groups, offsets, expected_table, expected_key) in cases {
        let result = Coordinator::load(GroupOptions::default(), groups, offsets, 0);
        let Err(StorageError::Entry { table, key, .. }) = result else {
            panic!("{expected_key} should not be readable");
        };
        assert_eq!((table, key.as_str()), (expected_table, expected_key));
    }
}
