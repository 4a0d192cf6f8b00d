//! What may befall an API that runs, one after the other: each with its answer, and with what is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use devstack::{ApiKey, DevStack, Fault, Options, ResponseError};
use producer_api::ProducerApiConfig;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::json;

use crate::harness::{Answer, Api, DEADLINE, config_for, dev_stack};
use crate::topics::committed;

const TOPICS: [&str; 3] = ["hw.fake.trips", "hw.fake.drivers", "hw.fake.riders"];

/// Records of each topic that were counted as `result`.
async fn counted(api: &Api, result: &str) -> [u64; 3] {
    let mut counts = [0; 3];
    for (topic, count) in TOPICS.into_iter().zip(&mut counts) {
        let line = format!("tripstream_api_records_total{{topic=\"{topic}\",result=\"{result}\"}}");
        *count = api.metric(&line).await.unwrap_or(0.0) as u64;
    }
    counts
}

/// A 502 or 504 that names each of the records and `error`.
fn assert_undelivered(answer: &Answer, status: u16, failed: u64, error: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["delivered"], &body["failed"]), (&json!(0), &json!(failed)), "{body}");
    let records = body["records"].as_array().unwrap();
    assert_eq!(records.len() as u64, failed, "{body}");
    for record in records {
        assert!(record["error"].as_str().unwrap().contains(error), "{record}");
    }
}

/// How many records of each topic there are, and how many trips they are of.
fn written(config: &ProducerApiConfig) -> Vec<(usize, usize)> {
    let counts = TOPICS.map(|topic| {
        let rows = committed(config, topic);
        let trips: BTreeSet<_> = rows.iter().map(|(key, _)| key).collect();
        (rows.len(), trips.len())
    });
    counts.to_vec()
}

#[tokio::test]
async fn leaders_that_move_cost_time_and_no_record() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    for _ in 0..3 {
        let moved = Fault::error(ResponseError::NotLeaderOrFollower);
        stack.inject(moved.of(ApiKey::Produce).times(2));
        assert_eq!(api.trips(100).await.status, 200);
        assert_eq!(stack.clear_faults(), 0, "they have moved");
    }
    assert_eq!(counted(&api, "delivered").await, [300; 3]);
    assert_eq!(counted(&api, "failed").await, [0; 3]);
    api.stop().await.unwrap();
    assert_eq!(written(&config), [(300, 300); 3]);
}

/// A leader that doesn't know a producer takes its batches from any one on: a first one that it had refused would be lost,
/// and acknowledged all the same.
#[tokio::test]
async fn a_first_batch_that_is_refused_is_not_overtaken() {
    for _ in 0..3 {
        let stack = dev_stack();
        let mut config = config_for(&stack);
        let each_alone = [("batch.num.messages", "1"), ("retry.backoff.ms", "10")];
        config.kafka.properties = each_alone.into_iter().collect();
        let api = Api::ready(config.clone()).await;
        stack.inject(Fault::error(ResponseError::NotLeaderOrFollower).of(ApiKey::Produce));
        assert_eq!(api.trips(50).await.status, 200);
        assert_eq!(stack.clear_faults(), 0, "it was refused");
        api.stop().await.unwrap();
        assert_eq!(written(&config), [(50, 50); 3]);
    }
}

#[tokio::test]
async fn what_we_may_not_write_is_a_502_until_we_may() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    assert_eq!(api.trips(1).await.status, 200);
    for (refusal, named) in [
        (ResponseError::TopicAuthorizationFailed, "TopicAuthorizationFailed"),
        (ResponseError::ClusterAuthorizationFailed, "ClusterAuthorizationFailed"),
    ] {
        stack.inject(Fault::error(refusal).of(ApiKey::Produce).times(3));
        let answer = api.post("/api/generate-trip", &json!({})).await;
        assert_undelivered(&answer, 502, 1, named);
        stack.clear_faults();
        // librdkafka remembers what it may not write until it has asked again.
        let again = async { while api.trips(1).await.status != 200 {} };
        tokio::time::timeout(DEADLINE, again).await.expect("what may be written again is");
    }
    let [trips, drivers, riders] = counted(&api, "failed").await;
    assert!(trips >= 2 && (drivers, riders) == (0, 0), "{trips} {drivers} {riders}");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_larger_than_we_may_send_is_a_502() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.kafka.properties = [("message.max.bytes", "1000")].into_iter().collect();
    let api = Api::ready(config).await;
    let trip = json!({ "pickup_location": "x".repeat(2_000) });
    let answer = api.post("/api/generate-trip", &trip).await;
    assert_undelivered(&answer, 502, 1, "MessageSizeTooLarge");
    assert_eq!(counted(&api, "failed").await, [1, 0, 0]);
    assert_eq!(api.trips(1).await.status, 200);
    api.stop().await.unwrap();
}

async fn delete(config: &ProducerApiConfig, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &config.kafka.bootstrap_servers)
        .create()
        .unwrap();
    let deleted = admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted, [Ok(topic.to_owned())]);
}

/// It is the operator's to say what becomes of a stream that somebody has deleted.
#[tokio::test]
async fn a_topic_that_was_deleted_is_a_failure_that_names_it() {
    let stack =
        DevStack::start(Options { auto_create_topics: false, ..Options::default() }).unwrap();
    let mut config = config_for(&stack);
    config.producer.delivery_timeout = Duration::from_secs(5);
    let api = Api::ready(config.clone()).await;
    assert_eq!(api.trips(1).await.status, 200);
    delete(&config, TOPICS[1]).await;
    let gone = async {
        loop {
            let answer = api.trips(1).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(DEADLINE, gone).await.expect("it is noticed");
    assert!([502, 504].contains(&answer.status), "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["delivered"], &body["failed"]), (&json!(2), &json!(1)), "{body}");
    assert_eq!(body["records"][0]["topic"], TOPICS[1]);
    assert!(counted(&api, "failed").await[1] >= 1);
    assert_eq!(api.post("/api/generate-rider", &json!({})).await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_registry_that_goes_away_later_is_told_of_and_not_needed() {
    let [kafka, registry] = [dev_stack(), dev_stack()];
    let mut config = config_for(&kafka);
    config.registry.url = registry.registry_url();
    config.registry.retries = 0;
    config.registry.timeout = Duration::from_secs(1);
    let api = Api::ready(config.clone()).await;
    let listen = config.registry.url.split('/').nth(2).unwrap();
    registry.stop();
    let ready = api.wait_for("/health/ready", 503).await;
    assert!(ready.text.contains(&config.registry.url), "{}", ready.text);
    assert_eq!(api.trips(10).await.status, 200, "the schemas are known");
    let options = Options { registry: listen.parse().unwrap(), ..Options::default() };
    let _back = DevStack::start(options).unwrap();
    api.wait_for("/health/ready", 200).await;
    api.stop().await.unwrap();
}
