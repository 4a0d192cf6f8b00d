//! Fetch.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, ProducerId, TopicName};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::{LEADER_EPOCH, check_leader_epoch, code};
use crate::broker::Broker;
use crate::log;
use crate::storage::{LogId, StorageError};

/// From this version on requests name topics by id (KIP-516).
const BY_TOPIC_ID: i16 = 13;
const READ_COMMITTED: i8 = 1;

/// One partition of a request, and its log if there is one.
struct WantedPartition {
    topic: TopicName,
    topic_id: Uuid,
    request: FetchPartition,
    log: Result<LogId, ResponseError>,
}

/// Which records of a log a reader may see.
#[derive(Debug, Clone, Copy)]
struct Isolation {
    committed_only: bool,
    /// The replica has no records from this offset on.
    replica_end: i64,
}

/// The readable part of a partition.
struct Readable {
    high_watermark: i64,
    last_stable: i64,
    start: i64,
    /// The offset of the next record, of which a replica that is behind has not heard.
    log_end: i64,
    /// The offset to read to: the high watermark or the last stable offset.
    end: i64,
    /// For a read_committed reader: the aborted transactions below `end`, whose records it must skip. Read together
    /// with `end`, because deleting records removes their transactions before the storage has deleted the records.
    aborted: Option<Vec<log::AbortedTransaction>>,
}

/// Answers when there are `min_bytes`, or after `max_wait_ms`. With `replica_end`, as a replica whose logs end there.
///
/// There are no fetch sessions (KIP-227): every request is answered as a full one, which clients accept.
pub(crate) async fn fetch(
    broker: &Broker,
    request: FetchRequest,
    version: i16,
    replica_end: Option<i64>,
) -> FetchResponse {
    if request.session_id != 0 {
        let unknown = code(ResponseError::FetchSessionIdNotFound);
        return FetchResponse::default().with_error_code(unknown);
    }
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
    let isolation = Isolation {
        committed_only: request.isolation_level == READ_COMMITTED,
        replica_end: replica_end.unwrap_or(i64::MAX),
    };
    let wanted = find(broker, request, version);
    let news = Arc::new(Notify::new());
    loop {
        // Before reading, so that records that are appended meanwhile wake us.
        watch(broker, &wanted, &news);
        let answers = match read(broker, &wanted, isolation, max_bytes).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::error!(%error, "reading for a fetch");
                return refuse(&wanted, ResponseError::KafkaStorageError);
            }
        };
        let failed = answers.iter().any(|answer| answer.error_code != 0);
        let bytes: usize =
            answers.iter().map(|answer| answer.records.as_ref().map_or(0, Bytes::len)).sum();
        if failed || bytes >= min_bytes || Instant::now() >= deadline {
            return assemble(&wanted, answers);
        }
        let _ = tokio::time::timeout_at(deadline, news.notified()).await;
    }
}

fn find(broker: &Broker, request: FetchRequest, version: i16) -> Vec<WantedPartition> {
    broker.look(|state| {
        let mut wanted = Vec::new();
        let mut seen = HashSet::new();
        for topic in request.topics {
            let (name, unknown) = if version < BY_TOPIC_ID {
                (Some(topic.topic.as_str()), ResponseError::UnknownTopicOrPartition)
            } else {
                (state.topics.name_of(topic.topic_id), ResponseError::UnknownTopicId)
            };
            for request in topic.partitions {
                let log = match name {
                    None => Err(unknown),
                    Some(name) => check_leader_epoch(request.current_leader_epoch).and_then(|()| {
                        let log = state.topics.log(name, request.partition);
                        log.ok_or(ResponseError::UnknownTopicOrPartition)
                    }),
                };
                if log.is_ok_and(|log| !seen.insert(log)) {
                    continue;
                }
                let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
                wanted.push(WantedPartition { topic, topic_id, request, log });
            }
        }
        wanted
    })
}

fn watch(broker: &Broker, wanted: &[WantedPartition], news: &Arc<Notify>) {
    broker.update(|state, _, _| {
        for id in wanted.iter().filter_map(|wanted| wanted.log.ok()) {
            if let Some(log) = state.logs.get_mut(&id) {
                log.wait(news);
            }
        }
    });
}

/// Reads each partition once. All of them together return at most `max_bytes`, unless the first batch alone is larger
/// (KIP-74).
async fn read(
    broker: &Broker,
    wanted: &[WantedPartition],
    isolation: Isolation,
    max_bytes: usize,
) -> Result<Vec<PartitionData>, StorageError> {
    let readable: Vec<Result<Readable, ResponseError>> = broker.look(|state| {
        let of = |wanted: &WantedPartition| {
            let log = state.logs.get(&wanted.log?);
            let log = log.ok_or(ResponseError::UnknownTopicOrPartition)?;
            let Isolation { committed_only, replica_end } = isolation;
            let replica_end = replica_end.max(log.start());
            let high_watermark = log.end().min(replica_end);
            let last_stable = log.last_stable().min(replica_end);
            let end = if committed_only { last_stable } else { high_watermark };
            let aborted = log.aborted_between(wanted.request.fetch_offset, end);
            let aborted = committed_only.then(|| aborted.copied().collect());
            let (start, log_end) = (log.start(), log.end());
            Ok(Readable { high_watermark, last_stable, start, log_end, end, aborted })
        };
        wanted.iter().map(of).collect()
    });
    // The batches that the state has may not be in the storage yet.
    if broker.journal.durable(broker.journal.position()).await.is_err() {
        return Ok(wanted.iter().map(|w| failure(w, ResponseError::KafkaStorageError)).collect());
    }
    let mut left = max_bytes;
    let mut first = true;
    let mut answers = Vec::with_capacity(wanted.len());
    for (wanted, readable) in wanted.iter().zip(readable) {
        let (id, readable) = match (wanted.log, readable) {
            (Ok(id), Ok(readable)) => (id, readable),
            (Err(error), _) | (_, Err(error)) => {
                answers.push(failure(wanted, error));
                continue;
            }
        };
        let offset = wanted.request.fetch_offset;
        if offset < readable.start || offset > readable.log_end {
            answers.push(out_of_range(wanted, &readable));
            continue;
        }
        let limit = usize::try_from(wanted.request.partition_max_bytes).unwrap_or(0).min(left);
        let records = if offset < readable.end && (limit > 0 || first) {
            read_records(broker, id, offset, readable.end, limit, first).await?
        } else {
            FetchedRecords::default()
        };
        if !records.bytes.is_empty() {
            left = left.saturating_sub(records.bytes.len());
            first = false;
        }
        let aborted = readable.aborted.map(|aborted| within(&aborted, records.end));
        answers.push(
            PartitionData::default()
                .with_partition_index(wanted.request.partition)
                .with_high_watermark(readable.high_watermark)
                .with_last_stable_offset(readable.last_stable)
                .with_log_start_offset(readable.start)
                .with_aborted_transactions(aborted)
                .with_preferred_read_replica(BrokerId(-1))
                .with_records(Some(records.bytes)),
        );
    }
    Ok(answers)
}

/// Consecutive batches, and the offset after them.
#[derive(Default)]
struct FetchedRecords {
    bytes: Bytes,
    end: i64,
}

async fn read_records(
    broker: &Broker,
    log: LogId,
    offset: i64,
    end: i64,
    limit: usize,
    at_least_one: bool,
) -> Result<FetchedRecords, StorageError> {
    let storage = Arc::clone(&broker.storage);
    let read = move || storage.batches(log, offset, end, limit);
    let mut batches = tokio::task::spawn_blocking(read).await.expect("reading doesn't panic")?;
    // Only a replica that is behind may end within a batch.
    batches.retain(|batch| batch.last_offset < end);
    let Some(last) = batches.last() else { return Ok(FetchedRecords::default()) };
    let size: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    if size > limit && !at_least_one {
        return Ok(FetchedRecords::default());
    }
    let end = last.last_offset + 1;
    if let [only] = &batches[..] {
        return Ok(FetchedRecords { bytes: only.bytes.clone(), end });
    }
    let mut bytes = BytesMut::with_capacity(size);
    for batch in &batches {
        bytes.extend_from_slice(&batch.bytes);
    }
    Ok(FetchedRecords { bytes: bytes.freeze(), end })
}

/// The transactions that begin before `end`, in the form of the response.
fn within(aborted: &[log::AbortedTransaction], end: i64) -> Vec<AbortedTransaction> {
    let within = aborted.iter().filter(|aborted| aborted.first_offset < end);
    let response = |aborted: &log::AbortedTransaction| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(aborted.producer_id))
            .with_first_offset(aborted.first_offset)
    };
    within.map(response).collect()
}

fn failure(wanted: &WantedPartition, error: ResponseError) -> PartitionData {
    PartitionData::default()
        .with_partition_index(wanted.request.partition)
        .with_error_code(code(error))
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_preferred_read_replica(BrokerId(-1))
        .with_records(Some(Bytes::new()))
}

fn out_of_range(wanted: &WantedPartition, readable: &Readable) -> PartitionData {
    failure(wanted, ResponseError::OffsetOutOfRange)
        .with_high_watermark(readable.high_watermark)
        .with_last_stable_offset(readable.last_stable)
        .with_log_start_offset(readable.start)
}

fn refuse(wanted: &[WantedPartition], error: ResponseError) -> FetchResponse {
    assemble(wanted, wanted.iter().map(|wanted| failure(wanted, error)).collect())
}

/// Groups the partitions, which are in the order of their topics, by topic.
fn assemble(wanted: &[WantedPartition], answers: Vec<PartitionData>) -> FetchResponse {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for (wanted, answer) in wanted.iter().zip(answers) {
        match topics.last_mut() {
            Some(last) if (&last.topic, last.topic_id) == (&wanted.topic, wanted.topic_id) => {
                last.partitions.push(answer);
            }
            _ => topics.push(
                FetchableTopicResponse::default()
                    .with_topic(wanted.topic.clone())
                    .with_topic_id(wanted.topic_id)
                    .with_partitions(vec![answer]),
            ),
        }
    }
    FetchResponse::default().with_responses(topics)
}

const _: () = assert!(LEADER_EPOCH == 0, "batches carry the epoch that they are stored with");
