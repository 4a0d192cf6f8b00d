//! OffsetCommit, OffsetFetch and OffsetDelete.

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, SESSION, commit, consumer, offset, static_consumer};
use crate::group::{Commit, Join, NewOffset};

#[test]
fn who_is_in_no_group_has_one_by_committing() {
    let mut world = World::new();
    let new = NewOffset { leader_epoch: 3, metadata: "here".to_owned(), ..offset(0, 42) };
    assert_eq!(world.commit(commit(vec![new])), Ok(vec![Ok(())]));
    assert_eq!(world.state(), "Empty");
    let found = world.coordinator.committed(GROUP, "trips", 0, true).unwrap().unwrap();
    assert_eq!((found.offset, found.leader_epoch, found.metadata.as_str()), (42, 3, "here"));
    assert_eq!(found.timestamp, world.now);
    assert_eq!(world.coordinator.committed(GROUP, "trips", 1, true), Ok(None));
    assert_eq!(world.coordinator.committed("other", "trips", 0, true), Ok(None));
}

/// A group in a state, a static member `a` that is or was in it, and its generation.
fn in_state(state: &str) -> (World, String, i32) {
    let mut world = World::new();
    let member = match state {
        "Dead" => return (world, "member".to_owned(), 1),
        "CompletingRebalance" => {
            let ticket = world.join(static_consumer("a"));
            world.joined(ticket).member_id
        }
        _ => world.stable(vec![static_consumer("a")]).0.remove(0),
    };
    match state {
        "Empty" => world.leaves(&member),
        "PreparingRebalance" => drop(world.enter(consumer())),
        _ => {}
    }
    assert_eq!(world.state(), state);
    let generation = world.generation();
    (world, member, generation)
}

#[test]
fn a_commit_is_checked_against_the_group() {
    use ResponseError::{
        FencedInstanceId as Fenced, GroupIdNotFound as NoGroup, IllegalGeneration as Illegal,
        RebalanceInProgress as Rebalance, UnknownMemberId as Unknown,
    };
    // Of somebody in no group; of the member; of it in the generation before, and in none; of a stranger; of a stranger
    // that says it is the same instance.
    let table = [
        ("Dead", [None, Some(NoGroup), Some(NoGroup), None, Some(NoGroup), Some(NoGroup)]),
        ("Empty", [None, Some(Unknown), Some(Unknown), None, Some(Unknown), Some(Unknown)]),
        (
            "PreparingRebalance",
            [Some(Unknown), None, Some(Illegal), Some(Illegal), Some(Unknown), Some(Fenced)],
        ),
        (
            "CompletingRebalance",
            [
                Some(Unknown),
                Some(Rebalance),
                Some(Illegal),
                Some(Illegal),
                Some(Unknown),
                Some(Fenced),
            ],
        ),
        (
            "Stable",
            [Some(Unknown), None, Some(Illegal), Some(Illegal), Some(Unknown), Some(Fenced)],
        ),
    ];
    for (state, expected) in table {
        for (case, expected) in expected.into_iter().enumerate() {
            let (mut world, member, generation) = in_state(state);
            let (member_id, instance_id, generation) = [
                ("", None, -1),
                (&*member, None, generation),
                (&*member, None, generation - 1),
                (&*member, None, -1),
                ("stranger", None, generation),
                ("stranger", Some("a".to_owned()), generation),
            ][case]
                .clone();
            let member_id = member_id.to_owned();
            let offsets = vec![offset(0, 1)];
            let result =
                world.commit(Commit { member_id, instance_id, generation, ..commit(offsets) });
            assert_eq!(result.err(), expected, "{state}, case {case}");
            assert_eq!(world.committed(0), if expected.is_none() { 1 } else { -1 });
        }
    }
}

#[test]
fn a_commit_says_that_its_member_is_there() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer()]);
    for _ in 0..3 {
        world.pass(SESSION - 1);
        let commit = Commit { member_id: ids[0].clone(), generation, ..commit(vec![offset(0, 1)]) };
        assert_eq!(world.commit(commit), Ok(vec![Ok(())]));
    }
    assert_eq!(world.state(), "Stable");
}

#[test]
fn metadata_that_is_too_large_is_refused_alone() {
    let mut world = World::new();
    let with =
        |partition, length| NewOffset { metadata: "ä".repeat(length), ..offset(partition, 7) };
    let results = world.commit(commit(vec![with(0, 4096), with(1, 4097)]));
    assert_eq!(results, Ok(vec![Ok(()), Err(ResponseError::OffsetMetadataTooLarge)]));
    assert_eq!((world.committed(0), world.committed(1)), (7, -1));
}

#[test]
fn all_partitions_of_a_group_are_told_in_order() {
    let mut world = World::new();
    let of = |topic: &str, partition| NewOffset { topic: topic.to_owned(), ..offset(partition, 1) };
    world.commit(commit(vec![of("b", 1), of("a", 2), of("b", 0)])).unwrap();
    let partitions: Vec<_> = world.coordinator.committed_partitions(GROUP).collect();
    assert_eq!(partitions, [("a", 2), ("b", 0), ("b", 1)]);
    assert_eq!(world.coordinator.committed_partitions("other").count(), 0);
}

impl World {
    fn delete(&mut self, topics: &[&str]) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let partitions: Vec<_> = topics.iter().map(|topic| ((*topic).to_owned(), 0)).collect();
        let mut changes = Vec::new();
        let results = self.coordinator.delete_offsets(GROUP, &partitions, &mut changes);
        self.write(changes);
        results
    }
}

#[test]
fn offsets_of_topics_that_are_read_can_not_be_deleted() {
    let mut world = World::new();
    let other = NewOffset { topic: "other".to_owned(), ..offset(0, 2) };
    world.commit(commit(vec![offset(0, 1), other])).unwrap();
    let (ids, _) = world.stable(vec![consumer()]);
    let results = world.delete(&["trips", "other", "unknown"]);
    let subscribed = Err(ResponseError::GroupSubscribedToTopic);
    assert_eq!(results, Ok(vec![subscribed, Ok(()), Ok(())]));
    assert_eq!(world.committed(0), 1);
    assert_eq!(world.coordinator.committed_partitions(GROUP).count(), 1);
    world.restart();
    assert_eq!(world.delete(&["trips", "other"]), Ok(vec![subscribed, Ok(())]));
    world.leaves(&ids[0]);
    assert_eq!(world.delete(&["trips"]), Ok(vec![Ok(())]));
    assert_eq!(world.committed(0), -1);
    world.restart();
    assert_eq!(world.committed(0), -1);
}

#[test]
fn offsets_of_a_group_whose_topics_can_not_be_told_are_kept() {
    let mut world = World::new();
    assert_eq!(world.delete(&["trips"]), Err(ResponseError::GroupIdNotFound));
    let strange =
        vec![crate::group::Protocol { name: "range".to_owned(), metadata: bytes::Bytes::new() }];
    world.stable(vec![Join { protocols: strange, ..consumer() }]);
    assert_eq!(world.delete(&["any"]), Ok(vec![Err(ResponseError::GroupSubscribedToTopic)]));

    let mut world = World::new();
    world.stable(vec![Join { protocol_type: "connect".to_owned(), ..consumer() }]);
    assert_eq!(world.delete(&["any"]), Err(ResponseError::NonEmptyGroup));
}

#[test]
fn the_offsets_of_a_deleted_topic_are_gone_in_all_groups() {
    let mut world = World::new();
    let other = NewOffset { topic: "other".to_owned(), ..offset(0, 2) };
    world.commit(commit(vec![offset(0, 1), offset(1, 1), other])).unwrap();
    world.commit(Commit { producer_id: Some(1), ..commit(vec![offset(2, 1)]) }).unwrap();
    let mut changes = Vec::new();
    world.coordinator.topic_deleted("trips", &mut changes);
    world.write(changes);
    world.restart();
    world.complete(1, true);
    let partitions: Vec<_> = world.coordinator.committed_partitions(GROUP).collect();
    assert_eq!(partitions, [("other", 0)]);
}
