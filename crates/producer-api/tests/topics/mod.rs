//! What a reader of committed records finds in the topics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use models::Side;
use producer_api::ProducerApiConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::metadata::MetadataPartition;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Nothing in these tests takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

fn consumer(config: &ProducerApiConfig, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &config.kafka.bootstrap_servers)
        .set("group.id", "never-committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .set("isolation.level", isolation)
        .create()
        .unwrap()
}

/// A committed record.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    /// Names and values, in their order.
    #[allow(dead_code, reason = "not every test looks at them")]
    pub(crate) headers: Vec<(String, String)>,
}

/// Key and value of all committed records of a topic. Waits until no transaction is open in it.
pub(crate) fn committed(config: &ProducerApiConfig, topic: &str) -> Vec<(String, Vec<u8>)> {
    committed_rows(config, topic).into_iter().map(|row| (row.key, row.value)).collect()
}

/// All committed records of a topic. Waits until no transaction is open in it.
pub(crate) fn committed_rows(config: &ProducerApiConfig, topic: &str) -> Vec<Row> {
    let [committed, all] =
        ["read_committed", "read_uncommitted"].map(|isolation| consumer(config, isolation));
    let metadata = committed.fetch_metadata(Some(topic), DEADLINE).unwrap();
    let partitions: Vec<i32> =
        metadata.topics()[0].partitions().iter().map(MetadataPartition::id).collect();
    let deadline = Instant::now() + DEADLINE;
    let end = |consumer: &BaseConsumer, partition| {
        consumer.fetch_watermarks(topic, partition, DEADLINE).unwrap().1
    };
    let mut assignment = TopicPartitionList::new();
    for &partition in &partitions {
        while end(&committed, partition) < end(&all, partition) {
            assert!(Instant::now() < deadline, "a transaction stays open in {topic}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    committed.assign(&assignment).unwrap();
    let mut unread = partitions.len();
    let mut rows = Vec::new();
    while unread > 0 {
        assert!(Instant::now() < deadline, "{topic} is not read to its end");
        match committed.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = message.headers().into_iter().flat_map(Headers::iter);
                rows.push(Row {
                    key: text(message.key().unwrap()),
                    value: message.payload().unwrap_or_default().to_vec(),
                    headers: headers
                        .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                        .collect(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(_))) => unread -= 1,
            Some(Err(error)) => panic!("reading {topic}: {error}"),
            None => {}
        }
    }
    rows
}

/// How many rows each trip has on each side, in the order of [`Side::ALL`].
pub(crate) fn rows_by_trip(config: &ProducerApiConfig) -> BTreeMap<String, [u32; 3]> {
    let mut trips: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for side in Side::ALL {
        for (trip, _) in committed(config, &config.topics.input(side).name) {
            trips.entry(trip).or_default()[side.index()] += 1;
        }
    }
    trips
}
