//! The classic group protocol: joining, generations, leaving, dying.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::rig::{DEADLINE, eventually, group, topic, unique};
use crate::wire::group::SESSION_TIMEOUT_MS;
use crate::wire::{Member, ResponseError, Wire};

/// Two members in one generation, each on its connection; the first leads.
fn pair(group: &str) -> [(Wire, Member); 2] {
    let (mut first, mut second) = (Wire::connect(), Wire::connect());
    let mut leader = Member::new(group);
    leader.topics = vec!["of the leader".to_owned()];
    first.join_alone(&mut leader);
    let mut follower = Member::new(group);
    follower.id = second.member_id(&follower);
    follower.topics = vec!["of the follower".to_owned()];
    second.send_join(&follower);
    await_rebalance(&mut first, &leader);
    let joined = first.join(&leader).unwrap();
    let joined_too = second.receive_join().unwrap();
    assert_eq!((&joined.leader, &joined_too.leader), (&leader.id, &leader.id));
    assert_eq!(joined.generation, joined_too.generation);
    assert!(joined_too.members.is_empty(), "only the leader learns who there is");
    let mut members = joined.members;
    members.sort();
    let mut expected =
        vec![(leader.id.clone(), leader.metadata()), (follower.id.clone(), follower.metadata())];
    expected.sort();
    assert_eq!(members, expected);
    leader.generation = joined.generation;
    follower.generation = joined.generation;
    [(first, leader), (second, follower)]
}

/// Waits until a heartbeat says that the group rebalances.
fn await_rebalance(wire: &mut Wire, member: &Member) {
    eventually("the group rebalances", || match wire.heartbeat(member) {
        Ok(()) => None,
        Err(ResponseError::RebalanceInProgress) => Some(()),
        Err(error) => panic!("heartbeat: {error}"),
    });
}

#[test]
fn member_must_ask_for_an_id_before_it_joins() {
    let group = group();
    let mut wire = Wire::connect();
    let mut member = Member::new(&group);
    member.id = wire.member_id(&member);
    assert!(!member.id.is_empty());
    assert_eq!(wire.describe_group(&group).members.len(), 0, "having an id is not membership");
    let joined = wire.join(&member).unwrap();
    assert_eq!((joined.generation, &joined.leader), (1, &member.id));
    assert_eq!(joined.member_id, member.id);
    assert_eq!(joined.protocol, "range");
    let stranger = Member::new(&group).with_id("nobody");
    assert_eq!(wire.join(&stranger).map(|_| ()), Err(ResponseError::UnknownMemberId));
}

#[test]
fn leader_distributes_what_followers_receive() {
    let group = group();
    let [(mut first, leader), (mut second, follower)] = pair(&group);
    second.send_sync(&follower, &[]);
    let shares: [(&str, &[u8]); 2] = [(&leader.id, b"left"), (&follower.id, b"right")];
    assert_eq!(first.sync(&leader, &shares), Ok(Bytes::from_static(b"left")));
    assert_eq!(second.receive_sync(), Ok(Bytes::from_static(b"right")));
    // Asked again in the same generation, the coordinator repeats itself.
    assert_eq!(second.sync(&follower, &[]), Ok(Bytes::from_static(b"right")));
    assert_eq!(first.heartbeat(&leader), Ok(()));
    let described = first.describe_group(&group);
    assert_eq!(
        (&*described.group_state, &*described.protocol_type, &*described.protocol_data),
        ("Stable", "consumer", "range")
    );
    let mut assignments: Vec<Bytes> =
        described.members.iter().map(|member| member.member_assignment.clone()).collect();
    assignments.sort();
    assert_eq!(assignments, ["left", "right"]);
    assert!(described.members.iter().all(|member| *member.client_id == *"conformance"));
}

#[test]
fn wrong_generations_and_strangers_are_refused() {
    let group = group();
    let mut wire = Wire::connect();
    let mut member = Member::new(&group);
    wire.join_alone(&mut member);
    for generation in [member.generation - 1, member.generation + 1] {
        let wrong = member.with_generation(generation);
        assert_eq!(wire.heartbeat(&wrong), Err(ResponseError::IllegalGeneration));
        assert_eq!(wire.sync(&wrong, &[]), Err(ResponseError::IllegalGeneration));
    }
    let stranger = member.with_id("nobody");
    assert_eq!(wire.heartbeat(&stranger), Err(ResponseError::UnknownMemberId));
    assert_eq!(wire.sync(&stranger, &[]), Err(ResponseError::UnknownMemberId));
    assert_eq!(wire.leave(&stranger), Err(ResponseError::UnknownMemberId));
    let elsewhere = Member { group: unique("group"), ..member.clone() };
    assert_eq!(wire.heartbeat(&elsewhere), Err(ResponseError::UnknownMemberId));
    assert_eq!(wire.heartbeat(&member), Ok(()));
}

#[test]
fn group_has_a_name_and_a_session_has_limits() {
    let group = group();
    let mut wire = Wire::connect();
    let nameless = Member::new("");
    assert_eq!(wire.join(&nameless).map(|_| ()), Err(ResponseError::InvalidGroupId));
    for session_timeout_ms in [1, i32::MAX] {
        let member = Member { session_timeout_ms, ..Member::new(&group) };
        let refused = wire.join(&member).map(|_| ());
        assert_eq!(refused, Err(ResponseError::InvalidSessionTimeout), "{session_timeout_ms} ms");
    }
}

#[test]
fn members_must_have_an_assignor_in_common() {
    let group = group();
    let mut first = Wire::connect();
    let mut member = Member::new(&group);
    member.protocols = vec!["range", "roundrobin"];
    first.join_alone(&mut member);
    let mut second = Wire::connect();
    let mut other = Member { protocols: vec!["sticky"], ..Member::new(&group) };
    let refused = second.join(&other).map(|_| ());
    assert_eq!(refused, Err(ResponseError::InconsistentGroupProtocol));
    other.protocols = vec![];
    let refused = second.join(&other).map(|_| ());
    assert_eq!(refused, Err(ResponseError::InconsistentGroupProtocol));
    // The only one that both know is chosen, whatever each prefers.
    other.protocols = vec!["sticky", "roundrobin"];
    other.id = second.member_id(&other);
    second.send_join(&other);
    await_rebalance(&mut first, &member);
    assert_eq!(first.join(&member).unwrap().protocol, "roundrobin");
    assert_eq!(second.receive_join().unwrap().protocol, "roundrobin");
}

#[test]
fn member_that_leaves_makes_the_others_rebalance() {
    let group = group();
    let [(mut first, leader), (mut second, follower)] = pair(&group);
    second.send_sync(&follower, &[]);
    first.sync(&leader, &[(&leader.id, b"a"), (&follower.id, b"b")]).unwrap();
    second.receive_sync().unwrap();
    assert_eq!(first.leave(&leader), Ok(()));
    await_rebalance(&mut second, &follower);
    let joined = second.join(&follower).unwrap();
    assert_eq!((joined.leader, joined.generation), (follower.id.clone(), follower.generation + 1));
    assert_eq!(second.leave(&follower), Ok(()));
    let described = second.describe_group(&group);
    assert_eq!((&*described.group_state, described.members.len()), ("Empty", 0));
}

#[test]
fn member_that_is_silent_for_its_session_is_removed() {
    let group = group();
    let [(mut first, leader), (mut second, follower)] = pair(&group);
    second.send_sync(&follower, &[]);
    first.sync(&leader, &[(&leader.id, b"a"), (&follower.id, b"b")]).unwrap();
    second.receive_sync().unwrap();
    let begin = Instant::now();
    await_rebalance(&mut first, &leader);
    let silent = begin.elapsed();
    let session = Duration::from_millis(SESSION_TIMEOUT_MS as u64);
    assert!(silent > session.mul_f64(0.8) && silent < DEADLINE, "{silent:?}");
    let joined = first.join(&leader).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (leader.generation + 1, 1));
    assert_eq!(second.heartbeat(&follower), Err(ResponseError::UnknownMemberId));
}

#[test]
fn follower_waits_for_the_leader() {
    let group = group();
    let [(mut first, leader), (mut second, follower)] = pair(&group);
    second.send_sync(&follower, &[]);
    assert_eq!(&*first.describe_group(&group).group_state, "CompletingRebalance");
    // In this state, too, a heartbeat keeps a member alive.
    assert_eq!(first.heartbeat(&leader), Ok(()));
    first.sync(&leader, &[(&leader.id, b"a"), (&follower.id, b"b")]).unwrap();
    assert_eq!(second.receive_sync(), Ok(Bytes::from_static(b"b")));
}

#[test]
fn leader_that_joins_again_starts_a_generation() {
    let group = group();
    let mut wire = Wire::connect();
    let mut member = Member::new(&group);
    wire.join_alone(&mut member);
    // A leader does so when topics or partitions have changed.
    let joined = wire.join(&member).unwrap();
    assert_eq!(joined.generation, member.generation + 1);
}

#[test]
fn follower_that_joins_again_unchanged_starts_no_generation() {
    let group = group();
    let [(mut first, leader), (mut second, follower)] = pair(&group);
    second.send_sync(&follower, &[]);
    first.sync(&leader, &[(&leader.id, b"a"), (&follower.id, b"b")]).unwrap();
    second.receive_sync().unwrap();
    let joined = second.join(&follower).unwrap();
    assert_eq!(joined.generation, follower.generation);
    assert_eq!(first.heartbeat(&leader), Ok(()));
}

#[test]
fn groups_are_listed_with_their_states() {
    let [empty, stable] = [group(), group()];
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.commit_offset(&Member::new(&empty), &topic, 1, "").unwrap();
    wire.join_alone(&mut Member::new(&stable));
    let listed = |wire: &mut Wire, states: &[&str], name: &str, state: &str| {
        wire.list_groups(states).contains(&(name.to_owned(), state.to_owned()))
    };
    assert!(listed(&mut wire, &[], &empty, "Empty"));
    assert!(listed(&mut wire, &[], &stable, "Stable"));
    assert!(listed(&mut wire, &["Stable", "Dead"], &stable, "Stable"));
    assert!(!listed(&mut wire, &["Stable", "Dead"], &empty, "Empty"));
    let unknown = wire.describe_group(&unique("unknown"));
    assert_eq!((unknown.error_code, &*unknown.group_state), (0, "Dead"));
    let empty = wire.describe_group(&empty);
    assert_eq!((empty.error_code, &*empty.group_state), (0, "Empty"));
}

#[test]
fn only_a_group_without_members_is_deleted() {
    let (group, topic) = (group(), topic(1));
    let mut wire = Wire::connect();
    assert_eq!(wire.delete_group(&group), Err(ResponseError::GroupIdNotFound));
    let mut member = Member::new(&group);
    wire.join_alone(&mut member);
    wire.commit_offset(&member, &topic, 4, "").unwrap();
    assert_eq!(wire.delete_group(&group), Err(ResponseError::NonEmptyGroup));
    wire.leave(&member).unwrap();
    assert_eq!(wire.delete_group(&group), Ok(()));
    assert_eq!(wire.committed(&group, &topic, true).unwrap().0, -1);
    assert_eq!(&*wire.describe_group(&group).group_state, "Dead");
    assert_eq!(wire.delete_group(&group), Err(ResponseError::GroupIdNotFound));
}
