//! Topics on brokers of several ages.

// Clippy's exception for tests sees functions marked as tests only.
#![allow(clippy::unwrap_used)]

use devstack::{ApiKey, DevStack, Fault, Options, ResponseError};
use kafka::KafkaConfig;
use kafka::timestamps::{ANY_TIME, TimestampLimits, limits};
use kafka::topics::{TopicError, Wanted, ensure};
use models::topics::Topic;

fn start() -> (DevStack, KafkaConfig) {
    let stack = DevStack::start(Options::default()).unwrap();
    let bootstrap_servers = stack.bootstrap_servers();
    (stack, KafkaConfig { bootstrap_servers, ..KafkaConfig::default() })
}

fn topic(name: &str) -> Topic {
    Topic { name: name.to_owned(), partitions: 1, replicas: 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_any_time_is_made_without_that_where_the_broker_does_not_know_it() {
    let (stack, config) = start();
    let [new, old, plain] = ["new", "old", "plain"].map(topic);
    let any_time = |topic| Wanted { topic, configs: &[ANY_TIME] };
    ensure(&config, &[any_time(&new)]).await.unwrap();
    stack.inject(Fault::error(ResponseError::InvalidConfig).of(ApiKey::CreateTopics));
    ensure(&config, &[any_time(&old)]).await.unwrap();
    ensure(&config, &[Wanted::from(&plain)]).await.unwrap();
    let limits = limits(&config, &["new", "old", "plain", "absent"]).await.unwrap();
    assert_eq!(limits["new"], TimestampLimits::NONE);
    assert_eq!(limits["old"], TimestampLimits::OF_KAFKA_4);
    assert_eq!(limits["plain"], TimestampLimits::OF_KAFKA_4);
    assert!(!limits.contains_key("absent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_stays_an_error() {
    let (_stack, config) = start();
    let topic = topic("wrong");
    for configs in [&[("no.such.thing", "1")][..], &[ANY_TIME, ("no.such.thing", "1")]] {
        let outcome = ensure(&config, &[Wanted { topic: &topic, configs }]).await;
        assert!(matches!(outcome, Err(TopicError::Refused { .. })), "{outcome:?}");
    }
}
