//! Before Kafka and the registry are there.

use std::time::{Duration, Instant};

use devstack::{ApiKey, DevStack, Fault, Options};
use serde_json::{Value, json};

use crate::harness::{Api, JSON, config_for, dev_stack};
use crate::process::Process;

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn without_kafka_the_endpoints_say_so_and_the_service_lives() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.kafka.bootstrap_servers = nowhere();
    let api = Api::start(config.clone());

    assert_eq!(api.ask("GET", "/health/live", None, "").await.status, 200);
    let ready = api.ask("GET", "/health/ready", None, "").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text.contains(&config.kafka.bootstrap_servers), "{}", ready.text);
    for path in ["/api/generate-trip", "/api/generate-complete-trip"] {
        let answer = api.post(path, &json!({})).await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")));
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("not ready yet, nothing was produced"), "{detail}");
        assert!(detail.contains(&config.kafka.bootstrap_servers), "{detail}");
    }
    let bad = api.ask("POST", "/api/generate-trip", Some(JSON), "[]").await;
    assert_eq!(bad.status, 422, "what is wrong with a body is known without Kafka");
    assert_eq!(api.ask("GET", "/docs", None, "").await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn without_the_registry_the_endpoints_say_so() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.registry.url = format!("http://{}", nowhere());
    let api = Api::start(config.clone());
    let answer = api.post("/api/generate-trip", &json!({})).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains(&config.registry.url), "{}", answer.text);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_registry_that_comes_later_is_found() {
    let stack = dev_stack();
    let registry = nowhere();
    let mut config = config_for(&stack);
    config.registry.url = format!("http://{registry}");
    config.registry.retries = 0;
    let api = Api::start(config);
    assert_eq!(api.post("/api/generate-trip", &json!({})).await.status, 503);
    let options = Options { registry: registry.parse().unwrap(), ..Options::default() };
    let _later = DevStack::start(options).unwrap();
    api.wait_for("/health/ready", 200).await;
    assert_eq!(api.post("/api/generate-trip", &json!({})).await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn ready_means_that_the_producer_has_its_id_and_a_record_leaves_at_once() {
    let stack = dev_stack();
    let mut took = Vec::new();
    // Without the id it takes librdkafka half a second to a second each time, with it only while the machine is slow.
    while took.iter().all(|took| *took >= Duration::from_millis(400)) {
        assert!(took.len() < 5, "{took:?}");
        stack.inject(Fault::hold().of(ApiKey::InitProducerId));
        let api = Api::start(config_for(&stack));
        let waiting = api.wait_for_reason("waiting for Kafka to give the producer its id").await;
        assert_eq!(waiting.status, 503);
        let answer = api.post("/api/generate-trip", &json!({})).await;
        assert_eq!(answer.status, 503, "a request would only wait: {answer:?}");
        stack.clear_faults();
        api.wait_for("/health/ready", 200).await;
        let asked = Instant::now();
        assert_eq!(api.trips(1).await.status, 200);
        took.push(asked.elapsed());
        api.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = producer_api::ProducerApiConfig::default();
    config.producer.listen = taken.local_addr().unwrap();
    let error = producer_api::Server::bind(config, service::Context::new("test")).unwrap_err();
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[tokio::test]
async fn who_lets_everybody_in_is_warned_once() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    for (ip, warnings) in [([127, 0, 0, 1], 0), ([0, 0, 0, 0], 1)] {
        config.producer.listen.set_ip(ip.into());
        let log = Process::ready(&config, &[]).await.log();
        let is_it = |line: &&Value| line["message"].to_string().contains("producer.bearer_token");
        assert_eq!(log.iter().filter(is_it).count(), warnings, "{ip:?}: {log:#?}");
    }
}
