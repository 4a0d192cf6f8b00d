//! Where the logs of partitions begin and end.
//!
//! Not asked by `fetch_watermarks`: librdkafka (2.12.1, `rd_kafka_query_wmark_offsets_resp_cb`) sends one request for
//! either end and counts the answers. If the first is an error (`NOT_LEADER_OR_FOLLOWER`, as whenever a partition
//! moves) and the second, that for the end, is there too by the time it looks, the error is forgotten, and it is told
//! that the log *begins* where it ends. Whoever starts reading there skips all that is in it without a word.
//! `rd_kafka_offsets_for_times` asks one question, and keeps the first error.

use std::time::Duration;

use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

/// The offset of the oldest record that each of `partitions` keeps, in their order. Blocks.
///
/// # Errors
///
/// If Kafka doesn't say so of all of them within `timeout`.
pub fn starts<'p, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = (&'p str, Partition)>,
    timeout: Duration,
) -> Result<Vec<i64>, KafkaError> {
    ask(consumer, partitions, Offset::Beginning, timeout)
}

/// The offset behind the last record of each of `partitions`, in their order; for a read_committed consumer, that of
/// the first record of the oldest open transaction. Blocks.
///
/// # Errors
///
/// If Kafka doesn't say so of all of them within `timeout`.
pub fn ends<'p, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = (&'p str, Partition)>,
    timeout: Duration,
) -> Result<Vec<i64>, KafkaError> {
    ask(consumer, partitions, Offset::End, timeout)
}

/// Kafka takes the two special offsets for times, too (`ListOffsetsRequest.EARLIEST_TIMESTAMP`, `LATEST_TIMESTAMP`).
fn ask<'p, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = (&'p str, Partition)>,
    which: Offset,
    timeout: Duration,
) -> Result<Vec<i64>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in partitions {
        asked.add_partition_offset(topic, partition, which)?;
    }
    if asked.count() == 0 {
        return Ok(Vec::new());
    }
    let answered = consumer.offsets_for_times(asked, timeout)?;
    let elements = answered.elements();
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) => Ok(offset),
            // Left as it was asked: there was no word of it in the answer.
            _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition)),
        }
    };
    elements.iter().map(offset).collect()
}
