//! What is answered when Kafka is slow, refuses, or goes away.

use std::time::{Duration, Instant};

use devstack::{ApiKey, DevStack, Fault, ResponseError};
use producer_api::ProducerApiConfig;
use serde_json::json;

use crate::harness::{Api, DEADLINE, config_for, dev_stack, hasty};

const TOPICS: [&str; 3] = ["hw.fake.trips", "hw.fake.drivers", "hw.fake.riders"];
const IN_FLIGHT: &str = "tripstream_api_records_in_flight";

/// An API that has delivered something to every partition: what goes wrong then, goes wrong with a request, and no record
/// has to wait for the first one of its partition.
async fn started(config: ProducerApiConfig) -> Api {
    let api = Api::ready(config).await;
    assert_eq!(api.trips(100).await.status, 200);
    api
}

/// Lets no record be acknowledged until the faults are cleared.
fn hold_records(stack: &DevStack) {
    stack.inject(Fault::hold().of(ApiKey::Produce));
}

#[tokio::test]
async fn an_answer_waits_for_kafkas_acknowledgement() {
    let stack = dev_stack();
    let api = started(config_for(&stack)).await;
    let delay = Duration::from_millis(700);
    stack.inject(Fault::delay(delay).of(ApiKey::Produce));
    let start = Instant::now();
    assert_eq!(api.trips(10).await.status, 200);
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_gone_is_a_504_with_every_record_and_no_end() {
    let stack = dev_stack();
    let api = started(hasty(&stack)).await;

    stack.crash();
    let answer = api.trips(2).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    let failure = answer.json();
    assert_eq!((&failure["delivered"], &failure["failed"]), (&json!(0), &json!(6)));
    assert_eq!(failure["detail"], "6 of 6 records were not acknowledged by Kafka");
    let records = failure["records"].as_array().unwrap();
    assert_eq!(records.len(), 6);
    for record in records {
        assert!(TOPICS.contains(&record["topic"].as_str().unwrap()), "{record}");
        assert!(!record["trip_id"].as_str().unwrap().is_empty(), "{record}");
        assert_eq!(record["error"], "MessageTimedOut (Local: Message timed out)");
    }

    let failed = r#"tripstream_api_records_total{topic="hw.fake.trips",result="failed"}"#;
    assert_eq!(api.metric(failed).await, Some(2.0));

    stack.restart();
    let back = async { while api.trips(1).await.status != 200 {} };
    tokio::time::timeout(DEADLINE, back).await.expect("the producer reconnects");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_crashes_with_a_request_under_way_costs_time_and_no_record() {
    let back_after = Duration::from_millis(100);
    for fault in [Fault::crash_before(back_after), Fault::crash_after(back_after)] {
        let stack = dev_stack();
        let api = started(config_for(&stack)).await;
        stack.inject(fault.of(ApiKey::Produce));
        assert_eq!(api.trips(10).await.status, 200);
        assert_eq!(stack.clear_faults(), 0, "it has crashed");
        api.stop().await.unwrap();
    }
}

#[tokio::test]
async fn records_that_kafka_refuses_are_a_502() {
    let stack = dev_stack();
    let api = started(config_for(&stack)).await;
    for (refusal, named) in [
        (ResponseError::InvalidRecord, "InvalidRecord"),
        (ResponseError::MessageTooLarge, "MessageSizeTooLarge"),
        (ResponseError::PolicyViolation, "PolicyViolation"),
    ] {
        stack.inject(Fault::error(refusal).of(ApiKey::Produce));
        let answer = api.post("/api/generate-rider", &json!({ "trip_id": "t1" })).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        let failure = answer.json();
        assert_eq!((&failure["delivered"], &failure["failed"]), (&json!(0), &json!(1)));
        assert_eq!(failure["records"][0]["topic"], "hw.fake.riders");
        assert_eq!(failure["records"][0]["trip_id"], "t1");
        let error = failure["records"][0]["error"].as_str().unwrap();
        assert!(error.contains(named), "{error}");
        let answer = api.trips(1).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_a_503_and_produces_nothing() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_per_request = 100;
    config.producer.queue_records = 300;
    let api = started(config).await;

    hold_records(&stack);
    let in_flight = async {
        api.wait_for_metric(IN_FLIGHT, 300.0).await;
        let refused = api.trips(1).await;
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
        assert_eq!(
            refused.json()["detail"],
            "too busy, nothing was produced: 300 of 300 records are on their way to Kafka; 3 more have no room"
        );
        assert_eq!(api.trips(0).await.status, 200, "no trips always fit");
        stack.clear_faults();
    };
    let (large, ()) = tokio::join!(api.trips(100), in_flight);
    assert_eq!(large.status, 200);
    assert_eq!(api.trips(100).await.status, 200, "the room is free again");
    let delivered = r#"tripstream_api_records_total{topic="hw.fake.trips",result="delivered"}"#;
    assert_eq!(api.metric(delivered).await, Some(300.0));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_room_back() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_per_request = 100;
    config.producer.queue_records = 300;
    let api = started(config).await;
    hold_records(&stack);
    tokio::select! {
        answer = api.trips(100) => panic!("answered before the broker did: {answer:?}"),
        () = api.wait_for_metric(IN_FLIGHT, 300.0) => {}
    }
    stack.clear_faults();
    api.wait_for_metric(IN_FLIGHT, 0.0).await;
    assert_eq!(api.trips(100).await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn shutdown_finishes_the_requests_that_run_and_refuses_others() {
    let stack = dev_stack();
    let api = started(config_for(&stack)).await;
    hold_records(&stack);
    let stopping = async {
        api.wait_for_metric(IN_FLIGHT, 30.0).await;
        api.ctx.shutdown.trigger();
        // On a connection that is open already.
        let refused = api.trips(1).await;
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
        assert_eq!(refused.json()["detail"], "stopping, nothing was produced");
        stack.clear_faults();
    };
    let (running, ()) = tokio::join!(api.trips(10), stopping);
    assert_eq!(running.status, 200);
    api.end().await.unwrap();
}

#[tokio::test]
async fn records_left_undecided_at_the_deadline_are_a_failure() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.shutdown.timeout = Duration::from_secs(2);
    let api = started(config).await;
    stack.crash();
    tokio::select! {
        answer = api.trips(2) => panic!("answered without a broker: {answer:?}"),
        () = api.wait_for_metric(IN_FLIGHT, 6.0) => {}
    }
    let error = api.stop().await.unwrap_err();
    assert!(matches!(error, producer_api::Error::Undecided(6)), "{error}");
}

#[tokio::test]
async fn a_producer_that_cannot_go_on_ends_the_service_with_the_reason() {
    let stack = dev_stack();
    let refusal = Fault::error(ResponseError::ClusterAuthorizationFailed);
    stack.inject(refusal.of(ApiKey::InitProducerId).times(3));
    let error = Api::start(config_for(&stack)).end().await.unwrap_err();
    assert!(matches!(error, producer_api::Error::ProducerFailed(_)), "{error}");
    assert!(error.to_string().contains("authorization"), "{error}");
}
