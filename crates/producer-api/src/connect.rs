//! From nothing to a publisher, however long Kafka and the registry take; and then keeping an eye on both.

use std::time::Duration;

use avro_schemas::{RecordType, RegistryClient};
use kafka::probe::Probe;
use kafka::topics::{self, PartitionCounts, Wanted};
use models::Side;
use models::topics::Topic;
use service::{Context, Health, with_causes};
use tracing::{info, warn};

use crate::atomic::{Atomic, Ledger, TransactionMetrics, Transactor};
use crate::config::ProducerApiConfig;
use crate::error::Error;
use crate::idempotency::Keys;
use crate::idempotency::index::Bounds;
use crate::idempotency::reader::Reader;
use crate::metrics::Metrics;
use crate::publisher::{Publisher, Target};

const KAFKA: &str = "kafka";
const REGISTRY: &str = "registry";
/// Passes once the endpoints can produce, which is a moment after both others do.
const PRODUCER: &str = "producer";
/// Pause before another attempt to connect; doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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
    metrics: Metrics,
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
    metrics: Metrics,
) -> Result<Atomic, Error> {
    let transactor = |id| Transactor::new(&config.kafka, &config.producer, id);
    let own = transactor(config.producer.transactional_id(port))?;
    let metrics = TransactionMetrics::register(&ctx.metrics, metrics);
    let topic = config.producer.idempotency_topic.clone();
    let shared = if topic.is_empty() {
        None
    } else {
        let ledger = ledger(config, topic.clone(), &ctx.health).await?;
        Some((transactor(topic)?, ledger))
    };
    Atomic::start(&config.producer, own, shared, metrics)
}

/// Creates the topic of keys when absent and reads it.
async fn ledger(
    config: &ProducerApiConfig,
    topic: String,
    health: &Health,
) -> Result<Ledger, Error> {
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
    let keys = Keys::new(bounds);
    let mut reader = Reader::new(&config.kafka, &topic)?;
    let mut pause = Pause::default();
    loop {
        let known = keys.clone();
        let read = tokio::task::spawn_blocking(move || {
            let outcome = reader.catch_up(|key, entry| known.apply(key, entry));
            (reader, outcome)
        });
        let outcome;
        (reader, outcome) = read.await.expect("reading the topic of keys doesn't panic");
        match outcome {
            Ok(()) => break,
            Err(error) => tell(health, KAFKA, Err(with_causes(&error)), pause.is_first()),
        }
        pause.wait().await;
    }
    tell(health, KAFKA, Ok(()), false);
    info!(topic, keys = keys.len(), "idempotency keys read");
    Ok(Ledger { keys, topic, reader })
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
    let mut pause = Pause::default();
    loop {
        match topics::ensure(&config.kafka, wanted).await {
            Ok(counts) => {
                tell(health, KAFKA, Ok(()), true);
                return Ok(counts);
            }
            Err(error) if error.is_retriable() => {
                tell(health, KAFKA, Err(with_causes(&error)), pause.is_first());
            }
            Err(error) => return Err(Error::Topics(error)),
        }
        pause.wait().await;
    }
}

async fn schemas(
    config: &ProducerApiConfig,
    registry: &RegistryClient,
    health: &Health,
) -> Result<[avro_schemas::SchemaId; 3], Error> {
    let mut ids = Vec::with_capacity(3);
    for (side, record) in
        Side::ALL.into_iter().zip([RecordType::Trip, RecordType::DriverEarning, RecordType::Rider])
    {
        let subject = config.topics.input(side).value_subject();
        let mut pause = Pause::default();
        loop {
            match registry.register(&subject, record).await {
                Ok(id) => {
                    ids.push(id);
                    break;
                }
                Err(error) if error.is_outage() => {
                    tell(health, REGISTRY, Err(with_causes(&error)), pause.is_first());
                }
                Err(error) => return Err(Error::Registry(error)),
            }
            pause.wait().await;
        }
    }
    tell(health, REGISTRY, Ok(()), true);
    Ok(ids.try_into().expect("one id for each of three subjects"))
}

/// Keeps `/health/ready` current. Ends only with an error.
pub(crate) async fn watch(
    config: &ProducerApiConfig,
    health: &Health,
) -> Result<std::convert::Infallible, Error> {
    let probe = Probe::new(&config.kafka)?;
    let registry = RegistryClient::new(&config.registry).map_err(Error::Registry)?;
    loop {
        tokio::time::sleep(PROBE_PERIOD).await;
        let (kafka, registry) = tokio::join!(probe.check(PROBE_TIMEOUT), registry.reachable());
        tell(health, KAFKA, kafka, false);
        tell(health, REGISTRY, registry.map_err(|error| with_causes(&error)), false);
    }
}

/// Sets a check, and logs it when that is news: at the first failure, and when it changes between working and
/// failing.
fn tell(health: &Health, check: &'static str, outcome: Result<(), String>, is_first: bool) {
    let reason = outcome.as_ref().err().cloned();
    let changed = health.set(check, outcome);
    match reason {
        Some(reason) if changed || is_first => {
            warn!(check, "{reason}; trying again until it works");
        }
        None if changed => info!(check, "connected"),
        _ => {}
    }
}

#[derive(Debug, Default)]
struct Pause(Duration);

impl Pause {
    fn is_first(&self) -> bool {
        self.0.is_zero()
    }

    async fn wait(&mut self) {
        self.0 = (self.0 * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        tokio::time::sleep(self.0).await;
    }
}
