//! What is answered when Kafka is slow, refuses, or goes away: against librdkafka's mock cluster.

use std::time::Duration;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use producer_api::{ProducerApiConfig, ProducerConfig};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use crate::harness::{Api, DEADLINE, StubRegistry};

const BROKER: i32 = 1;
const TOPICS: [&str; 3] = ["hw.fake.trips", "hw.fake.drivers", "hw.fake.riders"];

/// One mock broker that has the topics, and a registry.
pub(crate) struct Mock {
    pub(crate) kafka: MockCluster<'static, DefaultProducerContext>,
    pub(crate) registry: StubRegistry,
}

impl Mock {
    pub(crate) fn start() -> Self {
        let kafka = MockCluster::new(1).unwrap();
        for topic in TOPICS {
            kafka.create_topic(topic, 3, 1).unwrap();
        }
        Self { kafka, registry: StubRegistry::start() }
    }

    /// Makes the broker take `delay` for each answer.
    fn slow_down(&self, delay: Duration) {
        self.kafka.broker_round_trip_time(BROKER, delay).unwrap();
    }
}

/// Settings for `mock`, with 1,000 trips a request and 1.5 s for a delivery.
pub(crate) fn config_for(mock: &Mock) -> ProducerApiConfig {
    ProducerApiConfig {
        kafka: KafkaConfig {
            bootstrap_servers: mock.kafka.bootstrap_servers(),
            ..KafkaConfig::default()
        },
        registry: RegistryConfig { url: mock.registry.url.clone(), ..RegistryConfig::default() },
        producer: ProducerConfig {
            max_trips_per_request: 1_000,
            delivery_timeout: Duration::from_millis(1_500),
            ..ProducerConfig::default()
        },
        ..ProducerApiConfig::default()
    }
}

#[tokio::test]
async fn an_answer_waits_for_kafkas_acknowledgement() {
    let mock = Mock::start();
    let api = Api::ready(config_for(&mock)).await;
    assert_eq!(api.trips(1).await.status, 200);
    let delay = Duration::from_millis(700);
    mock.slow_down(delay);
    let start = std::time::Instant::now();
    assert_eq!(api.trips(10).await.status, 200);
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_gone_is_a_504_with_every_record_and_no_end() {
    let mock = Mock::start();
    let api = Api::ready(config_for(&mock)).await;
    assert_eq!(api.trips(1).await.status, 200);

    mock.kafka.broker_down(BROKER).unwrap();
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

    mock.kafka.broker_up(BROKER).unwrap();
    let back = async { while api.trips(1).await.status != 200 {} };
    tokio::time::timeout(DEADLINE, back).await.expect("the producer reconnects");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn records_that_kafka_refuses_are_a_502() {
    let mock = Mock::start();
    let api = Api::ready(config_for(&mock)).await;
    assert_eq!(api.trips(1).await.status, 200);
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    mock.kafka.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let answer = api.post("/api/generate-rider", &json!({ "trip_id": "t1" })).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let failure = answer.json();
    assert_eq!((&failure["delivered"], &failure["failed"]), (&json!(0), &json!(1)));
    assert_eq!(failure["records"][0]["topic"], "hw.fake.riders");
    assert_eq!(failure["records"][0]["trip_id"], "t1");
    let error = failure["records"][0]["error"].as_str().unwrap();
    assert!(error.contains("InvalidRecord"), "{error}");
    let answer = api.trips(1).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_a_503_and_produces_nothing() {
    let mock = Mock::start();
    let mut config = config_for(&mock);
    config.producer.max_trips_per_request = 100;
    config.producer.queue_records = 300;
    config.producer.delivery_timeout = Duration::from_secs(30);
    let api = Api::ready(config).await;
    assert_eq!(api.trips(1).await.status, 200);

    mock.slow_down(Duration::from_secs(1));
    let in_flight = async {
        api.wait_for_metric("tripstream_api_records_in_flight", 300.0).await;
        let refused = api.trips(1).await;
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
        assert_eq!(
            refused.json()["detail"],
            "too busy, nothing was produced: 300 of 300 records are on their way to Kafka; 3 more have no room"
        );
        assert_eq!(api.trips(0).await.status, 200, "no trips always fit");
    };
    let (large, ()) = tokio::join!(api.trips(100), in_flight);
    assert_eq!(large.status, 200);
    assert_eq!(api.trips(100).await.status, 200, "the room is free again");
    let delivered = r#"tripstream_api_records_total{topic="hw.fake.trips",result="delivered"}"#;
    assert_eq!(api.metric(delivered).await, Some(201.0));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_room_back() {
    let mock = Mock::start();
    let mut config = config_for(&mock);
    config.producer.max_trips_per_request = 100;
    config.producer.queue_records = 300;
    config.producer.delivery_timeout = Duration::from_secs(30);
    let api = Api::ready(config).await;
    assert_eq!(api.trips(1).await.status, 200);
    mock.slow_down(Duration::from_secs(1));
    tokio::select! {
        answer = api.trips(100) => panic!("answered before the broker did: {answer:?}"),
        () = api.wait_for_metric("tripstream_api_records_in_flight", 300.0) => {}
    }
    mock.slow_down(Duration::ZERO);
    api.wait_for_metric("tripstream_api_records_in_flight", 0.0).await;
    assert_eq!(api.trips(100).await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn shutdown_finishes_the_requests_that_run_and_refuses_others() {
    let mock = Mock::start();
    let mut config = config_for(&mock);
    config.producer.delivery_timeout = Duration::from_secs(20);
    let api = Api::ready(config).await;
    assert_eq!(api.trips(1).await.status, 200);
    mock.slow_down(Duration::from_secs(1));
    let stopping = async {
        api.wait_for_metric("tripstream_api_records_in_flight", 30.0).await;
        api.ctx.shutdown.trigger();
        // On a connection that is open already.
        let refused = api.trips(1).await;
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
        assert_eq!(refused.json()["detail"], "stopping, nothing was produced");
    };
    let (running, ()) = tokio::join!(api.trips(10), stopping);
    assert_eq!(running.status, 200);
    api.end().await.unwrap();
}

#[tokio::test]
async fn records_left_undecided_at_the_deadline_are_a_failure() {
    let mock = Mock::start();
    let mut config = config_for(&mock);
    config.producer.delivery_timeout = Duration::from_secs(60);
    config.shutdown.timeout = Duration::from_secs(2);
    let api = Api::ready(config).await;
    assert_eq!(api.trips(1).await.status, 200);
    mock.kafka.broker_down(BROKER).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(500), api.trips(2));
    assert!(given_up.await.is_err(), "no broker, no answer");
    let error = api.stop().await.unwrap_err();
    assert!(matches!(error, producer_api::Error::Undecided(6)), "{error}");
}

#[tokio::test]
async fn a_producer_that_cannot_go_on_ends_the_service_with_the_reason() {
    let mock = Mock::start();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    mock.kafka.request_errors(RDKafkaApiKey::InitProducerId, &[refusal; 3]);
    let error = Api::start(config_for(&mock)).end().await.unwrap_err();
    assert!(matches!(error, producer_api::Error::ProducerFailed(_)), "{error}");
    assert!(error.to_string().contains("authorization"), "{error}");
}
