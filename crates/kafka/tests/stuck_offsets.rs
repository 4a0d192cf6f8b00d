//! Offsets are added to a transaction while nobody knows the group's coordinator.

// Clippy's exception for tests sees functions marked as tests only.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use devstack::{ApiKey, DevStack, Fault, Options, ResponseError};
use kafka::KafkaConfig;
use kafka::topics::{Wanted, ensure};
use kafka::transaction::{Record, Remedy, TransactionalProducer};
use models::topics::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "numbers";
const TIMEOUT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(60);

/// A consumer that is a member of its group.
fn member(config: &KafkaConfig) -> BaseConsumer {
    let mut client = config.client().unwrap();
    client.set("group.id", "readers");
    let consumer: BaseConsumer = client.create().unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    let started = Instant::now();
    while consumer.assignment().unwrap().count() == 0 {
        assert!(started.elapsed() < DEADLINE, "it becomes a member");
        consumer.poll(Duration::from_millis(20));
    }
    consumer
}

fn write_one(producer: &TransactionalProducer) {
    producer.begin().unwrap();
    producer.send(Record { topic: TOPIC, value: Some(b"1"), ..Record::default() }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_return_is_given_up_and_another_producer_goes_on() {
    let stack = DevStack::start(Options::default()).unwrap();
    let config =
        KafkaConfig { bootstrap_servers: stack.bootstrap_servers(), ..KafkaConfig::default() };
    let topic = Topic { name: TOPIC.to_owned(), partitions: 1, replicas: 1 };
    ensure(&config, &[Wanted::from(&topic)]).await.unwrap();
    let consumer = member(&config);
    let group = Arc::new(consumer.group_metadata().unwrap());
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(1)).unwrap();

    let mut client = config.client().unwrap();
    client.set("client.id", "writer").set("retry.backoff.ms", "10");
    let producer = TransactionalProducer::new(&client, "writer", TIMEOUT).unwrap();
    producer.init().unwrap();
    write_one(&producer);
    // More often than librdkafka asks again, and then it asks no more.
    let nobody = Fault::error(ResponseError::CoordinatorNotAvailable);
    stack.inject(nobody.of(ApiKey::FindCoordinator).from_client("writer").times(100));
    let started = Instant::now();
    let error = producer.send_offsets(&offsets, &group).unwrap_err();
    assert_eq!(error.remedy, Remedy::Recreate, "{error}");
    assert!(started.elapsed() < 4 * TIMEOUT, "{:?}", started.elapsed());
    let error = producer.abort().unwrap_err();
    assert_eq!(error.remedy, Remedy::Recreate, "{error}");
    drop(producer);
    stack.clear_faults();

    let next = TransactionalProducer::new(&client, "writer", TIMEOUT).unwrap();
    while let Err(error) = next.init() {
        assert!(error.remedy == Remedy::Retry && started.elapsed() < DEADLINE, "{error}");
    }
    write_one(&next);
    next.send_offsets(&offsets, &group).unwrap();
    next.commit().unwrap();
    let committed = consumer.committed(DEADLINE).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(1));
}
