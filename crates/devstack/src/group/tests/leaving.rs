//! LeaveGroup.

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{consumer, static_consumer};
use crate::group::{Effects, Leaving};

#[test]
fn the_others_join_again_when_a_member_leaves() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    world.leaves(&ids[0]);
    assert_eq!(world.heartbeat(&ids[1], generation), Err(ResponseError::RebalanceInProgress));
    let ticket = world.rejoin(&ids[1]);
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, joined.leader), (generation + 1, ids[1].clone()));
}

#[test]
fn the_last_member_leaves_an_empty_group_of_the_next_generation() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer()]);
    world.leaves(&ids[0]);
    assert_eq!((world.state(), world.generation()), ("Empty", generation + 1));
    assert_eq!(world.heartbeat(&ids[0], generation), Err(ResponseError::UnknownMemberId));
    let stranger = Leaving { member_id: ids[0].clone(), instance_id: None };
    assert_eq!(world.leave(&[stranger]), [Err(ResponseError::UnknownMemberId)]);
}

#[test]
fn a_rebalance_that_waited_for_a_member_ends_when_it_leaves() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let ticket = world.rejoin(&ids[0]);
    assert!(world.is_waiting(ticket));
    world.leaves(&ids[1]);
    assert_eq!(world.joined(ticket).generation, generation + 1);
}

#[test]
fn a_request_that_waits_is_answered_when_its_member_leaves() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let joining = world.rejoin(&ids[0]);
    world.leaves(&ids[0]);
    assert_eq!(world.refused(joining), ResponseError::UnknownMemberId);

    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    world.rejoin(&ids[0]);
    let follower = world.rejoin(&ids[1]);
    let syncing = world.sync_as(&world.joined(follower));
    world.leaves(&ids[1]);
    assert_eq!(world.sync_answer(syncing), Err(ResponseError::UnknownMemberId));
}

#[test]
fn each_of_several_that_leave_has_its_own_result() {
    let leaving = |member_id: &str, instance_id: Option<&str>| Leaving {
        member_id: member_id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
    };
    let mut world = World::new();
    let (ids, generation) =
        world.stable(vec![consumer(), static_consumer("a"), static_consumer("b"), consumer()]);
    let b = world.coordinator.groups["group"].static_member("b").unwrap().id.clone();
    let dynamic =
        ids.iter().find(|id| world.coordinator.groups["group"].members[*id].instance_id.is_none());
    let results = world.leave(&[
        leaving(dynamic.unwrap(), None),
        leaving("", Some("a")),
        leaving("", Some("c")),
        leaving("", None),
        leaving("stranger", None),
        leaving("somebody", Some("b")),
        leaving(&b, Some("b")),
    ]);
    let expected = [
        Ok(()),
        Ok(()),
        Err(ResponseError::UnknownMemberId),
        Err(ResponseError::UnknownMemberId),
        Err(ResponseError::UnknownMemberId),
        Err(ResponseError::FencedInstanceId),
        Ok(()),
    ];
    assert_eq!(results, expected);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.generation(), generation, "all of it is one rebalance");
}

#[test]
fn nothing_happens_if_nobody_left() {
    let mut world = World::new();
    world.stable(vec![consumer()]);
    world.leave(&[Leaving { member_id: "stranger".to_owned(), instance_id: None }]);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn an_id_that_was_given_out_can_be_given_back() {
    let mut world = World::new();
    let promise = world.join(consumer());
    let promised = world.join_answer(promise).unwrap_err().1;
    world.leaves(&promised);
    let ticket = world.rejoin(&promised);
    assert_eq!(world.refused(ticket), ResponseError::UnknownMemberId);
}

#[test]
fn leaving_a_group_that_is_not_there_is_told_apart_from_an_impossible_one() {
    let mut world = World::new();
    let leaving = [Leaving::default()];
    assert_eq!(world.leave(&leaving), [Err(ResponseError::UnknownMemberId)]);
    let nowhere = world.coordinator.leave("", &leaving, world.now, &mut Effects::default());
    assert_eq!(nowhere, Err(ResponseError::InvalidGroupId));
}
