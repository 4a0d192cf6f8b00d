//! Produce.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use super::code;
use super::transactions::abortable_as;
use crate::batch::{self, BatchHeader, BatchRules, InvalidBatch};
use crate::broker::{Broker, BrokerState};
use crate::clock::Millis;
use crate::log::PlacedBatch;
use crate::storage::{Change, LogId};
use crate::topics::TopicRefusal;
use crate::topics::config::Effective;
use crate::transactions::ProducerClaim;

/// From this version on clients know `TRANSACTION_ABORTABLE`.
const ABORTABLE_FROM: i16 = 11;

/// A valid batch. Its producer is not checked yet.
struct Valid {
    log: LogId,
    config: Effective,
    header: BatchHeader,
    bytes: Bytes,
}

/// Appends the batches of a request in one change.
pub(crate) async fn produce(
    broker: &Broker,
    request: ProduceRequest,
    version: i16,
) -> ProduceResponse {
    let acks = request.acks;
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let index = partition.index;
            let valid = validate(broker, &topic.name, partition, acks);
            if valid.as_ref().is_ok_and(|valid| valid.header.is_compressed()) {
                // Validation may have taken long, so let other tasks run.
                tokio::task::yield_now().await;
            }
            partitions.push((index, valid));
        }
        topics.push((topic.name, partitions));
    }
    let responses = broker.update(|state, now, effects| {
        let mut responses = Vec::with_capacity(topics.len());
        for (name, partitions) in topics {
            let partitions = partitions.into_iter().map(|(index, valid)| {
                let placed = valid.and_then(|valid| {
                    Ok(append(state, valid, version, now, &mut effects.changes)?)
                });
                let start = state.log(&name, index).map_or(-1, crate::log::Log::start);
                response(index, placed, start)
            });
            let partitions = partitions.collect();
            responses.push(
                TopicProduceResponse::default()
                    .with_name(name)
                    .with_partition_responses(partitions),
            );
        }
        responses
    });
    ProduceResponse::default().with_responses(responses)
}

fn validate(
    broker: &Broker,
    topic: &str,
    partition: PartitionProduceData,
    acks: i16,
) -> Result<Valid, NotTaken> {
    let refuse = |code, text: String| Err(TopicRefusal::new(code, text).into());
    if !(-1..=1).contains(&acks) {
        let text = format!("acks must be -1, 0 or 1, not {acks}");
        return refuse(ResponseError::InvalidRequiredAcks, text);
    }
    let found = broker.look(|state| {
        let config = state.topics.get(topic)?.config;
        Some((state.topics.log(topic, partition.index)?, config))
    });
    let Some((log, config)) = found else {
        let text = format!("there is no partition {} of topic {topic:?}", partition.index);
        return refuse(ResponseError::UnknownTopicOrPartition, text);
    };
    if acks == -1 && config.min_insync_replicas > 1 {
        let text = format!(
            "The size of the current ISR Set(1) is insufficient to satisfy the min.isr requirement of {} for \
             partition {topic}-{}",
            config.min_insync_replicas, partition.index
        );
        return refuse(ResponseError::NotEnoughReplicas, text);
    }
    let bytes = batch::produced(partition.records)?;
    let size = bytes.len();
    if size > config.max_message_bytes {
        let text = format!(
            "The record batch size in the append to {topic}-{} is {size} bytes which exceeds the maximum configured \
             value of {}.",
            partition.index, config.max_message_bytes
        );
        return refuse(ResponseError::MessageTooLarge, text);
    }
    let rules = rules(&config, broker.clock.now());
    let mut header = batch::validate(&bytes, &rules)?;
    let bytes = match config.compression {
        Some(codec) if header.codec()? != codec => {
            let bytes = header.in_codec(&bytes, codec)?;
            header = BatchHeader::parse(&bytes)?;
            bytes
        }
        _ => bytes,
    };
    Ok(Valid { log, config, header, bytes })
}

fn rules(config: &Effective, now: Millis) -> BatchRules {
    let timestamps = if config.log_append_time {
        Millis::MIN..=Millis::MAX
    } else {
        let earliest = now.saturating_sub(config.timestamp_before_max_ms);
        earliest..=now.saturating_add(config.timestamp_after_max_ms)
    };
    BatchRules { requires_key: config.compact, timestamps }
}

/// Why a batch is refused.
struct NotTaken {
    refusal: TopicRefusal,
    /// The index of the invalid record, if one is the reason (KIP-467).
    record: Option<i32>,
}

impl From<InvalidBatch> for NotTaken {
    fn from(InvalidBatch { error, text, record }: InvalidBatch) -> Self {
        Self { refusal: TopicRefusal::new(error, text), record }
    }
}

impl From<TopicRefusal> for NotTaken {
    fn from(refusal: TopicRefusal) -> Self {
        Self { refusal, record: None }
    }
}

fn append(
    state: &mut BrokerState,
    valid: Valid,
    version: i16,
    now: Millis,
    changes: &mut Vec<Change>,
) -> Result<PlacedBatch, TopicRefusal> {
    let Valid { log, config, header, bytes } = valid;
    let producer_id = header.producer_id;
    let refusal = |code: ResponseError| {
        let text = format!("{code} (producer {producer_id}, sequence {})", header.base_sequence);
        TopicRefusal::new(code, text)
    };
    if header.is_transactional() {
        let claim = ProducerClaim { producer_id, epoch: header.producer_epoch };
        let allowed = state.transactions.may_write(claim, log);
        allowed.map_err(|error| refusal(abortable_as(error, version, ABORTABLE_FROM)))?;
    }
    // The topic may have been deleted since its batch was validated.
    let log = state.logs.get_mut(&log);
    let log = log.ok_or_else(|| refusal(ResponseError::UnknownTopicOrPartition))?;
    let append_time = config.log_append_time.then_some(now);
    log.append(&header, bytes, append_time, now, changes).map_err(refusal)
}

fn response(
    index: i32,
    placed: Result<PlacedBatch, NotTaken>,
    log_start_offset: i64,
) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match placed {
        Ok(PlacedBatch { base_offset, log_append_time }) => response
            .with_base_offset(base_offset)
            .with_log_append_time_ms(log_append_time.unwrap_or(-1))
            .with_log_start_offset(log_start_offset),
        Err(NotTaken { refusal: TopicRefusal { code: error, text }, record }) => {
            let at_fault = |index| BatchIndexAndErrorMessage::default().with_batch_index(index);
            response
                .with_error_code(code(error))
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
                .with_record_errors(record.map(at_fault).into_iter().collect())
                .with_error_message(Some(text.into()))
        }
    }
}
