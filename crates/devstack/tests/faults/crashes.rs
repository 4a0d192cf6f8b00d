//! What survives a crash of the broker, or the end of the process.

use std::time::{Duration, Instant};

use devstack::{ApiKey, DevStack, Fault, Options};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::clients::{
    AWAY, DEADLINE, TOPIC, client, committed, idempotent, send, stack, stack_with, values,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_crashes_again_and_again_loses_and_doubles_nothing() {
    let stack = stack().await;
    let producer = idempotent(&stack);
    let mut written = Vec::new();
    for round in 0..20 {
        let crash =
            if round % 2 == 0 { Fault::crash_before(AWAY) } else { Fault::crash_after(AWAY) };
        stack.inject(crash.of(ApiKey::Produce));
        let values: Vec<String> = (0..10).map(|n| format!("{round}-{n}")).collect();
        for sent in futures::future::join_all(values.iter().map(|v| send(&producer, v))).await {
            sent.unwrap();
        }
        written.extend(values);
    }
    assert_eq!(stack.clear_faults(), 0);
    assert_eq!(values(&stack), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_missed_and_the_registry_is_not() {
    let stack = stack().await;
    send(&idempotent(&stack), "a").await.unwrap();
    let producer: FutureProducer = client(&stack, &[("message.timeout.ms", "300")]);
    // So that a connection is open during the crash.
    producer.client().fetch_metadata(Some(TOPIC), DEADLINE).unwrap();
    stack.crash();
    let timed_out = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
    assert_eq!(send(&producer, "lost").await, Err(timed_out));
    let subjects = reqwest::get(format!("{}/subjects", stack.registry_url())).await.unwrap();
    assert_eq!(subjects.status(), 200);

    stack.restart();
    let producer = idempotent(&stack);
    send(&producer, "b").await.unwrap();
    assert_eq!(values(&stack), ["a", "b"]);
}

fn commit(stack: &DevStack, group: &str, offset: i64) {
    let consumer: BaseConsumer = client(stack, &[("group.id", group)]);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_with_a_file_keeps_all_over_stop_and_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { data_dir: Some(dir.path().to_owned()), ..Options::default() };
    let transactional =
        |stack: &DevStack| client::<FutureProducer>(stack, &[("transactional.id", "id")]);
    let http = reqwest::Client::new();

    let stack = stack_with(options.clone()).await;
    send(&idempotent(&stack), "plain").await.unwrap();
    let producer = transactional(&stack);
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "committed").await.unwrap();
    producer.commit_transaction(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "left open").await.unwrap();
    commit(&stack, "group", 1);
    let schema = serde_json::json!({ "schema": r#""string""# });
    let url = format!("{}/subjects/subject/versions", stack.registry_url());
    let registered = http.post(url).json(&schema).send().await.unwrap();
    let registered: serde_json::Value = registered.json().await.unwrap();
    let stopping = Instant::now();
    stack.stop();
    // Dropping waits this long for anything that still holds the storage.
    assert!(stopping.elapsed() < Duration::from_secs(5), "something does not let go of the file");

    let stack = stack_with(options.clone()).await;
    let next = transactional(&stack);
    next.init_transactions(DEADLINE).unwrap();
    assert_eq!(values(&stack), ["plain", "committed"], "the next of its id has aborted the third");
    assert_eq!(committed(&stack, "group"), Offset::Offset(1));
    let url = format!("{}/schemas/ids/{}", stack.registry_url(), registered["id"]);
    let answer: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(answer["schema"], schema["schema"]);
    drop(stack);

    // Dropping it also keeps everything that was acknowledged.
    let stack = stack_with(options).await;
    assert_eq!(values(&stack), ["plain", "committed"]);
}
