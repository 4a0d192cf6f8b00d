//! Where a log begins and ends, asked of a broker that doesn't always say so.

// Clippy's exception for tests sees functions marked as tests only.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use devstack::{ApiKey, DevStack, Fault, Options, ResponseError};
use kafka::topics::{Wanted, delete_records_before, ensure};
use kafka::{KafkaConfig, LogContext, log_ends};
use models::topics::Topic;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{FutureProducer, FutureRecord};

const TOPIC: &str = "numbers";
const TIMEOUT: Duration = Duration::from_secs(10);
const RECORDS: i64 = 10;
const DELETED: i64 = 3;
/// Both answers must be there before the first is looked at: a matter of microseconds.
const TRIES: usize = 200;

/// A stack with a topic of two partitions. The first has records, some of which are deleted; the second has none.
async fn stack() -> (DevStack, BaseConsumer<LogContext>) {
    let stack = DevStack::start(Options::default()).unwrap();
    let config =
        KafkaConfig { bootstrap_servers: stack.bootstrap_servers(), ..KafkaConfig::default() };
    let topic = Topic { name: TOPIC.to_owned(), partitions: 2, replicas: 1 };
    ensure(&config, &[Wanted::from(&topic)]).await.unwrap();
    let mut client = config.client().unwrap();
    let producer: FutureProducer = client.create().unwrap();
    for n in 0..RECORDS {
        let value = n.to_string();
        let record = FutureRecord::<(), _>::to(TOPIC).partition(0).payload(&value);
        producer.send(record, TIMEOUT).await.unwrap();
    }
    delete_records_before(&config, TOPIC, &[(0, DELETED)]).await.unwrap();
    client.set("group.id", "nobody");
    let consumer = client.create_with_context(LogContext::default()).unwrap();
    (stack, consumer)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_partition_has_a_start_and_an_end() {
    let (_stack, consumer) = stack().await;
    let both = [(TOPIC, 1), (TOPIC, 0)];
    assert_eq!(log_ends::starts(&consumer, both, TIMEOUT).unwrap(), [0, DELETED]);
    assert_eq!(log_ends::ends(&consumer, both, TIMEOUT).unwrap(), [0, RECORDS]);
    assert!(log_ends::starts(&consumer, [], TIMEOUT).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_is_no_answer() {
    let (stack, consumer) = stack().await;
    for _ in 0..TRIES {
        stack.inject(Fault::error(ResponseError::NotLeaderOrFollower).of(ApiKey::ListOffsets));
        let start = log_ends::starts(&consumer, [(TOPIC, 0)], TIMEOUT);
        assert!(start.is_err(), "{start:?}");
        // The metadata is asked for again, and then the log.
        assert_eq!(log_ends::starts(&consumer, [(TOPIC, 0)], TIMEOUT).unwrap(), [DELETED]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_refusal_is_never_taken_for_the_other_end() {
    let (stack, consumer) = stack().await;
    for error in [ResponseError::LeaderNotAvailable, ResponseError::FencedLeaderEpoch] {
        stack.inject(Fault::error(error).of(ApiKey::ListOffsets));
        let start = log_ends::starts(&consumer, [(TOPIC, 0)], TIMEOUT);
        assert!(start.as_ref().is_ok_and(|s| *s == [DELETED]) || start.is_err(), "{start:?}");
    }
}
