//! OffsetCommit, OffsetFetch and OffsetDelete.

use crate::rig::{group, topic, unique};
use crate::wire::{Member, ResponseError, Wire};

#[test]
fn offset_is_kept_with_its_epoch_and_metadata() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    let member = Member::new(&group);
    assert_eq!(wire.committed(&group, &topic, true), Ok((-1, -1, String::new())));
    assert_eq!(wire.commit_offset(&member, &topic, 42, "why"), Ok(()));
    assert_eq!(wire.committed(&group, &topic, true), Ok((42, 7, "why".to_owned())));
    assert_eq!(wire.commit_offset(&member, &topic, 5, ""), Ok(()));
    assert_eq!(wire.committed(&group, &topic, true), Ok((5, 7, String::new())), "it may go back");
}

#[test]
fn all_offsets_of_a_group_can_be_asked_for() {
    let group = group();
    let mut topics = [topic(1), topic(1)];
    topics.sort();
    let mut wire = Wire::connect();
    assert_eq!(wire.all_committed(&group), []);
    for (topic, offset) in topics.iter().zip([1, 2]) {
        wire.commit_offset(&Member::new(&group), topic, offset, "").unwrap();
    }
    let mut committed = wire.all_committed(&group);
    committed.sort();
    let [a, b] = topics;
    assert_eq!(committed, [(a, 0, 1), (b, 0, 2)]);
}

#[test]
fn commit_that_cannot_be_is_refused() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    let member = Member::new(&group);
    let long = "x".repeat(4_097);
    assert_eq!(
        wire.commit_offset(&member, &topic, 1, &long),
        Err(ResponseError::OffsetMetadataTooLarge)
    );
    assert_eq!(wire.commit_offset(&member, &topic, 1, &long[..4_096]), Ok(()));
    assert_eq!(
        wire.commit_offset(&member, &unique("unknown"), 1, ""),
        Err(ResponseError::UnknownTopicOrPartition)
    );
    let nobody = member.with_id("nobody").with_generation(1);
    assert_eq!(
        wire.commit_offset(&nobody, &topic, 1, ""),
        Err(ResponseError::UnknownMemberId),
        "a group without members has no generation to commit for"
    );
}

#[test]
fn only_members_commit_while_a_group_has_members() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    let mut member = Member::new(&group);
    wire.join_alone(&mut member);
    assert_eq!(wire.commit_offset(&member, &topic, 1, ""), Ok(()));
    let outsider = Member::new(&group);
    assert_eq!(wire.commit_offset(&outsider, &topic, 2, ""), Err(ResponseError::UnknownMemberId));
    let older = member.with_generation(member.generation - 1);
    assert_eq!(wire.commit_offset(&older, &topic, 2, ""), Err(ResponseError::IllegalGeneration));
    wire.leave(&member).unwrap();
    assert_eq!(wire.commit_offset(&outsider, &topic, 2, ""), Ok(()));
    assert_eq!(wire.committed(&group, &topic, true).unwrap().0, 2);
}

#[test]
fn offset_can_be_deleted() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    assert_eq!(wire.delete_offset(&group, &topic), Err(ResponseError::GroupIdNotFound));
    wire.commit_offset(&Member::new(&group), &topic, 3, "").unwrap();
    assert_eq!(wire.delete_offset(&group, &topic), Ok(()));
    assert_eq!(wire.committed(&group, &topic, true).unwrap().0, -1);
}

#[test]
fn offsets_go_with_their_topic() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    wire.commit_offset(&Member::new(&group), &topic, 3, "").unwrap();
    wire.delete_topic(&topic).unwrap();
    crate::rig::eventually("the offset is gone", || {
        wire.all_committed(&group).is_empty().then_some(())
    });
}
