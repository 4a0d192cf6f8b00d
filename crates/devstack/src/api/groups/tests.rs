use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

use super::*;
use crate::api::tests::sent;
use crate::group::GroupAnswer;

struct Broker {
    coordinator: Coordinator,
    answers: HashMap<Ticket, GroupAnswer>,
    tickets: u64,
}

impl Broker {
    fn new() -> Self {
        Self { coordinator: Coordinator::default(), answers: HashMap::new(), tickets: 0 }
    }

    fn join(&mut self, request: JoinGroupRequest, version: i16) -> JoinGroupResponse {
        let mut effects = Effects::default();
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let client = Client { id: "app".to_owned(), host: "/127.0.0.1".to_owned() };
        join(&mut self.coordinator, request, version, &client, ticket, 0, &mut effects);
        self.answers.extend(effects.answers);
        let Some(GroupAnswer::Join(answer)) = self.answers.remove(&ticket) else {
            panic!("the only member of a group doesn't wait");
        };
        sent(&join_response(answer, version), version)
    }

    fn sync(&mut self, request: SyncGroupRequest, version: i16) -> SyncGroupResponse {
        let mut effects = Effects::default();
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        sync(&mut self.coordinator, request, version, ticket, 0, &mut effects);
        let Some((_, GroupAnswer::Sync(answer))) = effects.answers.pop() else {
            panic!("a leader doesn't wait");
        };
        sent(&sync_response(answer), version)
    }

    /// A group `g` of one member, as far as versions from 9 down to 0 say: its member id.
    fn enter(&mut self, version: i16) -> JoinGroupResponse {
        let asked = self.join(join_request(), version);
        if version < 4 {
            return asked;
        }
        assert_eq!(asked.error_code, ResponseError::MemberIdRequired.code());
        assert!(asked.member_id.starts_with("app-"), "{:?}", asked.member_id);
        let response = self.join(join_request().with_member_id(asked.member_id.clone()), version);
        assert_eq!(response.member_id, asked.member_id);
        response
    }

    /// The same, with an assignment `all`.
    fn stable(&mut self) -> JoinGroupResponse {
        let joined = self.enter(9);
        let response = self.sync(sync_request(&joined), 5);
        assert_eq!((response.error_code, response.assignment), (0, Bytes::from_static(b"all")));
        joined
    }
}

fn group() -> GroupId {
    GroupId("g".into())
}

fn join_request() -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name("range".into())
        .with_metadata(Bytes::from_static(b"topics"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type("consumer".into())
        .with_protocols(vec![protocol])
}

fn sync_request(joined: &JoinGroupResponse) -> SyncGroupRequest {
    let all = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"all"));
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_member_id(joined.member_id.clone())
        .with_generation_id(joined.generation_id)
        .with_protocol_type(Some("consumer".into()))
        .with_protocol_name(Some("range".into()))
        .with_assignments(vec![all])
}

#[test]
fn a_leader_learns_all_in_every_version() {
    for version in 0..=9 {
        let joined = Broker::new().enter(version);
        assert_eq!((joined.error_code, joined.generation_id), (0, 1), "version {version}");
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.protocol_type.as_deref(), (version >= 7).then_some("consumer"));
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, "topics");
    }
}

#[test]
fn a_refusal_to_join_can_be_read_in_every_version() {
    for version in 0..=9 {
        let stranger = join_request().with_member_id("stranger".into());
        let response = Broker::new().join(stranger, version);
        assert_eq!(response.error_code, ResponseError::UnknownMemberId.code());
        assert_eq!((&*response.member_id, response.generation_id), ("stranger", -1));
        assert_eq!(response.protocol_name.as_deref(), (version < 7).then_some(""));
    }
}

#[test]
fn a_static_leader_that_comes_back_is_answered_in_every_version() {
    for version in 5..=9 {
        let mut broker = Broker::new();
        let request = || join_request().with_group_instance_id(Some("one".into()));
        let first = broker.join(request(), version);
        assert!(first.member_id.starts_with("one-"));
        broker.sync(sync_request(&first), 5);
        let second = broker.join(request(), version);
        assert_eq!((second.error_code, second.generation_id), (0, 1));
        assert_eq!(second.skip_assignment, version == 9);
        let leader = if version == 9 { &second.member_id } else { &first.member_id };
        assert_eq!(&second.leader, leader);
    }
}

#[test]
fn before_version_1_a_rebalance_takes_as_long_as_a_session() {
    let mut broker = Broker::new();
    broker.join(join_request().with_rebalance_timeout_ms(-1), 0);
    assert_eq!(broker.coordinator.next_deadline(), Some(10_000));
}

#[test]
fn an_assignment_and_its_refusal_can_be_read_in_every_version() {
    for version in 0..=5 {
        let mut broker = Broker::new();
        let joined = broker.enter(9);
        let old = sync_request(&joined).with_generation_id(0);
        let refused = broker.sync(old, version);
        assert_eq!(refused.error_code, ResponseError::IllegalGeneration.code());
        let synced = broker.sync(sync_request(&joined), version);
        assert_eq!((synced.error_code, synced.assignment), (0, Bytes::from_static(b"all")));
        assert_eq!(synced.protocol_name.as_deref(), (version >= 5).then_some("range"));
    }
}

#[test]
fn from_version_5_on_a_sync_names_its_protocol() {
    for (version, error) in [(4, 0), (5, ResponseError::InconsistentGroupProtocol.code())] {
        let mut broker = Broker::new();
        let joined = broker.enter(9);
        let unnamed = sync_request(&joined).with_protocol_name(None);
        assert_eq!(broker.sync(unnamed, version).error_code, error);
    }
}

#[test]
fn heartbeats_are_answered_in_every_version() {
    let mut broker = Broker::new();
    let joined = broker.stable();
    for version in 0..=4 {
        let request = HeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(joined.member_id.clone())
            .with_generation_id(1);
        let response = heartbeat(&mut broker.coordinator, &request, 0);
        assert_eq!(sent(&response, version).error_code, 0);
        let response = heartbeat(&mut broker.coordinator, &request.with_generation_id(2), 0);
        let error = sent(&response, version).error_code;
        assert_eq!(error, ResponseError::IllegalGeneration.code());
    }
}

#[test]
fn leaving_is_answered_for_one_member_or_for_each() {
    for version in 0..=5 {
        let mut broker = Broker::new();
        let joined = broker.stable();
        let request = |member: StrBytes| {
            let request = LeaveGroupRequest::default().with_group_id(group());
            if version < 3 {
                return request.with_member_id(member);
            }
            request.with_members(vec![MemberIdentity::default().with_member_id(member)])
        };
        let unknown = ResponseError::UnknownMemberId.code();
        for (member, error) in [("stranger".into(), unknown), (joined.member_id, 0)] {
            let request = request(member);
            let mut effects = Effects::default();
            let response = leave(&mut broker.coordinator, &request, version, 0, &mut effects);
            let response = sent(&response, version);
            if version < 3 {
                assert_eq!(response.error_code, error, "version {version}");
            } else {
                assert_eq!((response.error_code, response.members.len()), (0, 1));
                assert_eq!(response.members[0].error_code, error, "version {version}");
                assert_eq!(response.members[0].member_id, request.members[0].member_id);
            }
        }
        let nowhere = LeaveGroupRequest::default();
        let mut effects = Effects::default();
        let response = leave(&mut broker.coordinator, &nowhere, version, 0, &mut effects);
        let error = sent(&response, version).error_code;
        assert_eq!(error, ResponseError::InvalidGroupId.code());
    }
}

#[test]
fn groups_are_described_in_every_version() {
    let mut broker = Broker::new();
    let joined = broker.stable();
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![group(), GroupId("missing".into())])
            .with_include_authorized_operations(version >= 3);
        let response = sent(&describe(&broker.coordinator, request, version), version);
        let [found, missing] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!((found.error_code, found.group_id.as_str()), (0, "g"));
        assert_eq!((&*found.group_state, &*found.protocol_data), ("Stable", "range"));
        assert_eq!(found.authorized_operations, if version >= 3 { 3400 } else { i32::MIN });
        let [member] = &found.members[..] else { panic!("{found:?}") };
        assert_eq!((&member.member_id, &*member.client_id), (&joined.member_id, "app"));
        assert_eq!(
            (&member.member_metadata[..], &member.member_assignment[..]),
            (&b"topics"[..], &b"all"[..])
        );

        assert_eq!((missing.group_id.as_str(), &*missing.group_state), ("missing", "Dead"));
        let error = if version >= 6 { ResponseError::GroupIdNotFound.code() } else { 0 };
        assert_eq!(missing.error_code, error);
        let message = (version >= 6).then_some("Group missing not found.");
        assert_eq!(missing.error_message.as_deref(), message);
    }
}

#[test]
fn groups_are_listed_in_every_version_and_filtered() {
    let mut broker = Broker::new();
    broker.stable();
    for version in 0..=5 {
        let response = list(&broker.coordinator, &ListGroupsRequest::default());
        let response = sent(&response, version);
        let [listed] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!((listed.group_id.as_str(), &*listed.protocol_type), ("g", "consumer"));
        assert_eq!(&*listed.group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(&*listed.group_type, if version >= 5 { "classic" } else { "" });
    }
    let cases: [(&[&'static str], &[&'static str], usize); 6] = [
        (&["Stable"], &[], 1),
        (&["empty", " stable "], &[], 1),
        (&["Empty"], &[], 0),
        (&[], &["Classic"], 1),
        (&[], &["consumer"], 0),
        (&["Stable"], &["share"], 0),
    ];
    for (states, types, count) in cases {
        let texts = |texts: &[&'static str]| texts.iter().map(|text| (*text).into()).collect();
        let request = ListGroupsRequest::default()
            .with_states_filter(texts(states))
            .with_types_filter(texts(types));
        let listed = list(&broker.coordinator, &request).groups;
        assert_eq!(listed.len(), count, "{states:?} {types:?}");
    }
}

#[test]
fn deletions_are_answered_in_every_version() {
    for version in 0..=2 {
        let mut broker = Broker::new();
        broker.stable();
        let request = DeleteGroupsRequest::default()
            .with_groups_names(vec![group(), GroupId("missing".into())]);
        let response = delete(&mut broker.coordinator, request, &mut Vec::new());
        let errors: Vec<_> =
            sent(&response, version).results.iter().map(|result| result.error_code).collect();
        let expected = [ResponseError::NonEmptyGroup, ResponseError::GroupIdNotFound];
        assert_eq!(errors, expected.map(|error| error.code()));
    }
}
