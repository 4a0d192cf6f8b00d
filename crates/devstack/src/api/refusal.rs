//! The answers to requests that [`Fault::error`](crate::Fault::error) refuses. Each API has its own place for the
//! error.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey,
    CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    EndTxnResponse, FetchResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    HeartbeatResponse, InitProducerIdResponse, JoinGroupResponse, ListOffsetsRequest,
    ListOffsetsResponse, OffsetFetchRequest, OffsetFetchResponse, ProduceRequest, ProduceResponse,
    ProducerId, SyncGroupResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::wire::{Request, WireError};

/// An answer to `request` with this error for everything that it asks.
///
/// # Errors
///
/// The request can't be decoded, or its API is none of those below, which are the ones that tests refuse.
pub(crate) fn refuse(request: &Request, error: ResponseError) -> Result<Bytes, WireError> {
    let code = error.code();
    match request.api {
        ApiKey::Produce => request.answer(&produce(request.produce_body()?, code)),
        ApiKey::Fetch => request.answer(&FetchResponse::default().with_error_code(code)),
        ApiKey::ListOffsets => request.answer(&list_offsets(&request.body()?, code)),
        ApiKey::CreateTopics => request.answer(&create_topics(request.body()?, code)),
        ApiKey::DeleteRecords => request.answer(&delete_records(request.body()?, code)),
        ApiKey::OffsetFetch => {
            request.answer(&offset_fetch(request.body()?, request.version, code))
        }
        ApiKey::TxnOffsetCommit => request.answer(&txn_offset_commit(&request.body()?, code)),
        ApiKey::AddPartitionsToTxn => request.answer(&add_partitions(request.body()?, code)),
        ApiKey::FindCoordinator => {
            request.answer(&coordinator(request.body()?, request.version, code))
        }
        ApiKey::AddOffsetsToTxn => {
            request.answer(&AddOffsetsToTxnResponse::default().with_error_code(code))
        }
        ApiKey::EndTxn => request.answer(&EndTxnResponse::default().with_error_code(code)),
        ApiKey::InitProducerId => request.answer(
            &InitProducerIdResponse::default()
                .with_error_code(code)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1),
        ),
        ApiKey::JoinGroup => request.answer(
            &JoinGroupResponse::default()
                .with_error_code(code)
                .with_generation_id(-1)
                .with_protocol_name(Some(StrBytes::default())),
        ),
        ApiKey::SyncGroup => request.answer(&SyncGroupResponse::default().with_error_code(code)),
        ApiKey::Heartbeat => request.answer(&HeartbeatResponse::default().with_error_code(code)),
        api => Err(WireError::Unwritable {
            api,
            version: request.version,
            reason: "a fault of its own answer is not provided for".to_owned(),
        }),
    }
}

fn produce(request: ProduceRequest, code: i16) -> ProduceResponse {
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(code)
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
        });
        let partitions = partitions.collect();
        TopicProduceResponse::default().with_name(topic.name).with_partition_responses(partitions)
    });
    ProduceResponse::default().with_responses(topics.collect())
}

fn list_offsets(request: &ListOffsetsRequest, code: i16) -> ListOffsetsResponse {
    let topics = each_partition!(request.topics => ListOffsetsTopicResponse, ListOffsetsPartitionResponse, code);
    ListOffsetsResponse::default().with_topics(topics)
}

fn create_topics(request: CreateTopicsRequest, code: i16) -> CreateTopicsResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| CreatableTopicResult::default().with_name(topic.name).with_error_code(code));
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn delete_records(request: DeleteRecordsRequest, code: i16) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index)
                .with_low_watermark(-1)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

fn offset_fetch(request: OffsetFetchRequest, version: i16, code: i16) -> OffsetFetchResponse {
    if version <= super::offset_fetch::ONE_GROUP {
        return OffsetFetchResponse::default().with_error_code(code);
    }
    let groups = request.groups.into_iter().map(|group| {
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(code)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

pub(super) fn txn_offset_commit(
    request: &TxnOffsetCommitRequest,
    code: i16,
) -> TxnOffsetCommitResponse {
    let topics = each_partition!(request.topics => TxnOffsetCommitResponseTopic, TxnOffsetCommitResponsePartition, code);
    TxnOffsetCommitResponse::default().with_topics(topics)
}

fn add_partitions(request: AddPartitionsToTxnRequest, code: i16) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|&partition| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(partition)
                .with_partition_error_code(code)
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(partitions)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}

fn coordinator(
    request: FindCoordinatorRequest,
    version: i16,
    code: i16,
) -> FindCoordinatorResponse {
    if version <= super::cluster::ONE_KEY {
        return FindCoordinatorResponse::default().with_error_code(code);
    }
    let coordinators = request
        .coordinator_keys
        .into_iter()
        .map(|key| Coordinator::default().with_key(key).with_error_code(code));
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
