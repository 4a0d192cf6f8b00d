//! Retention and compaction, as a consumer sees them.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::{Duration, Instant};

use devstack::{DevStack, Options};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const DEADLINE: Duration = Duration::from_secs(30);

type Pair = (Option<String>, Option<String>);

struct Rig {
    stack: DevStack,
    topic: &'static str,
}

impl Rig {
    fn with(configs: &[(&str, &str)]) -> Self {
        let rig = Self { stack: DevStack::start(Options::default()).unwrap(), topic: "cleaned" };
        let admin: AdminClient<_> = rig.client().create().unwrap();
        let mut new = NewTopic::new(rig.topic, 1, TopicReplication::Fixed(1));
        for (name, value) in configs {
            new = new.set(name, value);
        }
        let created = admin.create_topics([&new], &AdminOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(created).unwrap().remove(0).unwrap();
        rig
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.stack.bootstrap_servers());
        config
    }

    /// Writes each record as a batch of its own.
    fn write(&self, records: &[(&str, Option<&str>)], timestamp: Option<i64>) {
        let mut config = self.client();
        let producer: BaseProducer = config.set("linger.ms", "0").create().unwrap();
        for (key, value) in records {
            let mut record = BaseRecord::<str, str>::to(self.topic).key(key);
            record.payload = *value;
            record.timestamp = timestamp;
            producer.send(record).unwrap();
            producer.flush(DEADLINE).unwrap();
        }
    }

    /// All records with their offsets.
    fn read(&self) -> Vec<(i64, Pair)> {
        let mut config = self.client();
        config.set("group.id", "reader").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(self.topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&assignment).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut records = Vec::new();
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let pair = (message.key().map(text), message.payload().map(text));
                    records.push((message.offset(), pair));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return records,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        panic!("the end does not come: {records:?}");
    }

    fn start_and_end(&self) -> (i64, i64) {
        let consumer: BaseConsumer = self.client().create().unwrap();
        consumer.fetch_watermarks(self.topic, 0, DEADLINE).unwrap()
    }
}

fn pair(key: &str, value: &str) -> Pair {
    (Some(key.to_owned()), Some(value.to_owned()))
}

#[test]
fn a_compacted_topic_keeps_the_last_record_of_each_key_at_its_offset() {
    let rig = Rig::with(&[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]);
    rig.write(
        &[("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("c", Some("1")), ("b", None)],
        // Old timestamps, so that the tombstone may be removed.
        Some(1_000),
    );
    rig.write(&[("d", Some("1"))], None);
    rig.stack.clean();
    let left = vec![(2, pair("a", "2")), (3, pair("c", "1")), (5, pair("d", "1"))];
    assert_eq!(rig.read(), left);

    // Offsets continue from there, also after a crash.
    rig.stack.crash();
    rig.stack.restart();
    rig.write(&[("a", Some("3")), ("e", Some("1"))], None);
    rig.stack.clean();
    let left =
        vec![(3, pair("c", "1")), (5, pair("d", "1")), (6, pair("a", "3")), (7, pair("e", "1"))];
    assert_eq!(rig.read(), left);
}

#[test]
fn records_older_than_the_retention_time_go_and_offsets_go_on() {
    let rig = Rig::with(&[("retention.ms", "60000")]);
    rig.write(&[("a", Some("old")), ("b", Some("old"))], Some(1_000));
    rig.write(&[("c", Some("new"))], None);
    rig.stack.clean();
    assert_eq!(rig.read(), vec![(2, pair("c", "new"))]);
    assert_eq!(rig.start_and_end(), (2, 3));
}

#[test]
fn a_log_that_lost_all_its_records_keeps_its_end_over_a_crash() {
    let rig = Rig::with(&[("retention.ms", "60000")]);
    rig.write(&[("a", Some("old")), ("b", Some("old"))], Some(1_000));
    rig.stack.clean();
    assert_eq!(rig.start_and_end(), (2, 2));
    rig.stack.crash();
    rig.stack.restart();
    assert_eq!(rig.start_and_end(), (2, 2));
    rig.write(&[("c", Some("new"))], None);
    assert_eq!(rig.read(), vec![(2, pair("c", "new"))]);
}

#[test]
fn no_more_is_kept_than_the_retention_size() {
    let rig = Rig::with(&[("retention.bytes", "1000")]);
    let value = "x".repeat(400);
    let records = [("a", Some(&*value)); 6];
    rig.write(&records, None);
    rig.stack.clean();
    let (start, end) = rig.start_and_end();
    // A batch is deleted if the batches after it reach the limit.
    assert_eq!((start, end), (3, 6));
}
