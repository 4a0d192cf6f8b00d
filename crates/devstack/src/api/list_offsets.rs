//! ListOffsets and OffsetForLeaderEpoch: offsets by time and by leader epoch.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName};

use super::{LEADER_EPOCH, check_leader_epoch, code};
use crate::batch;
use crate::broker::Broker;
use crate::storage::{LogId, Storage};

/// From this version on answers contain the leader epoch (KIP-320).
const WITH_LEADER_EPOCH: i16 = 4;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
const READ_COMMITTED: i8 = 1;

/// A timestamp and its offset.
#[derive(Debug, Clone, Copy)]
struct FoundOffset {
    timestamp: i64,
    offset: i64,
}

const NOTHING: FoundOffset = FoundOffset { timestamp: -1, offset: -1 };

/// Finds the start and end of logs, and offsets by time.
pub(crate) async fn list(
    broker: &Broker,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let committed_only = request.isolation_level == READ_COMMITTED;
    let repeated = repeated(&request);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let found = if repeated.contains(&(topic.name.clone(), partition.partition_index)) {
                Err(ResponseError::InvalidRequest)
            } else {
                find(broker, &topic.name, &partition, committed_only).await
            };
            partitions.push(response(&partition, found, version));
        }
        topics.push(
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// Partitions that are named more than once (`ListOffsetsRequest.duplicatePartitions`).
fn repeated(request: &ListOffsetsRequest) -> HashSet<(TopicName, i32)> {
    let mut seen = HashSet::new();
    let all = request.topics.iter().flat_map(|topic| {
        let of = |partition: &ListOffsetsPartition| (topic.name.clone(), partition.partition_index);
        topic.partitions.iter().map(of)
    });
    all.filter(|partition| !seen.insert(partition.clone())).collect()
}

async fn find(
    broker: &Broker,
    topic: &str,
    partition: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<FoundOffset, ResponseError> {
    check_leader_epoch(partition.current_leader_epoch)?;
    let (log, start, end) = broker
        .look(|state| {
            let log = state.log(topic, partition.partition_index)?;
            let end = if committed_only { log.last_stable() } else { log.end() };
            Some((log.id(), log.start(), end))
        })
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let at = |offset| Ok(FoundOffset { timestamp: -1, offset });
    match partition.timestamp {
        LATEST => at(end),
        EARLIEST => at(start),
        MAX_TIMESTAMP => search(broker, log, start, end, Search::Latest).await,
        time if time >= 0 => search(broker, log, start, end, Search::NotBefore(time)).await,
        _ => Err(ResponseError::UnsupportedVersion),
    }
}

#[derive(Debug, Clone, Copy)]
enum Search {
    NotBefore(i64),
    Latest,
}

async fn search(
    broker: &Broker,
    log: LogId,
    start: i64,
    end: i64,
    search: Search,
) -> Result<FoundOffset, ResponseError> {
    let failed = |error: &(dyn std::error::Error + Send + Sync)| {
        tracing::error!(%error, "searching a log by time");
        ResponseError::KafkaStorageError
    };
    broker.journal.durable(broker.journal.position()).await.map_err(|error| failed(&error))?;
    let storage = Arc::clone(&broker.storage);
    let work = move || match search {
        Search::NotBefore(time) => first_not_before(&*storage, log, time, start),
        Search::Latest => latest(&*storage, log),
    };
    let found = tokio::task::spawn_blocking(work).await.expect("searching doesn't panic");
    let found = found.map_err(|error| failed(&*error))?;
    Ok(found.filter(|found| found.offset < end).unwrap_or(NOTHING))
}

type Searched = Result<Option<FoundOffset>, Box<dyn std::error::Error + Send + Sync>>;

fn first_not_before(storage: &dyn Storage, log: LogId, time: i64, start: i64) -> Searched {
    let mut from = 0;
    while let Some(batch) = storage.batch_at_time(log, from, time)? {
        if let Some((offset, timestamp)) = batch::at_time(&batch.bytes, time, start)? {
            return Ok(Some(FoundOffset { timestamp, offset }));
        }
        // The records of this batch that match are below the start of the log.
        from = batch.last_offset + 1;
    }
    Ok(None)
}

fn latest(storage: &dyn Storage, log: LogId) -> Searched {
    let Some(batch) = storage.latest_batch_by_time(log)? else { return Ok(None) };
    let found = batch::latest(&batch.bytes)?;
    Ok(found.map(|(offset, timestamp)| FoundOffset { timestamp, offset }))
}

fn response(
    partition: &ListOffsetsPartition,
    found: Result<FoundOffset, ResponseError>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response =
        ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
    match found {
        Ok(FoundOffset { timestamp, offset }) => {
            let has_epoch = offset >= 0 && version >= WITH_LEADER_EPOCH;
            let epoch = if has_epoch { LEADER_EPOCH } else { -1 };
            response.with_timestamp(timestamp).with_offset(offset).with_leader_epoch(epoch)
        }
        Err(error) => response
            .with_error_code(code(error))
            .with_timestamp(-1)
            .with_offset(-1)
            .with_leader_epoch(-1),
    }
}

/// The end of a leader epoch (KIP-320). There is one epoch, which ends at the end of the log.
pub(crate) fn of_leader_epochs(
    broker: &Broker,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    broker.look(|state| {
        let end = |topic: &str, partition: &OffsetForLeaderPartition| {
            check_leader_epoch(partition.current_leader_epoch)?;
            let log = state.log(topic, partition.partition);
            let end = log.ok_or(ResponseError::UnknownTopicOrPartition)?.end();
            Ok((partition.leader_epoch == LEADER_EPOCH).then_some(end))
        };
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let answer = EpochEndOffset::default().with_partition(partition.partition);
                match end(&topic.topic, partition) {
                    Ok(Some(end)) => answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(end),
                    Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
                    Err(error) => answer
                        .with_error_code(code(error))
                        .with_leader_epoch(-1)
                        .with_end_offset(-1),
                }
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic)
                .with_partitions(partitions)
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    })
}
