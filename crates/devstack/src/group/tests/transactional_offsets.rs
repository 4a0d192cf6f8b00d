//! Offsets that are committed with a transaction (KIP-98, KIP-447).

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, commit, consumer, offset};
use crate::group::{Commit, NewOffset};

fn pending(producer_id: i64, offsets: Vec<NewOffset>) -> Commit {
    Commit { producer_id: Some(producer_id), ..commit(offsets) }
}

fn is_unstable(world: &World, partition: i32) -> bool {
    let found = world.coordinator.committed(GROUP, "trips", partition, true);
    found == Err(ResponseError::UnstableOffsetCommit)
}

#[test]
fn they_apply_when_the_transaction_commits_and_not_before() {
    for committed in [true, false] {
        let mut world = World::new();
        world.commit(commit(vec![offset(0, 10)])).unwrap();
        world.commit(pending(1, vec![offset(0, 20), offset(1, 30)])).unwrap();
        assert_eq!((world.committed(0), world.committed(1)), (10, -1));
        assert!(is_unstable(&world, 0) && is_unstable(&world, 1) && !is_unstable(&world, 2));
        world.complete(2, true);
        assert!(is_unstable(&world, 0), "another producer's transaction");
        world.complete(1, committed);
        let expected = if committed { (20, 30) } else { (10, -1) };
        assert_eq!((world.committed(0), world.committed(1)), expected);
        assert!(!is_unstable(&world, 0) && !is_unstable(&world, 1));
        world.complete(1, !committed);
        assert_eq!((world.committed(0), world.committed(1)), expected);
    }
}

#[test]
fn within_a_transaction_the_last_offset_counts() {
    let mut world = World::new();
    world.commit(pending(1, vec![offset(0, 20)])).unwrap();
    world.commit(pending(1, vec![offset(0, 15)])).unwrap();
    world.complete(1, true);
    assert_eq!(world.committed(0), 15);
}

#[test]
fn of_several_commits_the_latest_stays_whatever_ends_last() {
    let mut world = World::new();
    world.commit(pending(1, vec![offset(0, 20)])).unwrap();
    world.commit(pending(2, vec![offset(0, 30)])).unwrap();
    world.complete(2, true);
    assert!(is_unstable(&world, 0), "the first is still open");
    world.complete(1, true);
    assert_eq!(world.committed(0), 30);

    world.commit(pending(3, vec![offset(0, 40)])).unwrap();
    world.commit(commit(vec![offset(0, 25)])).unwrap();
    world.complete(3, true);
    assert_eq!(world.committed(0), 25);
}

#[test]
fn a_deleted_partition_is_not_committed_by_what_was_open() {
    let mut world = World::new();
    world.commit(pending(1, vec![offset(0, 20), offset(1, 20)])).unwrap();
    let mut changes = Vec::new();
    let partition = [("trips".to_owned(), 0)];
    world.coordinator.delete_offsets(GROUP, &partition, &mut changes).unwrap()[0].unwrap();
    world.write(changes);
    world.restart();
    world.complete(1, true);
    assert_eq!((world.committed(0), world.committed(1)), (-1, 20));
}

#[test]
fn the_member_is_checked_if_the_request_names_one() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer()]);
    let one = || pending(1, vec![offset(0, 1)]);
    let from = |member_id: &str, generation| Commit {
        member_id: member_id.to_owned(),
        generation,
        ..one()
    };
    let cases = [
        (from("", -1), Ok(()), "before KIP-447 nobody was named"),
        (from(&ids[0], generation), Ok(()), "the member"),
        (from(&ids[0], generation - 1), Err(ResponseError::IllegalGeneration), "a zombie"),
        (from("stranger", generation), Err(ResponseError::UnknownMemberId), "a stranger"),
        (
            Commit { instance_id: Some("a".to_owned()), ..from(&ids[0], generation) },
            Err(ResponseError::UnknownMemberId),
            "an unknown instance",
        ),
        (
            Commit { group: "other".to_owned(), ..from(&ids[0], generation) },
            Err(ResponseError::GroupIdNotFound),
            "an unknown group",
        ),
    ];
    for (commit, expected, case) in cases {
        assert_eq!(world.commit(commit).map(|_| ()), expected, "{case}");
    }
    // The group's state isn't looked at.
    let ticket = world.rejoin(&ids[0]);
    let generation = world.joined(ticket).generation;
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(world.commit(from(&ids[0], generation)), Ok(vec![Ok(())]));
}
