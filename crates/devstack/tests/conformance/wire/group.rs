//! Consumer groups and their offsets.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolSubscription, DeleteGroupsRequest, DescribeGroupsRequest, GroupId,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::Encodable;

use super::{Answer, ResponseError, Wire, outcome, settled, text, topic_name};

const JOIN_GROUP: i16 = 5;
/// The shortest that Apache Kafka takes (`group.min.session.timeout.ms`).
pub const SESSION_TIMEOUT_MS: i32 = 6_000;

/// A member of a group as it calls itself.
#[derive(Debug, Clone)]
pub struct Member {
    pub group: String,
    /// Empty before the coordinator has given one.
    pub id: String,
    /// Of a static member (KIP-345).
    pub instance: Option<String>,
    /// -1 outside of any generation.
    pub generation: i32,
    pub session_timeout_ms: i32,
    /// Names of assignors, the preferred first.
    pub protocols: Vec<&'static str>,
    /// The topics that it asks for.
    pub topics: Vec<String>,
}

impl Member {
    pub fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            id: String::new(),
            instance: None,
            generation: -1,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            protocols: vec!["range"],
            topics: vec!["trips".to_owned()],
        }
    }

    pub fn instance(group: &str, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(group) }
    }

    pub fn with_generation(&self, generation: i32) -> Self {
        Self { generation, ..self.clone() }
    }

    pub fn with_id(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    /// Apache Kafka reads what members only tell each other, to know who is subscribed to a topic.
    pub fn metadata(&self) -> Bytes {
        let topics = self.topics.iter().map(|topic| text(topic)).collect();
        let mut bytes = BytesMut::new();
        bytes.put_i16(0);
        ConsumerProtocolSubscription::default().with_topics(topics).encode(&mut bytes, 0).unwrap();
        bytes.freeze()
    }

    fn join_request(&self) -> JoinGroupRequest {
        let protocol = |name: &&str| {
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(self.metadata())
        };
        JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(20_000)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(self.protocols.iter().map(protocol).collect())
    }
}

/// What a member learns when a generation begins.
#[derive(Debug)]
pub struct Joined {
    pub generation: i32,
    pub protocol: String,
    pub leader: String,
    pub member_id: String,
    /// Ids and metadata of all members; only the leader gets them.
    pub members: Vec<(String, Bytes)>,
}

impl Wire {
    pub fn send_join(&mut self, member: &Member) {
        self.send(JOIN_GROUP, &member.join_request());
    }

    /// The answer to `send_join`: it comes when all members have joined.
    pub fn receive_join(&mut self) -> Answer<Joined> {
        self.receive_join_or_id().map_err(|(error, _)| error)
    }

    fn receive_join_or_id(&mut self) -> Result<Joined, (ResponseError, String)> {
        let answer = self.receive::<JoinGroupRequest>(JOIN_GROUP);
        let member_id = answer.member_id.to_string();
        outcome(answer.error_code).map_err(|error| (error, member_id.clone()))?;
        let members = answer.members.into_iter();
        Ok(Joined {
            generation: answer.generation_id,
            protocol: answer.protocol_name.unwrap().to_string(),
            leader: answer.leader.to_string(),
            member_id,
            members: members.map(|m| (m.member_id.to_string(), m.metadata)).collect(),
        })
    }

    pub fn join(&mut self, member: &Member) -> Answer<Joined> {
        settled(|| {
            self.send_join(member);
            self.receive_join()
        })
    }

    /// Asks for a member id (KIP-394) with a first join, which adds nobody to the group.
    pub fn member_id(&mut self, member: &Member) -> String {
        let asked = settled(|| {
            self.send_join(member);
            match self.receive_join_or_id() {
                Err((ResponseError::MemberIdRequired, id)) => Ok(id),
                Err((error, _)) => Err(error),
                Ok(joined) => panic!("joined without an id: {joined:?}"),
            }
        });
        asked.unwrap()
    }

    /// Joins a group as its only member and takes this assignment.
    pub fn join_alone(&mut self, member: &mut Member) {
        if member.instance.is_none() {
            member.id = self.member_id(member);
        }
        let joined = self.join(member).unwrap();
        member.id = joined.member_id;
        member.generation = joined.generation;
        let id = member.id.clone();
        self.sync(member, &[(&id, b"everything")]).unwrap();
    }

    pub fn send_sync(&mut self, member: &Member, assignments: &[(&str, &[u8])]) {
        let assignment = |&(id, assignment): &(&str, &[u8])| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::copy_from_slice(assignment))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&member.group)))
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_assignments(assignments.iter().map(assignment).collect());
        self.send(3, &request);
    }

    pub fn receive_sync(&mut self) -> Answer<Bytes> {
        let answer = self.receive::<SyncGroupRequest>(3);
        outcome(answer.error_code).map(|()| answer.assignment)
    }

    pub fn sync(&mut self, member: &Member, assignments: &[(&str, &[u8])]) -> Answer<Bytes> {
        self.send_sync(member, assignments);
        self.receive_sync()
    }

    pub fn heartbeat(&mut self, member: &Member) -> Answer<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&member.group)))
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text));
        settled(|| outcome(self.ask(3, &request).error_code))
    }

    pub fn leave(&mut self, member: &Member) -> Answer<()> {
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(&member.group)))
            .with_member_id(text(&member.id));
        settled(|| outcome(self.ask(1, &request).error_code))
    }

    /// Takes a static member out of the group by its instance id alone, as administrators do.
    pub fn remove_instance(&mut self, group: &str, instance: &str) -> Answer<()> {
        let member = MemberIdentity::default().with_group_instance_id(Some(text(instance)));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_members(vec![member]);
        let answer = self.ask(4, &request);
        outcome(answer.error_code).and_then(|()| outcome(answer.members[0].error_code))
    }

    /// Commits an offset of partition 0.
    pub fn commit_offset(
        &mut self,
        member: &Member,
        topic: &str,
        offset: i64,
        metadata: &str,
    ) -> Answer<()> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(7)
            .with_committed_metadata(Some(text(metadata)));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&member.group)))
            .with_generation_id_or_member_epoch(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_topics(vec![topic]);
        settled(|| outcome(self.ask(8, &request).topics[0].partitions[0].error_code))
    }

    /// Offset, leader epoch and metadata that a group has committed for partition 0 of a topic.
    pub fn committed(
        &mut self,
        group: &str,
        topic: &str,
        require_stable: bool,
    ) -> Answer<(i64, i32, String)> {
        let topics = OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0]);
        let request = offset_fetch(group, Some(vec![topics]), require_stable);
        settled(|| {
            let answer = self.ask(8, &request).groups.remove(0);
            outcome(answer.error_code)?;
            let partition = &answer.topics[0].partitions[0];
            outcome(partition.error_code)?;
            let metadata = partition.metadata.as_ref().unwrap().to_string();
            Ok((partition.committed_offset, partition.committed_leader_epoch, metadata))
        })
    }

    /// Topics, partitions and offsets of all that a group has committed.
    pub fn all_committed(&mut self, group: &str) -> Vec<(String, i32, i64)> {
        let answer = self.ask(8, &offset_fetch(group, None, false)).groups.remove(0);
        outcome(answer.error_code).unwrap();
        let topic =
            |topic: kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopics| {
                let name = topic.name.0.to_string();
                let partitions = topic.partitions.into_iter();
                partitions.map(move |p| (name.clone(), p.partition_index, p.committed_offset))
            };
        answer.topics.into_iter().flat_map(topic).collect()
    }

    pub fn delete_offset(&mut self, group: &str, topic: &str) -> Answer<()> {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![topic]);
        let answer = self.ask(0, &request);
        outcome(answer.error_code).and_then(|()| outcome(answer.topics[0].partitions[0].error_code))
    }

    pub fn describe_group(&mut self, group: &str) -> DescribedGroup {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        self.ask(4, &request).groups.remove(0)
    }

    /// Names and states of the groups that are in one of these states, of all if none is named.
    pub fn list_groups(&mut self, states: &[&str]) -> Vec<(String, String)> {
        let states = states.iter().map(|state| text(state)).collect();
        let answer = self.ask(4, &ListGroupsRequest::default().with_states_filter(states));
        outcome(answer.error_code).unwrap();
        let name_and_state =
            |group: kafka_protocol::messages::list_groups_response::ListedGroup| {
                (group.group_id.0.to_string(), group.group_state.to_string())
            };
        answer.groups.into_iter().map(name_and_state).collect()
    }

    pub fn delete_group(&mut self, group: &str) -> Answer<()> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        settled(|| outcome(self.ask(1, &request).results[0].error_code))
    }
}

fn offset_fetch(
    group: &str,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
    require_stable: bool,
) -> OffsetFetchRequest {
    let group =
        OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(topics);
    OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(require_stable)
}
