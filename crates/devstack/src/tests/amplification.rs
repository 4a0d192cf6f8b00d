//! Requests of two megabytes that ask for as much as possible. Their cost stays in proportion to their size.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeTransactionsRequest, FetchRequest, GroupId, InitProducerIdRequest, JoinGroupRequest,
    ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, RequestKind, ResponseKind, TopicName, TransactionalId,
};

use super::allocations::most_held_by;
use super::lab::{Fate, Lab, encode};
use crate::wire::frame;

/// What is decoded and answered of one such request; a hundred times its size.
const MOST_HELD: usize = 256 << 20;
/// In a build that is not optimised, on a machine that does something else as well.
const DEADLINE: Duration = Duration::from_secs(10);
const PARTITIONS: i32 = 10_000;

fn topic() -> TopicName {
    TopicName("wide".into())
}

fn group() -> GroupId {
    GroupId("g".into())
}

fn create(topics: Vec<CreatableTopic>) -> RequestKind {
    RequestKind::CreateTopics(CreateTopicsRequest::default().with_topics(topics))
}

fn new_topic(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(name.to_owned().into()))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
}

fn commit() -> RequestKind {
    let partitions = (0..PARTITIONS).map(|index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_metadata(Some("how far".repeat(20).into()))
    });
    let of = OffsetCommitRequestTopic::default().with_name(topic());
    RequestKind::OffsetCommit(
        OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![of.with_partitions(partitions.collect())]),
    )
}

/// A broker with a topic of many partitions, in each of which a group has committed an offset.
fn wide() -> Lab {
    let lab = Lab::new();
    for (version, request) in [(5, create(vec![new_topic("wide", PARTITIONS)])), (8, commit())] {
        lab.ask(version, &request);
    }
    let begin = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId("t".into())))
        .with_transaction_timeout_ms(60_000);
    lab.ask(0, &RequestKind::InitProducerId(begin));
    lab
}

fn is_cheap(lab: &Lab, what: &str, version: i16, request: &RequestKind) -> Fate {
    let (_, bytes) = encode(version, request);
    assert!(bytes.len() < frame::LARGEST_WITHOUT_RECORDS, "{what}: {} bytes", bytes.len());
    let began = Instant::now();
    let (fate, held) = most_held_by(|| lab.meet(bytes));
    let took = began.elapsed();
    assert!(held < MOST_HELD && took < DEADLINE, "{what}: {held} bytes were held for {took:?}");
    fate
}

#[test]
fn what_is_asked_for_again_and_again_is_answered_once() {
    let lab = wide();
    let many = 1 << 16;
    let all_indexes: Vec<i32> = (0..PARTITIONS).cycle().take(many).collect();
    let name = MetadataRequestTopic::default().with_name(Some(topic()));
    let resource = DescribeConfigsResource::default().with_resource_type(2);
    let resource = resource.with_resource_name("wide".into()).with_configuration_keys(None);
    let all_of_group = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let some_of_group = all_of_group.clone().with_topics(Some(vec![
        OffsetFetchRequestTopics::default()
            .with_name(topic())
            .with_partition_indexes(all_indexes.clone()),
    ]));
    let of_group = OffsetFetchRequestTopic::default().with_name(topic());
    let of_group = of_group.with_partition_indexes(all_indexes.clone());
    let latest = ListOffsetsPartition::default().with_timestamp(-3);
    let delete = all_indexes
        .iter()
        .map(|index| OffsetDeleteRequestPartition::default().with_partition_index(*index));
    let fetch = FetchTopic::default().with_topic(topic());
    let fetch = fetch.with_partitions(vec![FetchPartition::default(); many / 2]);
    let requests =
        [
            (
                "Metadata",
                9,
                RequestKind::Metadata(
                    MetadataRequest::default().with_topics(Some(vec![name; many])),
                ),
            ),
            (
                "DescribeConfigs",
                4,
                RequestKind::DescribeConfigs(
                    DescribeConfigsRequest::default().with_resources(vec![resource; many]),
                ),
            ),
            (
                "DescribeGroups",
                5,
                RequestKind::DescribeGroups(
                    DescribeGroupsRequest::default().with_groups(vec![group(); many]),
                ),
            ),
            (
                "DescribeTransactions",
                0,
                RequestKind::DescribeTransactions(
                    DescribeTransactionsRequest::default()
                        .with_transactional_ids(vec![TransactionalId("t".into()); many]),
                ),
            ),
            (
                "OffsetFetch of all",
                8,
                RequestKind::OffsetFetch(
                    OffsetFetchRequest::default().with_groups(vec![all_of_group; many]),
                ),
            ),
            (
                "OffsetFetch of some",
                8,
                RequestKind::OffsetFetch(
                    OffsetFetchRequest::default().with_groups(vec![some_of_group; 5]),
                ),
            ),
            (
                "OffsetFetch of one group",
                7,
                RequestKind::OffsetFetch(
                    OffsetFetchRequest::default()
                        .with_group_id(group())
                        .with_topics(Some(vec![of_group; 5])),
                ),
            ),
            (
                "ListOffsets",
                7,
                RequestKind::ListOffsets(ListOffsetsRequest::default().with_topics(vec![
                ListOffsetsTopic::default().with_name(topic()).with_partitions(vec![latest; many]),
            ])),
            ),
            ("Fetch", 12, RequestKind::Fetch(FetchRequest::default().with_topics(vec![fetch]))),
            (
                "OffsetDelete",
                0,
                RequestKind::OffsetDelete(
                    OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![
                        OffsetDeleteRequestTopic::default()
                            .with_name(topic())
                            .with_partitions(delete.collect()),
                    ]),
                ),
            ),
        ];
    for (what, version, request) in &requests {
        let fate = is_cheap(&lab, what, *version, request);
        assert!(matches!(fate, Fate::Answered(_)), "{what}: {fate:?}");
    }
}

#[test]
fn topics_are_created_as_long_as_there_is_room() {
    let lab = Lab::new();
    let too_many = create((0..11).map(|n| new_topic(&format!("many-{n}"), 1_000)).collect());
    let ResponseKind::CreateTopics(refused) = lab.ask(5, &too_many) else { panic!("another API") };
    let policy = ResponseError::PolicyViolation.code();
    assert!(refused.topics.iter().all(|topic| topic.error_code == policy));

    // Names that are the same for metrics are looked for among all others.
    let names = (0..1 << 16).map(|n| TopicName(format!("a.topic_{n}").into()));
    let names = names.map(|name| MetadataRequestTopic::default().with_name(Some(name))).collect();
    let ask = RequestKind::Metadata(MetadataRequest::default().with_topics(Some(names)));
    assert!(matches!(is_cheap(&lab, "creating by Metadata", 4, &ask), Fate::Answered(_)));
    let partitions: usize =
        lab.broker.look(|state| state.topics.iter().map(|(_, topic)| topic.logs.len()).sum());
    assert!((10_000..=20_000).contains(&partitions), "{partitions} partitions");

    let one_more = create(vec![new_topic("one-more", 1)]);
    let ResponseKind::CreateTopics(refused) = lab.ask(5, &one_more) else { panic!("another API") };
    assert_eq!(refused.topics[0].error_code, ResponseError::InvalidPartitions.code());
}

#[test]
fn members_say_only_so_much_of_themselves() {
    let lab = Lab::new();
    let protocols = (0..60_000)
        .map(|n| JoinGroupRequestProtocol::default().with_name(format!("protocol {n}").into()));
    let join = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_protocol_type("consumer".into())
        .with_protocols(protocols.collect());
    let join = RequestKind::JoinGroup(join);
    is_cheap(&lab, "JoinGroup", 1, &join);
    let ResponseKind::JoinGroup(refused) = lab.ask(1, &join) else { panic!("another API") };
    assert_eq!(refused.error_code, ResponseError::GroupMaxSizeReached.code());
}
