use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    GroupId, OffsetFetchRequest, OffsetFetchResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::api::offset_fetch::fetch;
use crate::api::tests::sent;

/// The topic `trips` has the partitions 0 to 2.
fn exists(topic: &str, partition: i32) -> bool {
    topic == "trips" && (0..3).contains(&partition)
}

fn group() -> GroupId {
    GroupId("g".into())
}

fn trips() -> TopicName {
    TopicName("trips".into())
}

/// Partitions of `trips` and their offsets.
fn commit_request(offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition = |&(partition, offset): &(i32, i64)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(4)
            .with_committed_metadata(Some("note".into()))
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(trips())
        .with_partitions(offsets.iter().map(partition).collect());
    OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic])
}

fn txn_request(producer_id: i64, offsets: &[(i32, i64)]) -> TxnOffsetCommitRequest {
    let partition = |&(partition, offset): &(i32, i64)| {
        TxnOffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
    };
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(trips())
        .with_partitions(offsets.iter().map(partition).collect());
    TxnOffsetCommitRequest::default()
        .with_group_id(group())
        .with_producer_id(ProducerId(producer_id))
        .with_topics(vec![topic])
}

fn committed(
    coordinator: &mut Coordinator,
    request: &OffsetCommitRequest,
    version: i16,
) -> Vec<i16> {
    let response = commit(coordinator, request, version, &exists, 0, &mut Vec::new());
    let response = sent(&response, version);
    assert_eq!(response.topics.len(), request.topics.len());
    response.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code).collect()
}

/// Asks for partitions of `trips`, or for all there is.
fn fetch_request(
    version: i16,
    partitions: Option<&[i32]>,
    require_stable: bool,
) -> OffsetFetchRequest {
    let request = OffsetFetchRequest::default().with_require_stable(require_stable);
    if version >= 8 {
        let topic = |partitions: &[i32]| {
            let topic = OffsetFetchRequestTopics::default().with_name(trips());
            vec![topic.with_partition_indexes(partitions.to_vec())]
        };
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(group())
            .with_topics(partitions.map(topic));
        return request.with_groups(vec![group]);
    }
    let topic = |partitions: &[i32]| {
        let topic = OffsetFetchRequestTopic::default().with_name(trips());
        vec![topic.with_partition_indexes(partitions.to_vec())]
    };
    request.with_group_id(group()).with_topics(partitions.map(topic))
}

/// Partition, offset, leader epoch, metadata and error of each partition of the only group.
type Row = (i32, i64, i32, String, i16);

fn rows(response: OffsetFetchResponse) -> Vec<Row> {
    let text = |text: Option<StrBytes>| text.unwrap().as_str().to_owned();
    let alone = response.topics.into_iter().flat_map(|topic| topic.partitions).map(|p| {
        (
            p.partition_index,
            p.committed_offset,
            p.committed_leader_epoch,
            text(p.metadata),
            p.error_code,
        )
    });
    let in_batch = response.groups.into_iter().flat_map(|group| {
        assert_eq!((group.group_id.as_str(), group.error_code), ("g", 0));
        group.topics.into_iter().flat_map(|topic| topic.partitions)
    });
    let in_batch = in_batch.map(|p| {
        (
            p.partition_index,
            p.committed_offset,
            p.committed_leader_epoch,
            text(p.metadata),
            p.error_code,
        )
    });
    alone.chain(in_batch).collect()
}

#[test]
fn what_was_committed_is_fetched_in_every_version() {
    let mut coordinator = Coordinator::default();
    for version in 2..=9 {
        let request = commit_request(&[(0, 10 + i64::from(version)), (1, 20)]);
        assert_eq!(committed(&mut coordinator, &request, version), [0, 0]);
    }
    for version in 1..=9 {
        let epoch = if version >= 5 { 4 } else { -1 };
        let expected: [Row; 3] = [
            (0, 19, epoch, "note".to_owned(), 0),
            (1, 20, epoch, "note".to_owned(), 0),
            (2, -1, -1, String::new(), 0),
        ];
        let request = fetch_request(version, Some(&[0, 1, 2]), false);
        let response = sent(&fetch(&coordinator, request, version), version);
        assert_eq!(rows(response), expected, "version {version}");
        if version >= 2 {
            let request = fetch_request(version, None, false);
            let response = sent(&fetch(&coordinator, request, version), version);
            assert_eq!(rows(response), expected[..2], "version {version}");
        }
    }
}

#[test]
fn several_groups_are_fetched_at_once() {
    let mut coordinator = Coordinator::default();
    committed(&mut coordinator, &commit_request(&[(0, 10)]), 9);
    let mut request = fetch_request(9, None, true);
    request.groups.push(
        OffsetFetchRequestGroup::default().with_group_id(GroupId("other".into())).with_topics(None),
    );
    let response = sent(&fetch(&coordinator, request, 9), 9);
    let groups: Vec<_> =
        response.groups.iter().map(|group| (group.group_id.as_str(), group.topics.len())).collect();
    assert_eq!(groups, [("g", 1), ("other", 0)]);
}

#[test]
fn partitions_that_do_not_exist_are_refused_and_the_others_are_committed() {
    let mut coordinator = Coordinator::default();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let request = commit_request(&[(7, 1), (0, 2), (3, 3), (1, 4)]);
    assert_eq!(committed(&mut coordinator, &request, 9), [unknown, 0, unknown, 0]);
    let offset = |partition| {
        coordinator.committed("g", "trips", partition, false).unwrap().map(|found| found.offset)
    };
    assert_eq!([0, 1, 3, 7].map(offset), [Some(2), Some(4), None, None]);

    // Then nobody asks the group.
    let member = commit_request(&[(7, 1)]).with_member_id("stranger".into());
    assert_eq!(committed(&mut coordinator, &member, 9), [unknown]);
}

#[test]
fn a_refused_commit_says_why_for_each_partition() {
    let missing = commit_request(&[(0, 1), (9, 1), (1, 1)]).with_generation_id_or_member_epoch(5);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let cases = [(8, ResponseError::IllegalGeneration), (9, ResponseError::GroupIdNotFound)];
    for (version, error) in cases {
        let codes = committed(&mut Coordinator::default(), &missing, version);
        assert_eq!(codes, [error.code(), unknown, error.code()], "version {version}");
    }
}

#[test]
fn offsets_of_a_transaction_are_taken_and_held_in_every_version() {
    for version in 0..=4 {
        let mut coordinator = Coordinator::default();
        let request = txn_request(1, &[(0, 10), (9, 1)]);
        let response =
            commit_in_transaction(&mut coordinator, &request, &exists, 0, &mut Vec::new());
        let response = sent(&response, version);
        let codes: Vec<_> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownTopicOrPartition.code()]);
        for version in 7..=9 {
            let request = fetch_request(version, Some(&[0, 1]), true);
            let response = sent(&fetch(&coordinator, request, version), version);
            let unstable = ResponseError::UnstableOffsetCommit.code();
            let expected: [Row; 2] =
                [(0, -1, -1, String::new(), unstable), (1, -1, -1, String::new(), 0)];
            assert_eq!(rows(response), expected);
        }
        coordinator.complete(1, true, &mut Vec::new());
        let found = coordinator.committed("g", "trips", 0, true).unwrap();
        assert_eq!(found.map(|found| found.offset), Some(10));
    }
}

#[test]
fn a_transaction_can_not_commit_to_a_group_that_is_none() {
    let cases = [
        (
            txn_request(1, &[(0, 10)]).with_group_id(GroupId::default()),
            ResponseError::InvalidGroupId,
        ),
        (txn_request(1, &[(0, 10)]).with_generation_id(1), ResponseError::IllegalGeneration),
    ];
    for (request, error) in cases {
        let mut coordinator = Coordinator::default();
        let response =
            commit_in_transaction(&mut coordinator, &request, &exists, 0, &mut Vec::new());
        assert_eq!(response.topics[0].partitions[0].error_code, error.code());
    }
}

#[test]
fn offsets_are_deleted_where_there_are_some() {
    let request = |group| {
        let partition =
            |partition| OffsetDeleteRequestPartition::default().with_partition_index(partition);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(trips())
            .with_partitions(vec![partition(8), partition(0)]);
        OffsetDeleteRequest::default().with_group_id(group).with_topics(vec![topic])
    };
    let mut coordinator = Coordinator::default();
    committed(&mut coordinator, &commit_request(&[(0, 10), (1, 10)]), 9);
    let response = sent(&delete(&mut coordinator, &request(group()), &exists, &mut Vec::new()), 0);
    let codes: Vec<_> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ResponseError::UnknownTopicOrPartition.code(), 0]);
    let left: Vec<_> = coordinator.committed_partitions("g").collect();
    assert_eq!(left, [("trips", 1)]);

    let missing = request(GroupId("missing".into()));
    let response = sent(&delete(&mut coordinator, &missing, &exists, &mut Vec::new()), 0);
    assert_eq!(response.error_code, ResponseError::GroupIdNotFound.code());
}
