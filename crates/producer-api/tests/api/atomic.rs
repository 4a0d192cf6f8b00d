//! Requests whose records are written in one transaction.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use devstack::{ApiKey, Fault, ResponseError};
use futures::future::join_all;
use models::records::CompleteTrip;
use producer_api::ProducerApiConfig;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEADLINE, JSON, TRIPS, config_for, dev_stack, hasty, in_time};
use crate::topics::{committed, rows_by_trip};

const TRIP: &str = "/api/generate-trip";
const ATOMIC: (&str, &str) = ("Tripstream-Atomic", "true");

pub(crate) fn transactions(result: &str) -> String {
    format!(r#"tripstream_api_transactions_total{{result="{result}"}}"#)
}

/// The ids of the trips of an answer 200.
pub(crate) fn ids(answer: &Answer) -> HashSet<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let trips: Vec<CompleteTrip> = serde_json::from_str(&answer.text).unwrap();
    trips.into_iter().map(|trip| trip.trip_id).collect()
}

/// Panics unless the topics hold the three rows of these trips, once each, and nothing else.
pub(crate) fn assert_holds_exactly(
    config: &ProducerApiConfig,
    trips: impl IntoIterator<Item = String>,
) {
    let expected: BTreeMap<String, [u32; 3]> =
        trips.into_iter().map(|trip| (trip, [1; 3])).collect();
    assert_eq!(rows_by_trip(config), expected);
}

#[tokio::test]
async fn the_trips_of_a_request_are_one_transaction() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let trips = ids(&api.atomic_trips(200).await);
    assert_eq!(trips.len(), 200);
    assert_eq!(api.metric(&transactions("committed")).await, Some(1.0));
    let delivered = r#"tripstream_api_records_total{topic="hw.fake.riders",result="delivered"}"#;
    assert_eq!(api.metric(delivered).await, Some(200.0));
    assert_eq!(api.atomic_trips(0).await.text, "[]");
    api.stop().await.unwrap();
    assert_holds_exactly(&config, trips);
}

#[tokio::test]
async fn every_endpoint_can_be_atomic_by_header_or_by_default() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.atomic = true;
    let api = Api::ready(config).await;
    let paths =
        ["generate-trip", "generate-driver-earning", "generate-rider", "generate-complete-trip"];
    for path in paths {
        let answer = api.post(&format!("/api/{path}"), &json!({})).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, JSON), "{path}");
        assert!(answer.json().is_object());
    }
    assert_eq!(api.trips(3).await.json().as_array().unwrap().len(), 3);
    assert_eq!(api.metric(&transactions("committed")).await, Some(5.0));
    let plain = [("Tripstream-Atomic", "false")];
    assert_eq!(api.post_with(TRIP, &plain, &json!({})).await.status, 200);
    assert_eq!(api.metric(&transactions("committed")).await, Some(5.0), "that one was plain");
    let wrong = api.post_with(TRIP, &[("Tripstream-Atomic", "yes")], &json!({})).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        wrong.json(),
        json!({ "detail": "the header Tripstream-Atomic must be true or false" })
    );
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_for_lines_can_be_atomic_up_to_the_limit_of_a_request() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    let headers = [ATOMIC, ("Accept", "application/x-ndjson")];
    let answer = api.post_with(TRIPS, &headers, &json!({ "number_of_trips": 3 })).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/x-ndjson"));
    let lines: Vec<Value> =
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), answer.text.ends_with('\n')), (3, true));
    let answer = api.post_with(TRIPS, &headers, &json!({ "number_of_trips": 1_001 })).await;
    assert_eq!(answer.status, 422);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn requests_that_wait_share_a_transaction() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    stack.inject(Fault::delay(Duration::from_millis(700)).of(ApiKey::EndTxn));
    let answers = join_all((0..30).map(|_| api.atomic_trips(2))).await;
    let trips: HashSet<String> = answers.iter().flat_map(ids).collect();
    assert_eq!(trips.len(), 60);
    let count = api.metric(&transactions("committed")).await.unwrap();
    assert!(count < 10.0, "{count} transactions for 30 requests");
    api.stop().await.unwrap();
    assert_holds_exactly(&config, trips);
}

#[tokio::test]
async fn a_request_that_is_refused_takes_no_other_with_it() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.kafka.properties = [("message.max.bytes", "10000")].into_iter().collect();
    let api = Api::ready(config.clone()).await;
    // What comes while this one is committed shares the next transaction.
    stack.inject(Fault::delay(Duration::from_millis(700)).of(ApiKey::EndTxn));
    let first = api.atomic_trips(1);
    let large = json!({ "pickup_location": "x".repeat(20_000) });
    let refused = api.post_with(TRIP, &[ATOMIC], &large);
    let (first, refused, others) =
        tokio::join!(first, refused, join_all((0..5).map(|_| api.atomic_trips(1))));
    assert_eq!((refused.status, &refused.json()["produced"]), (502, &json!(false)));
    assert!(refused.text.contains("nothing was produced"), "{refused:?}");
    let trips: Vec<String> = others.iter().chain([&first]).flat_map(ids).collect();
    api.stop().await.unwrap();
    assert_holds_exactly(&config, trips);
}

#[tokio::test]
async fn a_transaction_that_kafka_refuses_is_a_502_and_leaves_nothing() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let before = ids(&api.atomic_trips(1).await);
    for (api_key, refusal) in [
        (ApiKey::Produce, ResponseError::InvalidRecord),
        (ApiKey::Produce, ResponseError::TopicAuthorizationFailed),
        (ApiKey::AddPartitionsToTxn, ResponseError::TopicAuthorizationFailed),
    ] {
        stack.inject(Fault::error(refusal).of(api_key));
        let start = Instant::now();
        let answer = api.atomic_trips(5).await;
        assert_eq!((answer.status, &answer.json()["produced"]), (502, &json!(false)), "{answer:?}");
        assert!(start.elapsed() < DEADLINE / 3, "it doesn't wait for the time-out");
    }
    let after = ids(&api.atomic_trips(1).await);
    api.stop().await.unwrap();
    assert_holds_exactly(&config, before.into_iter().chain(after));
}

#[tokio::test]
async fn trouble_at_any_step_costs_time_and_no_trip() {
    let back_after = Duration::from_millis(100);
    for step in [ApiKey::AddPartitionsToTxn, ApiKey::Produce, ApiKey::EndTxn] {
        let stack = dev_stack();
        let config = config_for(&stack);
        let api = Api::ready(config.clone()).await;
        let mut trips = ids(&api.atomic_trips(1).await);
        for fault in [
            Fault::disconnect(),
            Fault::lose_answer(),
            Fault::crash_before(back_after),
            Fault::crash_after(back_after),
        ] {
            stack.inject(fault.of(step));
            trips.extend(ids(&api.atomic_trips(5).await));
            assert_eq!(stack.clear_faults(), 0, "it has happened");
        }
        api.stop().await.unwrap();
        assert_holds_exactly(&config, trips);
    }
}

#[tokio::test]
async fn a_commit_without_an_answer_is_a_504_that_says_so() {
    let stack = dev_stack();
    let config = hasty(&stack);
    let api = Api::ready(config.clone()).await;
    // To every partition: what comes next has only its commit to wait for.
    let before = ids(&in_time(|| api.atomic_trips(100)).await);
    // All of them: on a slow machine the first one may be an abort.
    stack.inject(Fault::hold().of(ApiKey::EndTxn).times(1_000));
    let answer = in_time(|| api.atomic_trips(5)).await;
    assert_eq!((answer.status, &answer.json()["produced"]), (504, &Value::Null), "{answer:?}");
    assert!(answer.text.contains("all there, or none of them"), "{answer:?}");
    assert!(!answer.text.contains("nothing was produced"), "{answer:?}");
    stack.clear_faults();
    let after = ids(&in_time(|| api.atomic_trips(1)).await);
    api.stop().await.unwrap();
    let found = rows_by_trip(&config);
    assert!(found.values().all(|rows| *rows == [1; 3]), "{found:?}");
    assert!(found.len() == 101 || found.len() == 106, "{}", found.len());
    assert!(before.iter().chain(&after).all(|trip| found.contains_key(trip)));
}

#[tokio::test]
async fn who_runs_out_of_time_first_leaves_theirs_to_those_of_the_same_transaction() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.delivery_timeout = Duration::from_secs(12);
    let api = Api::ready(config.clone()).await;
    // To every partition: the next transactions have only their commits to wait for.
    assert_eq!(api.atomic_trips(100).await.status, 200);
    // While this one is committed two others come, one later than the other. They share a transaction, and Kafka says
    // nothing about that one until the first has its answer.
    stack.inject(Fault::delay(Duration::from_secs(7)).of(ApiKey::EndTxn));
    stack.inject(Fault::hold().of(ApiKey::EndTxn));
    let [mut before, mut early, late] = [1, 2, 3].map(|number| Box::pin(api.atomic_trips(number)));
    for (waits, seconds) in [(&mut before, 2), (&mut early, 4)] {
        let answer = tokio::time::timeout(Duration::from_secs(seconds), waits).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    let early = async {
        let answer = early.await;
        stack.clear_faults();
        answer
    };
    let (before, early, late) = tokio::join!(before, early, late);
    assert_eq!((early.status, &early.json()["produced"]), (504, &Value::Null), "{early:?}");
    let trips: Vec<String> = [&before, &late].into_iter().flat_map(ids).collect();
    assert_eq!(trips.len(), 4);
    api.stop().await.unwrap();
    let found = rows_by_trip(&config);
    assert!(trips.iter().all(|trip| found.get(trip) == Some(&[1; 3])), "{found:?}");
    assert!(found.values().all(|rows| *rows == [1; 3]), "{found:?}");
}

#[tokio::test]
async fn without_a_broker_nothing_is_produced_and_the_answer_says_so() {
    let stack = dev_stack();
    let config = hasty(&stack);
    let api = Api::ready(config.clone()).await;
    let mut trips = ids(&in_time(|| api.atomic_trips(1)).await);
    stack.crash();
    for _ in 0..2 {
        let answer = api.atomic_trips(2).await;
        assert_eq!((answer.status, &answer.json()["produced"]), (504, &json!(false)), "{answer:?}");
    }
    stack.restart();
    let back = async {
        loop {
            let answer = api.atomic_trips(1).await;
            if answer.status == 200 {
                return ids(&answer);
            }
        }
    };
    trips.extend(tokio::time::timeout(DEADLINE, back).await.expect("the producer reconnects"));
    api.stop().await.unwrap();
    let found = rows_by_trip(&config);
    assert!(trips.iter().all(|trip| found.get(trip) == Some(&[1; 3])), "{found:?}");
    assert!(found.values().all(|rows| *rows == [1; 3]), "{found:?}");
}

#[tokio::test]
async fn two_processes_with_one_transactional_id_fence_each_other_and_lose_nothing() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.transactional_id = Some("shared-by-mistake".to_owned());
    let apis = [Api::ready(config.clone()).await, Api::ready(config.clone()).await];
    let mut trips = HashSet::new();
    for turn in 0..6 {
        trips.extend(ids(&apis[turn % 2].atomic_trips(3).await));
    }
    let fenced = apis[0].metric(&transactions("fenced")).await;
    assert!(fenced.is_some_and(|fenced| fenced > 0.0), "{fenced:?}");
    for api in apis {
        api.stop().await.unwrap();
    }
    assert_holds_exactly(&config, trips);
}

#[tokio::test]
async fn what_a_process_left_open_is_ended_by_the_next_with_its_id() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.transactional_id = Some("the-same-again".to_owned());
    let api = Api::ready(config.clone()).await;
    assert_eq!(api.atomic_trips(1).await.status, 200);
    stack.inject(Fault::hold().of(ApiKey::EndTxn));
    let given_up = tokio::time::timeout(Duration::from_millis(500), api.atomic_trips(5)).await;
    assert!(given_up.is_err(), "{given_up:?}");
    let next = Api::ready(config.clone()).await;
    // Ends sooner than the time-out of the transaction, which is two minutes here.
    let topic = config.topics.trips.name.clone();
    let read = tokio::task::spawn_blocking(move || committed(&config, &topic).len());
    let read = read.await.unwrap();
    assert!(read == 1 || read == 6, "{read}");
    stack.clear_faults();
    next.stop().await.unwrap();
    api.stop().await.unwrap();
}
