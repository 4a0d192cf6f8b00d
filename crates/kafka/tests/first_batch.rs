//! A producer's first batch in a partition, refused while others are on their way.

// Clippy's exception for tests sees functions marked as tests only.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use devstack::{ApiKey, DevStack, Fault, Options, ResponseError};
use kafka::KafkaConfig;
use kafka::topics::{Wanted, ensure};
use kafka::transaction::{Record, TransactionalProducer};
use models::topics::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

const TOPIC: &str = "numbers";
const TIMEOUT: Duration = Duration::from_secs(10);
const RECORDS: u8 = 20;
/// It takes a second request that leaves before the first one's answer is there.
const TRIES: usize = 3;

fn committed(config: &KafkaConfig, partition: i32) -> Vec<u8> {
    let mut client = config.client().unwrap();
    client.set("group.id", "nobody").set("isolation.level", "read_committed");
    client.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.create().unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    consumer.assign(&place).unwrap();
    let started = Instant::now();
    let mut values = Vec::new();
    while started.elapsed() < TIMEOUT {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => values.extend_from_slice(message.payload().unwrap()),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return values,
            other => panic!("{other:?}"),
        }
    }
    panic!("no end of the partition within {TIMEOUT:?}, after {values:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_first_batch_is_not_overtaken() {
    let stack = DevStack::start(Options::default()).unwrap();
    let config =
        KafkaConfig { bootstrap_servers: stack.bootstrap_servers(), ..KafkaConfig::default() };
    let topic = Topic { name: TOPIC.to_owned(), partitions: TRIES as i32, replicas: 1 };
    ensure(&config, &[Wanted::from(&topic)]).await.unwrap();
    let mut client = config.client().unwrap();
    // Each record is a batch, and leaves at once.
    client.set("linger.ms", "0").set("batch.num.messages", "1");
    client.set("retry.backoff.ms", "10");
    let producer = TransactionalProducer::new(&client, "writer", TIMEOUT).unwrap();
    producer.init().unwrap();
    for partition in 0..TRIES as i32 {
        stack.inject(Fault::error(ResponseError::NotLeaderOrFollower).of(ApiKey::Produce));
        producer.begin().unwrap();
        for number in 0..RECORDS {
            let value = [number];
            let record =
                Record { topic: TOPIC, partition, value: Some(&value), ..Record::default() };
            producer.send(record).unwrap();
        }
        producer.commit().unwrap();
        let expected: Vec<u8> = (0..RECORDS).collect();
        assert_eq!(committed(&config, partition), expected, "partition {partition}");
    }
}
