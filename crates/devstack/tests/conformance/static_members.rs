//! Members that keep their place over a restart (KIP-345).

use crate::rig::{eventually, group, unique};
use crate::wire::{Member, ResponseError, Wire};

#[test]
fn static_member_needs_no_id_to_join() {
    let group = group();
    let mut wire = Wire::connect();
    let mut member = Member::instance(&group, "one");
    wire.join_alone(&mut member);
    assert!(!member.id.is_empty());
    let described = wire.describe_group(&group);
    assert_eq!(described.members[0].group_instance_id.as_deref(), Some("one"));
}

#[test]
fn restarted_member_takes_its_place_and_shuts_its_predecessor_out() {
    let group = group();
    let mut wire = Wire::connect();
    let mut old = Member::instance(&group, "one");
    wire.join_alone(&mut old);
    let joined = wire.join(&Member::instance(&group, "one")).unwrap();
    assert_ne!(joined.member_id, old.id);
    assert_eq!(joined.generation, old.generation, "nobody else is disturbed");
    let new = old.with_id(&joined.member_id);
    assert_eq!(wire.sync(&new, &[]), Ok("everything".into()), "what it had before");
    assert_eq!(wire.heartbeat(&new), Ok(()));
    assert_eq!(wire.heartbeat(&old), Err(ResponseError::FencedInstanceId));
    assert_eq!(wire.sync(&old, &[]), Err(ResponseError::FencedInstanceId));
    assert_eq!(wire.join(&old).map(|_| ()), Err(ResponseError::FencedInstanceId));
    let topic = crate::rig::topic(1);
    let late = wire.commit_offset(&old, &topic, 1, "");
    assert_eq!(late, Err(ResponseError::FencedInstanceId));
    assert_eq!(wire.commit_offset(&new, &topic, 1, ""), Ok(()));
}

#[test]
fn restarted_member_that_changes_the_assignor_starts_a_generation() {
    let group = group();
    let mut wire = Wire::connect();
    let mut old = Member::instance(&group, "one");
    old.protocols = vec!["range", "roundrobin"];
    wire.join_alone(&mut old);
    let mut new = Member::instance(&group, "one");
    new.protocols = vec!["roundrobin"];
    assert_eq!(wire.join(&new).unwrap().generation, old.generation + 1);
}

#[test]
fn instance_is_removed_by_its_name() {
    let group = group();
    let mut wire = Wire::connect();
    let mut member = Member::instance(&group, "one");
    wire.join_alone(&mut member);
    let unknown = wire.remove_instance(&group, &unique("unknown"));
    assert_eq!(unknown, Err(ResponseError::UnknownMemberId));
    assert_eq!(wire.remove_instance(&group, "one"), Ok(()));
    assert_eq!(wire.heartbeat(&member), Err(ResponseError::UnknownMemberId));
    assert_eq!(&*wire.describe_group(&group).group_state, "Empty");
}

#[test]
fn instance_that_stays_silent_is_removed_after_its_session() {
    let group = group();
    let mut wire = Wire::connect();
    wire.join_alone(&mut Member::instance(&group, "one"));
    eventually("the group is empty", || {
        (*wire.describe_group(&group).group_state == *"Empty").then_some(())
    });
}
