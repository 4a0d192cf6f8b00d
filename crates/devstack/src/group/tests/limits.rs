//! The limits of the coordinator.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, commit, consumer, offset, static_consumer};
use crate::group::{Commit, GroupOptions, Join, Protocol};

fn limited(options: GroupOptions) -> World {
    let mut world = World::new();
    world.coordinator.options = options;
    world
}

fn in_group(id: &str) -> Join {
    Join { group: id.to_owned(), ..consumer() }
}

#[test]
fn a_full_group_takes_no_more_members_but_keeps_those_it_has() {
    let mut world = limited(GroupOptions { max_members: 2, ..GroupOptions::default() });
    let (first, _) = world.enter(consumer());
    let promised = world.join(consumer());
    assert_eq!(world.refused(promised), ResponseError::MemberIdRequired);
    let beyond = world.join(consumer());
    assert_eq!(world.refused(beyond), ResponseError::GroupMaxSizeReached);
    let again = world.rejoin(&first);
    assert_eq!(world.joined(again).member_id, first);
    let elsewhere = world.join(in_group("other"));
    assert_eq!(world.refused(elsewhere), ResponseError::MemberIdRequired);
}

#[test]
fn a_static_member_comes_back_to_a_full_group() {
    let mut world = limited(GroupOptions { max_members: 1, ..GroupOptions::default() });
    let ticket = world.join(static_consumer("one"));
    assert_eq!(world.joined(ticket).generation, 1);
    let other = world.join(static_consumer("two"));
    assert_eq!(world.refused(other), ResponseError::GroupMaxSizeReached);
    let back = world.join(static_consumer("one"));
    assert_eq!(world.joined(back).generation, 2);
}

#[test]
fn members_together_say_only_so_much_of_themselves() {
    let protocol =
        |size| Protocol { name: "range".to_owned(), metadata: Bytes::from(vec![0; size]) };
    let mut world = limited(GroupOptions { max_group_bytes: 1_000, ..GroupOptions::default() });
    let too_long = world.join(Join { protocols: vec![protocol(1_000)], ..consumer() });
    assert_eq!(world.refused(too_long), ResponseError::GroupMaxSizeReached);
    assert_eq!(world.coordinator.list().count(), 0);
    let long = Join { protocols: vec![protocol(600)], ..consumer() };
    let (first, _) = world.enter(long.clone());
    let second = world.join(long.clone());
    assert_eq!(world.refused(second), ResponseError::GroupMaxSizeReached);
    // What it says replaces what it said.
    let again = world.join(Join { member_id: first, ..long });
    assert_eq!(world.joined(again).generation, 1);
}

#[test]
fn there_are_only_so_many_groups() {
    let mut world = limited(GroupOptions { max_groups: 1, ..GroupOptions::default() });
    assert_eq!(world.commit(commit(vec![offset(0, 5)])), Ok(vec![Ok(())]));
    let other = world.join(in_group("other"));
    assert_eq!(world.refused(other), ResponseError::PolicyViolation);
    let elsewhere = Commit { group: "other".to_owned(), ..commit(vec![offset(0, 5)]) };
    assert_eq!(world.commit(elsewhere), Err(ResponseError::PolicyViolation));
    let known = world.join(in_group(GROUP));
    assert_eq!(world.refused(known), ResponseError::MemberIdRequired);
}
