//! Reading topics with read_committed.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::run::{DEADLINE, Run, eventually};

/// A record that was read.
pub struct Row {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub value: String,
}

pub fn create_topic(run: &Run, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = run.client(&[]).create().unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    created.into_iter().next().unwrap().unwrap();
}

fn consumer(run: &Run, group: &str) -> BaseConsumer {
    let settings = [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
    ];
    run.client(&settings).create().unwrap()
}

fn partitions(topic: &str, partitions: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    list
}

/// The committed offsets of the group in the input, and the ends of its partitions.
pub fn committed_and_ends(run: &Run, count: i32) -> Vec<(i64, i64)> {
    let timeout = Duration::from_secs(10);
    let consumer = consumer(run, &run.group);
    let committed = eventually("the committed offsets are known", || {
        consumer.committed_offsets(partitions(&run.input, count), timeout).ok()
    });
    let offset = |partition| match committed.find_partition(&run.input, partition) {
        Some(element) if element.error().is_ok() => match element.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        },
        _ => -1,
    };
    let end = |partition| {
        eventually("the end of a partition is known", || {
            consumer.fetch_watermarks(&run.input, partition, timeout).ok()
        })
        .1
    };
    (0..count).map(|partition| (offset(partition), end(partition))).collect()
}

/// Waits until the pipelines have read all of their input.
pub fn await_group(run: &Run, count: i32) {
    eventually("the input is read to its end", || {
        committed_and_ends(run, count).iter().all(|(committed, end)| committed == end).then_some(())
    });
}

/// Reads a topic to its end.
pub fn read(run: &Run, topic: &str, count: i32) -> Vec<Row> {
    let consumer = consumer(run, "reader");
    consumer.assign(&partitions(topic, count)).unwrap();
    let (mut rows, mut open, mut end) = (Vec::new(), count, Instant::now() + DEADLINE);
    while open > 0 {
        assert!(Instant::now() < end, "{topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                rows.push(Row {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(text),
                    value: text(message.payload().unwrap()),
                });
                end = Instant::now() + DEADLINE;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            // Connections of before the last kill.
            Some(Err(_)) | None => (),
        }
    }
    rows
}
