//! The pass-through: what Kafka and librdkafka can do on this machine, without any join. It reads what the joiner read,
//! with the same settings, and writes as many records in the same transactions, but looks into none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::LogContext;
use kafka::transaction::{Record, TransactionalProducer};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use service::Shutdown;
use tracing::debug;

use super::measure::Sample;
use super::plan::{Plan, Round};
use crate::bench::BenchError;

/// How large a written record is: about as large as a joined row.
const OUTPUT_BYTES: usize = 500;
const POLL: Duration = Duration::from_millis(5);
const PRODUCER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long no row may come.
const STUCK: Duration = Duration::from_secs(60);

/// Reads all rows of `plan` and writes one record for three. Blocks.
pub(super) fn run(
    plan: &Plan,
    round: Round,
    output_partitions: Partition,
    shutdown: &Shutdown,
) -> Result<Vec<Sample>, BenchError> {
    let started = Instant::now();
    let topics = plan.settings.topics.inputs().map(|topic| topic.name.as_str());
    let client = plan.settings.kafka.client()?;
    let producer = TransactionalProducer::new(
        &tuned(&client, &PRODUCER),
        &plan.limit_group(round),
        PRODUCER_TIMEOUT,
    )
    .map_err(BenchError::client("making the pass-through's producer"))?;
    producer.init()?;
    let consumer = consumer(&client, &plan.limit_group(round), &topics)?;
    let all = plan.trips * 3;
    let value = [b'x'; OUTPUT_BYTES];
    let mut samples = Vec::new();
    let mut rows = 0;
    let mut last_row = Instant::now();
    let mut open_since: Option<Instant> = None;
    let mut next: FxHashMap<(usize, Partition), i64> = FxHashMap::default();
    while rows < all || open_since.is_some() {
        if shutdown.requested() {
            return Err(BenchError::Interrupted);
        }
        if open_since.is_some_and(|since| rows == all || since.elapsed() >= plan.commit_interval) {
            producer.send_offsets(&offsets(&next, &topics)?, &Arc::new(membership(&consumer)))?;
            producer.commit()?;
            open_since = None;
            samples.push(Sample { at: started.elapsed(), trips: rows / 3, resident: None });
            continue;
        }
        match consumer.poll(POLL) {
            Some(Ok(row)) => {
                if open_since.is_none() {
                    producer.begin()?;
                    open_since = Some(Instant::now());
                }
                let topic = topics.iter().position(|&name| name == row.topic());
                let topic = topic.expect("only the inputs are subscribed to");
                next.insert((topic, row.partition()), row.offset() + 1);
                rows += 1;
                if rows % 3 == 0 {
                    producer.send(Record {
                        topic: &plan.limit_output.name,
                        partition: row.partition() % output_partitions,
                        key: row.key(),
                        value: Some(&value),
                        ..Record::default()
                    })?;
                }
                last_row = Instant::now();
            }
            // librdkafka goes on by itself; if it can't, no row comes.
            Some(Err(error)) => debug!(%error, "passing through"),
            None if last_row.elapsed() > STUCK => {
                return Err(BenchError::LimitStuck { after: STUCK, rows, all });
            }
            None => producer.poll(),
        }
    }
    Ok(samples)
}

/// Tuned for throughput; the joiner's producer gives some of it up for latency.
const PRODUCER: [(&str, &str); 4] = [
    ("linger.ms", "5"),
    ("message.max.bytes", "4194304"),
    ("queue.buffering.max.messages", "500000"),
    ("queue.buffering.max.kbytes", "262144"),
];

/// As the joiner's consumer is tuned, but for its queues: reading nothing else, it is faster with large ones.
const CONSUMER: [(&str, &str); 4] = [
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "4096"),
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "3000"),
];

/// `client` with `settings` where it has none of its own.
fn tuned(client: &ClientConfig, settings: &[(&str, &str)]) -> ClientConfig {
    let mut client = client.clone();
    for (name, value) in settings {
        if client.get(name).is_none() {
            client.set(*name, *value);
        }
    }
    client
}

fn consumer(
    client: &ClientConfig,
    group: &str,
    topics: &[&str],
) -> Result<BaseConsumer<LogContext>, BenchError> {
    let mut config = tuned(client, &CONSUMER);
    config.set("group.id", group);
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest");
    config.set("partition.assignment.strategy", "range");
    let failed = BenchError::client("reading the inputs for the pass-through");
    let consumer: BaseConsumer<LogContext> =
        config.create_with_context(LogContext::default()).map_err(&failed)?;
    consumer.subscribe(topics).map_err(&failed)?;
    Ok(consumer)
}

fn membership(consumer: &BaseConsumer<LogContext>) -> rdkafka::consumer::ConsumerGroupMetadata {
    consumer.group_metadata().expect("the consumer has a group")
}

fn offsets(
    next: &FxHashMap<(usize, Partition), i64>,
    topics: &[&str],
) -> Result<TopicPartitionList, BenchError> {
    let mut list = TopicPartitionList::with_capacity(next.len());
    for (&(topic, partition), &offset) in next {
        list.add_partition_offset(topics[topic], partition, Offset::Offset(offset))
            .map_err(BenchError::client("noting an offset of the pass-through"))?;
    }
    Ok(list)
}
