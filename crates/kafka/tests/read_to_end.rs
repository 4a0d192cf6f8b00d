//! Logs whose last record is not where they end, read to where they end.

// Clippy's exception for tests sees functions marked as tests only.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use devstack::{DevStack, Fault, Options};
use kafka::KafkaConfig;
use kafka::read_to_end::{OffsetRange, ReadError, TopicReader, Watch};
use kafka::topics::{Wanted, delete_records_before, ensure};
use kafka::transaction::{Record, TransactionalProducer};
use models::topics::Topic;
use rdkafka::Message;

const TOPIC: &str = "numbers";
const TIMEOUT: Duration = Duration::from_secs(10);
const PARTITIONS: i32 = 2;
const PATIENT: Watch<'_> = Watch { patience: TIMEOUT, stop: &|| false, progress: &|_| {} };

/// A dev stack with one topic, and who writes there.
struct Rig {
    stack: DevStack,
    config: KafkaConfig,
    producer: TransactionalProducer,
}

impl Rig {
    async fn with(configs: &[(&str, &str)]) -> Self {
        let stack = DevStack::start(Options::default()).unwrap();
        let config =
            KafkaConfig { bootstrap_servers: stack.bootstrap_servers(), ..KafkaConfig::default() };
        let topic = Topic { name: TOPIC.to_owned(), partitions: PARTITIONS, replicas: 1 };
        ensure(&config, &[Wanted { topic: &topic, configs }]).await.unwrap();
        let client = config.client().unwrap();
        let producer = TransactionalProducer::new(&client, "writer", TIMEOUT).unwrap();
        producer.init().unwrap();
        Self { stack, config, producer }
    }

    /// Writes these to the first partition, each as its own key, in a transaction that stays open.
    fn write(&self, values: &[u8]) {
        self.producer.begin().unwrap();
        for value in values {
            let value = Some(std::slice::from_ref(value));
            let record = Record { topic: TOPIC, key: value, value, ..Record::default() };
            self.producer.send(record).unwrap();
        }
    }

    fn commit(&self, values: &[u8]) {
        self.write(values);
        self.producer.commit().unwrap();
    }

    fn abort(&self, values: &[u8]) {
        self.write(values);
        // So that they are in the log, and not only on their way to it.
        self.producer.settle(Instant::now() + TIMEOUT).unwrap();
        self.producer.abort().unwrap();
    }

    fn reader(&self) -> TopicReader {
        TopicReader::new(self.config.client().unwrap(), TOPIC, TIMEOUT).unwrap()
    }

    /// All there is in both partitions: offset and value.
    fn all(&self) -> Vec<(i64, u8)> {
        let mut reader = self.reader();
        let ranges = reader.extent(&[0, 1]).unwrap();
        read(&mut reader, &ranges, TIMEOUT).unwrap()
    }
}

fn read(
    reader: &mut TopicReader,
    ranges: &[OffsetRange],
    patience: Duration,
) -> Result<Vec<(i64, u8)>, ReadError<Infallible>> {
    let mut records = Vec::new();
    let watch = Watch { patience, stop: &|| false, progress: &|_| {} };
    reader.read(ranges, &watch, |record| {
        records.push((record.offset(), record.payload().unwrap()[0]));
        Ok(())
    })?;
    Ok(records)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_with_a_marker_is_read_to_its_end() {
    let rig = Rig::with(&[]).await;
    assert_eq!(rig.all(), [], "two empty partitions");
    rig.commit(&[1, 2]);
    assert_eq!(rig.all(), [(0, 1), (1, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_with_an_aborted_transaction_is_read_to_its_end() {
    let rig = Rig::with(&[]).await;
    rig.abort(&[1, 2]);
    assert_eq!(rig.all(), [], "nothing but aborted records");
    rig.commit(&[3]);
    rig.abort(&[4]);
    assert_eq!(rig.all(), [(3, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_behind_the_end() {
    let rig = Rig::with(&[]).await;
    rig.commit(&[1]);
    rig.write(&[2]);
    rig.producer.settle(Instant::now() + TIMEOUT).unwrap();
    let mut reader = rig.reader();
    assert_eq!(reader.ends(&[1, 0]).unwrap(), [0, 2]);
    assert_eq!(reader.written_ends(&[1, 0]).unwrap(), [0, 3]);
    assert_eq!(rig.all(), [(0, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_holes_from_compaction_is_read_to_its_end() {
    let rig = Rig::with(&[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]).await;
    rig.commit(&[1, 2]);
    rig.commit(&[1]);
    rig.abort(&[2]);
    rig.stack.clean();
    assert_eq!(rig.all(), [(1, 2), (3, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_passed_over() {
    let rig = Rig::with(&[]).await;
    rig.commit(&[1, 2, 3]);
    let mut reader = rig.reader();
    let end = reader.ends(&[0]).unwrap()[0];
    let whole = OffsetRange { partition: 0, from: 0, to: end };
    delete_records_before(&rig.config, TOPIC, &[(0, 2)]).await.unwrap();
    assert_eq!(rig.all(), [(2, 3)]);
    assert_eq!(read(&mut reader, &[whole], TIMEOUT).unwrap(), [(2, 3)]);
    delete_records_before(&rig.config, TOPIC, &[(0, end)]).await.unwrap();
    assert_eq!(rig.all(), []);
    assert_eq!(read(&mut reader, &[whole], TIMEOUT).unwrap(), [], "deleted before it was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_outside_of_the_range_are_not_handed_over() {
    let rig = Rig::with(&[]).await;
    rig.commit(&[1, 2, 3, 4]);
    let mut reader = rig.reader();
    for (from, to, expected) in
        [(1, 3, vec![(1, 2), (2, 3)]), (2, 2, vec![]), (3, 4, vec![(3, 4)]), (0, 1, vec![(0, 1)])]
    {
        let range = OffsetRange { partition: 0, from, to };
        assert_eq!(read(&mut reader, &[range], TIMEOUT).unwrap(), expected, "{from}..{to}");
    }
}

/// Each of the first answers ends before the log does, so librdkafka tells the end of the partition there.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_replica_that_is_behind_is_not_taken_for_the_end() {
    let rig = Rig::with(&[]).await;
    // Three transactions with a marker behind each: the log ends at 6.
    for value in [1, 2, 3] {
        rig.commit(&[value]);
    }
    for (end, answers) in [(0, 1), (0, 3), (1, 2), (2, 2), (2, 5), (4, 2), (5, 2)] {
        let mut reader = rig.reader();
        let ranges = reader.extent(&[0, 1]).unwrap();
        assert_eq!(ranges[0].to, 6);
        rig.stack.inject(Fault::replica_behind(end).times(answers));
        let read = read(&mut reader, &ranges, TIMEOUT).unwrap();
        assert_eq!(read, [(0, 1), (2, 2), (4, 3)], "{answers} answers end at {end}");
        assert_eq!(rig.stack.clear_faults(), 0, "they have come");
    }
}

/// As when a new leader doesn't know yet that more is committed.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_told_too_early_is_not_taken_for_the_end() {
    let rig = Rig::with(&[]).await;
    rig.commit(&[1]);
    let mut reader = rig.reader();
    let beyond = OffsetRange { partition: 0, from: 0, to: 4 };
    let stalled = read(&mut reader, &[beyond], Duration::from_millis(300));
    assert!(matches!(stalled, Err(ReadError::Stalled { .. })), "{stalled:?}");

    let (told, first_was_read) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut values = Vec::new();
        let read = reader.read(&[beyond], &PATIENT, |record| {
            values.push(record.payload().unwrap()[0]);
            told.send(())
        });
        read.map(|()| values)
    });
    first_was_read.recv_timeout(TIMEOUT).unwrap();
    rig.commit(&[2]);
    assert_eq!(reading.join().unwrap().unwrap(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_stops_when_it_is_told_to() {
    let rig = Rig::with(&[]).await;
    rig.commit(&[1, 2]);
    let mut reader = rig.reader();
    let range = OffsetRange { partition: 0, from: 0, to: 100 };
    let watch = Watch { patience: TIMEOUT, stop: &|| true, progress: &|_| {} };
    let stopped = reader.read(&[range], &watch, |_| Ok::<_, Infallible>(()));
    assert!(matches!(stopped, Err(ReadError::Stopped)), "{stopped:?}");
    let refused = reader.read(&[range], &PATIENT, |_| Err("no"));
    assert!(matches!(refused, Err(ReadError::Record("no"))), "{refused:?}");
}
