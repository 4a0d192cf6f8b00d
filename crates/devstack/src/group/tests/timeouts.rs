//! Time-outs: members that send nothing.

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, REBALANCE, SESSION, consumer, protocols, static_consumer};
use crate::group::{Effects, Join};

#[test]
fn a_member_is_in_as_long_as_its_heartbeats_come() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer()]);
    world.pass(SESSION - 1);
    assert_eq!(world.heartbeat(&ids[0], generation), Ok(()));
    world.pass(SESSION - 1);
    assert_eq!(world.state(), "Stable");
    world.pass(1);
    assert_eq!((world.state(), world.generation()), ("Empty", generation + 1));
    assert_eq!(world.heartbeat(&ids[0], generation), Err(ResponseError::UnknownMemberId));
}

#[test]
fn the_others_go_on_without_a_member_whose_session_ended() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    world.pass_with_heartbeats(2 * SESSION, &[(&ids[1], generation)]);
    assert_eq!(world.heartbeat(&ids[1], generation), Err(ResponseError::RebalanceInProgress));
    let ticket = world.rejoin(&ids[1]);
    assert_eq!(world.joined(ticket).members.len(), 1);
}

#[test]
fn a_session_does_not_end_while_its_member_waits_for_the_others() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let joining = world.rejoin(&ids[0]);
    world.pass_with_heartbeats(3 * SESSION, &[(&ids[1], generation)]);
    assert!(world.is_waiting(joining));

    // Nor while it waits for its assignment, here the follower for the leader's.
    let leader = world.rejoin(&ids[1]);
    let (leader, follower) = (world.joined(leader), world.joined(joining));
    let (leader, follower) =
        if leader.members.is_empty() { (follower, leader) } else { (leader, follower) };
    let syncing = world.sync_as(&follower);
    world.pass_with_heartbeats(3 * SESSION, &[(&leader.member_id, leader.generation)]);
    assert!(world.is_waiting(syncing));
    world.sync_as(&leader);
    assert_eq!(world.assignment(syncing), format!("for {}", follower.member_id));

    // From the answer on it is its turn again.
    world.pass_with_heartbeats(SESSION, &[(&leader.member_id, leader.generation)]);
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn a_rebalance_goes_on_without_who_does_not_come_in_time() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let joining = world.rejoin(&ids[0]);
    world.pass_with_heartbeats(REBALANCE - 1, &[(&ids[1], generation)]);
    assert!(world.is_waiting(joining));
    world.pass(1);
    let joined = world.joined(joining);
    assert_eq!((joined.generation, joined.members.len()), (generation + 1, 1));
    assert_eq!(world.heartbeat(&ids[1], generation), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_does_not_come_in_time_leads_no_more() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer(), consumer()]);
    let joining: Vec<_> = ids[1..]
        .iter()
        .map(|id| {
            let protocols = protocols(&["range"]);
            world.join(Join { member_id: id.clone(), protocols, ..consumer() })
        })
        .collect();
    world.pass_with_heartbeats(REBALANCE, &[(&ids[0], generation)]);
    for ticket in joining {
        let joined = world.joined(ticket);
        assert_eq!(joined.generation, generation + 1);
        assert_ne!(joined.leader, ids[0]);
    }
}

#[test]
fn who_does_not_ask_for_its_assignment_in_time_is_out() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let (leader, follower) = (world.rejoin(&ids[0]), world.rejoin(&ids[1]));
    let generation = world.joined(leader).generation;
    let syncing = world.sync_as(&world.joined(follower));
    world.pass_with_heartbeats(REBALANCE, &[(&ids[0], generation)]);
    assert_eq!(world.sync_answer(syncing), Err(ResponseError::RebalanceInProgress));
    let ticket = world.rejoin(&ids[1]);
    let joined = world.joined(ticket);
    assert_eq!((joined.members.len(), joined.leader), (1, ids[1].clone()));

    // The same for a follower in a group that is stable already.
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer()]);
    let leader = world.rejoin(&ids[0]);
    world.rejoin(&ids[1]);
    let leader = world.joined(leader);
    world.sync_as(&leader);
    let members = [(ids[0].as_str(), leader.generation), (ids[1].as_str(), leader.generation)];
    world.pass_with_heartbeats(REBALANCE - 1, &members);
    assert_eq!(world.state(), "Stable");
    world.pass_with_heartbeats(1, &members);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(&ids[1], leader.generation), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_new_member_that_waits_too_long_is_taken_for_gone() {
    let minutes = 60 * 1000;
    let mut world = World::new();
    let patient = || Join { rebalance_timeout: 30 * minutes, ..consumer() };
    let (ids, generation) = world.stable(vec![patient()]);
    let (_, waiting) = world.enter(patient());
    world.pass_with_heartbeats(5 * minutes, &[(&ids[0], generation)]);
    assert_eq!(world.join_answer(waiting), Err((ResponseError::UnknownMemberId, String::new())));
}

#[test]
fn a_promise_of_an_id_ends_with_a_session() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let promise = world.join(consumer());
    let promised = world.join_answer(promise).unwrap_err().1;
    let (first, _) = (world.rejoin(&ids[0]), world.rejoin(&ids[1]));
    world.pass(SESSION - 1);
    assert!(world.is_waiting(first));
    world.pass(1);
    assert_eq!(world.joined(first).generation, generation + 1);
    let ticket = world.rejoin(&promised);
    assert_eq!(world.refused(ticket), ResponseError::UnknownMemberId);
}

#[test]
fn static_members_stay_in_a_rebalance_until_their_sessions_end() {
    let mut world = World::new();
    let long = |instance| Join { session_timeout: 3 * REBALANCE, ..static_consumer(instance) };
    let (ids, generation) = world.stable(vec![long("a"), long("b")]);
    // A new member begins a rebalance. Of the old ones none comes.
    let (_, ticket) = world.enter(Join { session_timeout: 3 * REBALANCE, ..consumer() });
    world.pass(REBALANCE);
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, joined.members.len()), (generation + 1, 3));
    assert_eq!(joined.leader, joined.member_id, "who is there leads");
    world.sync_as(&joined);
    // They don't ask for their assignments either.
    world.pass(REBALANCE);
    let members = &world.coordinator.groups[GROUP].members;
    assert!(!members.contains_key(&ids[0]) && !members.contains_key(&ids[1]));
}

#[test]
fn a_rebalance_of_static_members_only_is_postponed_until_one_comes() {
    let mut world = World::new();
    let long = |instance| Join { session_timeout: 4 * REBALANCE, ..static_consumer(instance) };
    let (ids, generation) = world.stable(vec![long("a"), long("b"), consumer()]);
    let dynamic =
        ids.iter().find(|id| world.coordinator.groups[GROUP].members[*id].instance_id.is_none());
    world.leaves(&dynamic.unwrap().clone());
    world.pass(2 * REBALANCE);
    assert_eq!((world.state(), world.generation()), ("PreparingRebalance", generation));
    let a = world.coordinator.groups[GROUP].static_member("a").unwrap().id.clone();
    let ticket = world.join(Join { member_id: a.clone(), ..long("a") });
    world.pass(REBALANCE);
    assert_eq!(world.joined(ticket).leader, a);
}

#[test]
fn an_answer_that_time_brings_begins_a_session_anew() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let protocols = protocols(&["range"]);
    let ticket = world.join(Join { member_id: ids[1].clone(), protocols, ..consumer() });
    // Both sessions have ended by now. When the first member is out, nobody is missing any more.
    world.now += SESSION;
    world.tick();
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, joined.members.len()), (generation + 1, 1));
    assert_eq!(world.heartbeat(&ids[1], generation + 1), Ok(()));
}

#[test]
fn sessions_can_be_ended_by_hand() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), consumer()]);
    let mut effects = Effects::default();
    let one = world.coordinator.expire_sessions(GROUP, Some(&ids[0]), world.now, &mut effects);
    world.apply(effects);
    assert_eq!((one, world.state()), (1, "PreparingRebalance"));
    let joining = world.rejoin(&ids[1]);
    assert_eq!(world.joined(joining).generation, generation + 1);

    let mut effects = Effects::default();
    assert_eq!(world.coordinator.expire_sessions("other", None, world.now, &mut effects), 0);
    assert_eq!(world.coordinator.expire_sessions(GROUP, None, world.now, &mut effects), 1);
    world.apply(effects);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_clock_that_jumps_is_survived() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), consumer(), static_consumer("a")]);
    let joining = world.rejoin(&ids[0]);
    world.now += 24 * 60 * 60 * 1000;
    world.tick();
    assert_eq!(world.joined(joining).leader, ids[0]);
}
