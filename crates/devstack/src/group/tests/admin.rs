//! Listing, describing and deleting groups.

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, commit, consumer, offset, protocols};
use crate::group::Commit;
use crate::group::classic::GroupState;

#[test]
fn a_stable_group_is_described_in_full_another_only_in_part() {
    let mut world = World::new();
    assert!(world.coordinator.describe(GROUP).is_none());
    let (ids, _) = world.stable(vec![consumer()]);
    let group = world.coordinator.describe(GROUP).unwrap();
    assert_eq!((group.protocol_type(), group.protocol()), ("consumer", Some("range")));
    let (member, metadata) = group.members().next().unwrap();
    assert_eq!(metadata, protocols(&["range"])[0].metadata);
    assert_eq!(member.assignment, format!("for {}", ids[0]));
    assert_eq!((member.client.id.as_str(), member.client.host.as_str()), ("client", "/127.0.0.1"));

    world.enter(consumer());
    let group = world.coordinator.describe(GROUP).unwrap();
    assert_eq!((group.state().name(), group.protocol()), ("PreparingRebalance", None));
    assert_eq!(group.members().count(), 2);
    assert!(group.members().all(|(_, metadata)| metadata.is_empty()));
}

#[test]
fn groups_are_listed_with_and_without_members() {
    let mut world = World::new();
    world.stable(vec![consumer()]);
    world.commit(Commit { group: "simple".to_owned(), ..commit(vec![offset(0, 1)]) }).unwrap();
    let listed: Vec<_> = world
        .coordinator
        .list()
        .map(|listed| (listed.group, listed.protocol_type, listed.state.name()))
        .collect();
    assert_eq!(listed, [(GROUP, "consumer", "Stable"), ("simple", "", "Empty")]);
    assert!(world.is_in(GroupState::Stable));
}

#[test]
fn only_a_group_without_members_is_deleted_and_its_offsets_with_it() {
    let mut world = World::new();
    let mut changes = Vec::new();
    let missing = world.coordinator.delete(GROUP, &mut changes);
    assert_eq!(missing, Err(ResponseError::GroupIdNotFound));

    world.commit(commit(vec![offset(0, 1)])).unwrap();
    world.commit(Commit { producer_id: Some(1), ..commit(vec![offset(0, 2)]) }).unwrap();
    let (ids, _) = world.stable(vec![consumer()]);
    let full = world.coordinator.delete(GROUP, &mut changes);
    assert_eq!((full, changes.len()), (Err(ResponseError::NonEmptyGroup), 0));

    world.leaves(&ids[0]);
    assert_eq!(world.coordinator.delete(GROUP, &mut changes), Ok(()));
    world.write(changes);
    world.complete(1, true);
    assert_eq!((world.state(), world.committed(0)), ("Dead", -1));
    world.restart();
    assert_eq!((world.state(), world.committed(0)), ("Dead", -1));
}
