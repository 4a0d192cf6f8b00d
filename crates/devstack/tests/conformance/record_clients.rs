//! Records through librdkafka: what is written is what is read.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::rig::{DEADLINE, client, now_ms, topic, topic_with, unique};

type Sender = ThreadedProducer<DefaultProducerContext>;

fn producer(settings: &[(&str, &str)]) -> Sender {
    let mut config = client(&[("acks", "all"), ("message.timeout.ms", "20000")]);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

fn record<'a>(topic: &'a str, value: &'a str) -> BaseRecord<'a, str, str> {
    BaseRecord::to(topic).payload(value)
}

/// Reads a topic to its end.
fn read<T>(
    topic: &str,
    partitions: i32,
    isolation: &str,
    mut take: impl FnMut(&BorrowedMessage) -> T,
) -> Vec<T> {
    let consumer: BaseConsumer = client(&[
        ("group.id", &unique("reader")),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", isolation),
    ])
    .create()
    .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let (mut taken, mut open, end) = (Vec::new(), partitions, Instant::now() + DEADLINE);
    while open > 0 {
        assert!(Instant::now() < end, "{topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => taken.push(take(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => (),
        }
    }
    taken
}

fn text(message: &BorrowedMessage) -> String {
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

#[test]
fn every_compression_comes_through() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic(1);
        let producer = producer(&[("compression.type", codec), ("linger.ms", "50")]);
        let values: Vec<String> =
            (0..500).map(|n| format!("{codec}-{n}-{}", "a".repeat(200))).collect();
        for value in &values {
            producer.send(record(&topic, value)).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        assert_eq!(read(&topic, 1, "read_committed", text), values, "{codec}");
    }
}

#[test]
fn topic_may_recompress() {
    for codec in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic_with(1, &[("compression.type", codec)]);
        let producer = producer(&[("compression.type", "lz4"), ("linger.ms", "50")]);
        let values: Vec<String> = (0..100).map(|n| format!("{n}-{}", "a".repeat(200))).collect();
        for value in &values {
            producer.send(record(&topic, value)).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        assert_eq!(read(&topic, 1, "read_committed", text), values, "{codec}");
    }
}

#[test]
fn order_holds_in_each_partition() {
    const RECORDS: usize = 20_000;
    let topic = topic(3);
    let producer = producer(&[("enable.idempotence", "true")]);
    for n in 0..RECORDS {
        let (key, value) = (format!("key-{}", n % 50), n.to_string());
        while producer.send(record(&topic, &value).key(&key)).is_err() {
            producer.flush(DEADLINE).unwrap();
        }
    }
    producer.flush(DEADLINE).unwrap();
    let read = read(&topic, 3, "read_committed", |message| {
        (message.partition(), message.offset(), text(message).parse::<usize>().unwrap())
    });
    for partition in 0..3 {
        let rows: Vec<_> = read.iter().filter(|(p, ..)| *p == partition).collect();
        assert!(rows.is_sorted_by(|(_, _, a), (_, _, b)| a < b), "partition {partition}");
        assert!(rows.iter().enumerate().all(|(n, (_, offset, _))| *offset == n as i64));
    }
    let mut numbers: Vec<usize> = read.into_iter().map(|(.., n)| n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..RECORDS).collect::<Vec<_>>());
}

#[test]
fn headers_keep_their_order_their_duplicates_and_their_nulls() {
    let topic = topic(1);
    let producer = producer(&[]);
    let expected: [(&str, Option<&[u8]>); 4] =
        [("a", Some(b"1")), ("b", Some(b"")), ("none", None), ("a", Some(b"2"))];
    let mut headers = OwnedHeaders::new();
    for (key, value) in expected {
        headers = headers.insert(Header { key, value });
    }
    producer.send(record(&topic, "x").headers(headers)).unwrap();
    producer.flush(DEADLINE).unwrap();
    let read = read(&topic, 1, "read_committed", |message| {
        let headers = message.headers().unwrap().iter();
        headers.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect::<Vec<_>>()
    });
    let expected = expected.map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec)));
    assert_eq!(read, [expected.to_vec()]);
}

#[test]
fn null_is_not_empty() {
    let topic = topic(1);
    let producer = producer(&[]);
    let cases: [[Option<&[u8]>; 2]; 4] =
        [[Some(b"k"), None], [None, Some(b"")], [Some(b""), Some(b"v")], [None, None]];
    for [key, value] in cases {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic);
        record.key = key;
        record.payload = value;
        producer.send(record).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let read = read(&topic, 1, "read_committed", |message| {
        [message.key(), message.payload()].map(|bytes| bytes.map(<[u8]>::to_vec))
    });
    assert_eq!(read, cases.map(|row| row.map(|bytes| bytes.map(<[u8]>::to_vec))));
}

#[test]
fn timestamps_are_the_producers() {
    let topic = topic(1);
    let producer = producer(&[]);
    let times: Vec<i64> = (0..5).map(|n| now_ms() - 100_000 + n * 1_000).collect();
    for time in &times {
        producer.send(record(&topic, "x").timestamp(*time)).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let read = read(&topic, 1, "read_committed", |message| message.timestamp());
    let expected: Vec<_> = times.into_iter().map(rdkafka::Timestamp::CreateTime).collect();
    assert_eq!(read, expected);
}

#[test]
fn large_records_come_through() {
    let topic = topic(1);
    let producer = producer(&[("message.max.bytes", "3000000")]);
    let value = "x".repeat(900_000);
    for _ in 0..3 {
        producer.send(record(&topic, &value)).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    assert_eq!(read(&topic, 1, "read_committed", text), [&*value; 3]);
}

#[test]
fn reading_begins_in_the_middle_of_a_batch() {
    let topic = topic(1);
    let producer = producer(&[("linger.ms", "200")]);
    for n in 0..100 {
        producer.send(record(&topic, &n.to_string())).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let consumer: BaseConsumer = client(&[("group.id", &unique("reader"))]).create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic, 0, Offset::Offset(37)).unwrap();
    consumer.assign(&assignment).unwrap();
    let first = consumer.poll(DEADLINE).unwrap().unwrap();
    assert_eq!((first.offset(), text(&first)), (37, "37".to_owned()));
}

#[test]
fn watermarks_and_times_are_found() {
    let topic = topic(1);
    let producer = producer(&[("linger.ms", "200")]);
    let begin = now_ms() - 1_000_000;
    for n in 0..10 {
        producer.send(record(&topic, "x").timestamp(begin + n * 1_000)).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let consumer: BaseConsumer = client(&[("group.id", &unique("reader"))]).create().unwrap();
    assert_eq!(consumer.fetch_watermarks(&topic, 0, DEADLINE).unwrap(), (0, 10));
    let mut times = TopicPartitionList::new();
    times.add_partition_offset(&topic, 0, Offset::Offset(begin + 4_500)).unwrap();
    let found = consumer.offsets_for_times(times, DEADLINE).unwrap();
    assert_eq!(found.elements()[0].offset(), Offset::Offset(5));
}

#[test]
fn producer_creates_its_topic() {
    let topic = unique("auto");
    let producer = producer(&[]);
    producer.send(record(&topic, "x").partition(0)).unwrap();
    producer.flush(DEADLINE).unwrap();
    assert_eq!(read(&topic, 1, "read_committed", text), ["x"]);
}
