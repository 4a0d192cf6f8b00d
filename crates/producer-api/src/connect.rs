//! From nothing to a publisher, however long Kafka and the registry take; and then keeping an eye on both.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use avro_schemas::{RecordType, RegistryClient, RegistryError, SchemaId};
use kafka::probe::Probe;
use kafka::topics::{self, PartitionCounts, TopicError, Wanted};
use models::Side;
use models::topics::Topic;
use service::{Context, Dependency, Health, with_causes};
use tracing::info;

use crate::atomic::{Atomic, KeyTopic, TransactionMetrics, Transactor};
use crate::config::ProducerApiConfig;
use crate::error::Error;
use crate::idempotency::IdempotencyKeys;
use crate::idempotency::index::Bounds;
use crate::idempotency::reader::Reader;
use crate::metrics::ApiMetrics;
use crate::publisher::{Publisher, Target};

const KAFKA: &str = "kafka";
const REGISTRY: &str = "registry";
/// Passes once the endpoints can produce, which is a moment after both others do.
const PRODUCER: &str = "producer";
/// How often it is asked whether the producer has failed for good before it has its id.
const FATAL_PERIOD: Duration = Duration::from_secs(1);
/// How often both are asked whether they are there.
const PROBE_PERIOD: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Says in `/health/ready` that nothing is known yet.
pub(crate) fn announce(config: &ProducerApiConfig, health: &Health) {
    health.set(KAFKA, Err(format!("connecting to Kafka at {}", config.kafka.bootstrap_servers)));
    health.set(
        REGISTRY,
        Err(format!("connecting to the schema registry at {}", config.registry.url)),
    );
    health.set(PRODUCER, Err("waiting for Kafka and the schema registry".to_owned()));
}

/// Says that requests for trips are served from now on.
pub(crate) fn serving(health: &Health) {
    health.set(PRODUCER, Ok(()));
    info!("ready");
}

/// Creates the topics, registers the schemas and makes the publisher, ready to write. Waits for what is out of reach; the caller
/// drops the future to stop.
pub(crate) async fn publisher(
    config: &ProducerApiConfig,
    ctx: &Context,
    metrics: ApiMetrics,
) -> Result<Publisher, Error> {
    let registry = RegistryClient::new(&config.registry).map_err(Error::Registry)?;
    let (counts, schemas) = tokio::try_join!(
        partition_counts(config, &ctx.health),
        schemas(config, &registry, &ctx.health)
    )?;
    let targets = Side::ALL.map(|side| {
        let topic = config.topics.input(side).name.clone();
        let partitions = counts[&topic];
        Target { topic, partitions, schema: schemas[side.index()] }
    });
    for Target { topic, partitions, schema } in &targets {
        info!(topic, partitions, schema_id = schema.get(), "topic ready");
    }
    let publisher = Publisher::new(&config.kafka, &config.producer, targets, metrics)?;
    ctx.health.set(PRODUCER, Err("waiting for Kafka to give the producer its id".to_owned()));
    while tokio::time::timeout(FATAL_PERIOD, publisher.identified()).await.is_err() {
        if let Some(reason) = publisher.failure() {
            return Err(Error::ProducerFailed(reason));
        }
    }
    Ok(publisher)
}

/// Starts what writes transactions for this process, which listens on `port`, once it is known which idempotency
/// keys were used.
pub(crate) async fn atomic(
    config: &ProducerApiConfig,
    port: u16,
    ctx: &Context,
    metrics: ApiMetrics,
) -> Result<Atomic, Error> {
    let transactor = |id| Transactor::new(&config.kafka, &config.producer, id);
    let own = transactor(config.producer.transactional_id(port))?;
    let metrics = TransactionMetrics::register(&ctx.metrics, metrics);
    let topic = config.producer.idempotency_topic.clone();
    let shared = if topic.is_empty() {
        None
    } else {
        let key_topic = key_topic(config, topic.clone(), &ctx.health).await?;
        Some((transactor(topic)?, key_topic))
    };
    Atomic::start(&config.producer, own, shared, metrics)
}

/// Creates the topic of keys when absent and reads it.
async fn key_topic(
    config: &ProducerApiConfig,
    topic: String,
    health: &Health,
) -> Result<KeyTopic, Error> {
    let wanted = Topic { name: topic, partitions: 1, replicas: config.producer.internal_replicas };
    let wanted = Wanted { topic: &wanted, configs: &[("cleanup.policy", "compact")] };
    topics_ready(config, &[wanted], health).await.map_err(|error| match error {
        Error::Topics(source) => Error::KeysTopic(source),
        error => error,
    })?;
    let topic = wanted.topic.name.clone();
    let producer = &config.producer;
    let bounds =
        Bounds { window: producer.idempotency_window, keys: producer.idempotency_keys as usize };
    let keys = IdempotencyKeys::new(bounds);
    let reader = Arc::new(Mutex::new(Reader::new(&config.kafka, &topic)?));
    let read = || {
        let (keys, reader) = (keys.clone(), Arc::clone(&reader));
        let read = move || {
            let mut reader = reader.lock().expect("reading the topic of keys doesn't panic");
            reader.catch_up(|key, entry| keys.apply(key, entry))
        };
        let read = tokio::task::spawn_blocking(read);
        async { read.await.expect("reading the topic of keys doesn't panic") }
    };
    let read = Dependency::new(KAFKA, health).reached(read, |_| true).await;
    read.expect("every failure is waited out");
    let reader = Arc::into_inner(reader).expect("no attempt is under way any more");
    let reader = reader.into_inner().expect("reading the topic of keys doesn't panic");
    info!(topic, keys = keys.len(), "idempotency keys read");
    Ok(KeyTopic { keys, topic, reader })
}

async fn partition_counts(
    config: &ProducerApiConfig,
    health: &Health,
) -> Result<PartitionCounts, Error> {
    let wanted = config.topics.inputs().map(Wanted::from);
    topics_ready(config, &wanted, health).await
}

/// Creates those of the topics that are absent, as soon as Kafka can be reached.
async fn topics_ready(
    config: &ProducerApiConfig,
    wanted: &[Wanted<'_>],
    health: &Health,
) -> Result<PartitionCounts, Error> {
    let kafka = Dependency::new(KAFKA, health);
    let counts =
        kafka.reached(|| topics::ensure(&config.kafka, wanted), TopicError::is_retriable).await;
    counts.map_err(Error::Topics)
}

async fn schemas(
    config: &ProducerApiConfig,
    client: &RegistryClient,
    health: &Health,
) -> Result<[SchemaId; 3], Error> {
    let registry = Dependency::new(REGISTRY, health);
    let records = [RecordType::Trip, RecordType::DriverEarning, RecordType::Rider];
    let register = || async {
        let mut ids = [SchemaId::new(0); 3];
        for ((side, record), id) in Side::ALL.into_iter().zip(records).zip(&mut ids) {
            *id = client.register(&config.topics.input(side).value_subject(), record).await?;
        }
        Ok(ids)
    };
    registry.reached(register, RegistryError::is_outage).await.map_err(Error::Registry)
}

/// Keeps `/health/ready` current. Ends only with an error.
pub(crate) async fn watch(
    config: &ProducerApiConfig,
    health: &Health,
) -> Result<Infallible, Error> {
    let probe = Probe::new(&config.kafka)?;
    let client = RegistryClient::new(&config.registry).map_err(Error::Registry)?;
    let kafka = Dependency::new(KAFKA, health);
    let registry = Dependency::new(REGISTRY, health);
    let registry_answers =
        || async { client.reachable().await.map_err(|error| with_causes(&error)) };
    tokio::select! {
        never = kafka.watch(PROBE_PERIOD, || probe.check(PROBE_TIMEOUT)) => Ok(never),
        never = registry.watch(PROBE_PERIOD, registry_answers) => Ok(never),
    }
}
