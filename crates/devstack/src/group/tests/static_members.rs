//! Members with a `group.instance.id` (KIP-345).

use kafka_protocol::ResponseError;

use super::World;
use super::harness::{GROUP, REBALANCE, consumer, protocols, static_consumer, sync_of};
use crate::group::{Join, Sync};

impl World {
    fn id_of(&self, instance_id: &str) -> String {
        self.coordinator.groups[GROUP].static_member(instance_id).unwrap().id.clone()
    }
}

#[test]
fn a_static_member_is_in_without_asking_for_an_id() {
    let mut world = World::new();
    let ticket = world.join(static_consumer("a"));
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, joined.members.len()), (1, 1));
    assert_eq!(joined.members[0].instance_id.as_deref(), Some("a"));
}

#[test]
fn a_follower_that_comes_back_goes_on_where_it_was() {
    let mut world = World::new();
    let (ids, generation) = world.stable(vec![consumer(), static_consumer("a")]);
    let old = world.id_of("a");
    assert_ne!(old, ids[0], "the first member leads");
    let ticket = world.join(static_consumer("a"));
    let joined = world.joined(ticket);
    assert_ne!(joined.member_id, old);
    assert_eq!((joined.generation, joined.skip_assignment), (generation, false));
    assert_eq!((&joined.leader, joined.members.len()), (&ids[0], 0));
    assert_eq!(world.state(), "Stable");

    let synced = world.sync_as(&joined);
    assert_eq!(world.assignment(synced), format!("for {old}"));
    assert_eq!(world.heartbeat(&ids[0], generation), Ok(()), "the others notice nothing");
}

#[test]
fn a_leader_that_comes_back_assigns_nothing() {
    // It is told so, or, if it doesn't understand that, it is told that its old self leads (KIP-814).
    for understands in [true, false] {
        let mut world = World::new();
        let join = || Join { skips_assignment: understands, ..static_consumer("a") };
        let (ids, generation) = world.stable(vec![join(), consumer()]);
        assert_eq!(world.id_of("a"), ids[0]);
        let ticket = world.join(join());
        let joined = world.joined(ticket);
        assert_eq!(joined.generation, generation);
        assert_eq!(joined.skip_assignment, understands);
        assert_eq!(joined.members.len(), if understands { 2 } else { 0 });
        assert_eq!(joined.leader == joined.member_id, understands);
        assert_eq!(joined.leader == ids[0], !understands);

        let synced = world.sync(sync_of(&joined));
        assert_eq!(world.assignment(synced), format!("for {}", ids[0]));
        let again = Join { member_id: joined.member_id, ..join() };
        let ticket = world.join(again);
        assert!(world.is_waiting(ticket), "it does lead");
    }
}

#[test]
fn the_replaced_member_is_fenced_wherever_it_shows_up() {
    let mut world = World::new();
    let (_, generation) = world.stable(vec![consumer(), static_consumer("a")]);
    let old = world.id_of("a");
    world.join(static_consumer("a"));
    let fenced = Err(ResponseError::FencedInstanceId);

    let heartbeat = world.coordinator.heartbeat(GROUP, &old, Some("a"), generation, world.now);
    assert_eq!(heartbeat, fenced);
    assert_eq!(world.heartbeat(&old, generation), Err(ResponseError::UnknownMemberId));
    let joining = world.join(Join { member_id: old.clone(), ..static_consumer("a") });
    assert_eq!(world.join_answer(joining), Err((ResponseError::FencedInstanceId, old.clone())));
    let syncing = world.sync(Sync {
        group: GROUP.to_owned(),
        member_id: old.clone(),
        instance_id: Some("a".to_owned()),
        generation,
        ..Sync::default()
    });
    assert_eq!(world.sync_answer(syncing).map(|_| ()), fenced);
    let unknown = world.coordinator.heartbeat(GROUP, &old, Some("b"), generation, world.now);
    assert_eq!(unknown, Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_replaced_member_is_not_waited_for_and_the_new_one_is() {
    for syncs in [true, false] {
        let mut world = World::new();
        let (ids, _) = world.stable(vec![consumer(), static_consumer("a")]);
        let leader = world.rejoin(&ids[0]);
        world.join(Join { member_id: world.id_of("a"), ..static_consumer("a") });
        let leader = world.joined(leader);
        world.sync_as(&leader);
        let ticket = world.join(static_consumer("a"));
        let joined = world.joined(ticket);
        if syncs {
            world.sync_as(&joined);
        }
        let members =
            [(ids[0].as_str(), leader.generation), (&*joined.member_id, leader.generation)];
        world.pass_with_heartbeats(REBALANCE, &members);
        assert_eq!(world.state(), if syncs { "Stable" } else { "PreparingRebalance" });
    }
}

#[test]
fn requests_of_the_replaced_member_that_wait_are_fenced() {
    let mut world = World::new();
    let (ids, _) = world.stable(vec![consumer(), static_consumer("a")]);
    let old = world.id_of("a");
    world.rejoin(&ids[0]);
    let follower = world.join(Join { member_id: old.clone(), ..static_consumer("a") });
    let syncing = world.sync_as(&world.joined(follower));
    assert!(world.is_waiting(syncing));
    // The leader may be assigning to the old id just now, so this begins anew.
    let replacing = world.join(static_consumer("a"));
    assert_eq!(world.sync_answer(syncing), Err(ResponseError::FencedInstanceId));
    assert!(world.is_waiting(replacing));
    assert_eq!(world.state(), "PreparingRebalance");

    let once_more = world.join(static_consumer("a"));
    assert_eq!(world.refused(replacing), ResponseError::FencedInstanceId);
    world.rejoin(&ids[0]);
    assert_eq!(world.joined(once_more).generation, world.generation());
}

#[test]
fn coming_back_with_another_protocol_rebalances_only_if_the_group_changes_its_own() {
    let cases =
        [(&["range"][..], false), (&["range", "other"][..], false), (&["roundrobin"][..], true)];
    for (offers, rebalances) in cases {
        let mut world = World::new();
        world.stable(vec![consumer(), static_consumer("a")]);
        let back = Join { protocols: protocols(offers), ..static_consumer("a") };
        let ticket = world.join(back);
        assert_eq!(world.is_waiting(ticket), rebalances, "{offers:?}");
    }
}

#[test]
fn an_instance_id_can_not_use_an_id_that_was_promised_to_a_dynamic_member() {
    let mut world = World::new();
    let promise = world.join(consumer());
    let promised = world.join_answer(promise).unwrap_err().1;
    let ticket = world.join(Join { member_id: promised, ..static_consumer("a") });
    assert_eq!(world.refused(ticket), ResponseError::UnknownServerError);
}
