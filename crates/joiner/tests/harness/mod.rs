//! A joiner of the test's own, on topics of its own.

#![allow(dead_code, reason = "each file of tests uses its part")]

pub mod process;

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use avro_schemas::{Encoder, Record, RecordType, RegistryClient, RegistryConfig, SchemaCache};
use devstack::Addresses;
use joiner::{JoinerConfig, JoinerError, Summary};
use kafka::KafkaConfig;
use kafka::timestamps::ANY_TIME;
use kafka::topics::Wanted;
use models::records::{DriverEarning, Rider, Trip};
use models::topics::Topic;
use models::{Partition, Side};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use service::Context;
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(60);

/// The longest pause before a broker that went down is tried again, in ms.
const SOON: &str = "200";

pub struct Rig {
    pub config: JoinerConfig,
    pub registry: SchemaCache,
    producer: FutureProducer,
    ids: HashMap<Side, avro_schemas::SchemaId>,
}

/// A row as an output has it.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: Option<i64>,
    pub headers: HashMap<String, String>,
    pub partition: Partition,
}

/// A joiner that runs.
pub struct Running {
    pub ctx: Context,
    joiner: JoinHandle<Result<Summary, JoinerError>>,
}

impl Rig {
    /// Topics of the three inputs with these partition counts, empty; all others are the joiner's business.
    pub async fn new(partitions: [Partition; 3]) -> Self {
        Self::on(Addresses::for_tests(), partitions).await
    }

    /// The same on a Kafka that the test has chosen.
    pub async fn on(addresses: Addresses, partitions: [Partition; 3]) -> Self {
        let Addresses { bootstrap_servers, registry_url } = addresses;
        let prefix = format!("joiner-test-{}", uuid::Uuid::new_v4());
        let mut config = JoinerConfig::default();
        config.kafka.bootstrap_servers = bootstrap_servers;
        config.registry.url = registry_url;
        let topics = &mut config.topics;
        let named = [
            &mut topics.trips,
            &mut topics.drivers,
            &mut topics.riders,
            &mut topics.joined_streams,
            &mut topics.unmatched,
            &mut topics.rejects,
        ];
        for topic in named {
            topic.name = format!("{prefix}-{}", topic.name);
        }
        topics.trips.partitions = partitions[0];
        topics.drivers.partitions = partitions[1];
        topics.riders.partitions = partitions[2];
        config.joiner.group_id.clone_from(&prefix);
        config.joiner.transactional_id.clone_from(&prefix);
        config.joiner.instance_id = Some("test".to_owned());
        config.joiner.repartition_topic = format!("{prefix}-repartition");
        config.joiner.changelog_topic = format!("{prefix}-changelog");
        let inputs = config.topics.inputs().map(|topic| Wanted { topic, configs: &[ANY_TIME] });
        kafka::topics::ensure(&config.kafka, &inputs).await.unwrap();
        let registry = registry(&config.registry);
        let mut ids = HashMap::new();
        let types = [RecordType::Trip, RecordType::DriverEarning, RecordType::Rider];
        for (side, record) in Side::ALL.into_iter().zip(types) {
            let subject = config.topics.input(side).value_subject();
            ids.insert(side, registry.register(&subject, record).await.unwrap());
        }
        let producer = producer(&config.kafka);
        Self { config, registry, producer, ids }
    }

    pub fn start(&self) -> Running {
        let ctx = Context::new("joiner");
        let joiner = tokio::spawn(joiner::run(self.config.clone(), ctx.clone()));
        Running { ctx, joiner }
    }

    /// The framed value of a row.
    pub fn value(&self, side: Side, trip_id: &str) -> Vec<u8> {
        let trip_id = trip_id.to_owned();
        match side {
            Side::Trip => {
                let driver_id = format!("driver of {trip_id}");
                let duration = "24 minutes".to_owned();
                self.encode(side, &Trip { trip_id, driver_id, duration, ..Trip::default() })
            }
            Side::Driver => {
                let driver_id = format!("driver of {trip_id}");
                let row = DriverEarning { driver_id, trip_id, earnings_from_trip: 12.5 };
                self.encode(side, &row)
            }
            Side::Rider => {
                let rider_id = format!("rider of {trip_id}");
                self.encode(
                    side,
                    &Rider { rider_id, trip_id, rating_to_driver: 5, ..Rider::default() },
                )
            }
        }
    }

    pub fn encode<T: Record>(&self, side: Side, record: &T) -> Vec<u8> {
        let mut value = Vec::new();
        Encoder::new(self.ids[&side]).encode(record, &mut value).unwrap();
        value
    }

    /// Writes rows of one side, each to the partition and with the value and time given. Returns when Kafka has them.
    pub async fn produce(
        &self,
        side: Side,
        rows: impl IntoIterator<Item = (Partition, String, Option<Vec<u8>>, i64)>,
    ) {
        let topic = &self.config.topics.input(side).name;
        let mut deliveries = Vec::new();
        for (partition, key, value, timestamp) in rows {
            let mut record = FutureRecord::<String, Vec<u8>>::to(topic)
                .partition(partition)
                .key(&key)
                .timestamp(timestamp);
            record.payload = value.as_ref();
            deliveries.push(self.producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }

    /// All committed rows of a topic.
    pub async fn read(&self, topic: &Topic) -> Vec<Row> {
        let (kafka, name) = (self.config.kafka.clone(), topic.name.clone());
        tokio::task::spawn_blocking(move || read(&kafka, &name)).await.unwrap()
    }

    /// Up to where a topic is committed, all partitions added up.
    pub async fn committed_end(&self, topic: &Topic) -> i64 {
        let (kafka, name) = (self.config.kafka.clone(), topic.name.clone());
        tokio::task::spawn_blocking(move || committed_end(&kafka, &name)).await.unwrap()
    }

    /// The committed rows of a topic, once there are `count`.
    pub async fn read_when(&self, topic: &Topic, count: usize) -> Vec<Row> {
        eventually(&format!("{count} rows in {}", topic.name), || async {
            let rows = self.read(topic).await;
            (rows.len() >= count).then_some(rows)
        })
        .await
    }
}

impl Running {
    /// Returns when the joiner's health says that it is ready.
    pub async fn ready(&self) {
        eventually("the joiner is ready", || async { self.ctx.health.is_ready().then_some(()) })
            .await;
    }

    /// Returns when the joiner has committed `count` rows of its inputs.
    pub async fn has_read(&self, count: u64) {
        let what = format!("{count} rows are read and committed");
        eventually(&what, || async { (self.rows_read() >= count).then_some(()) }).await;
    }

    fn rows_read(&self) -> u64 {
        let text = self.ctx.metrics.encode();
        let rows = text.lines().filter(|line| line.starts_with("tripstream_joiner_rows_total{"));
        rows.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Returns when the joiner has committed something of a task of its own.
    pub async fn has_tasks(&self) {
        let has = || self.ctx.metrics.encode().contains("tripstream_joiner_state_bytes{task=");
        eventually("the joiner has tasks", || async { has().then_some(()) }).await;
    }

    pub async fn stop(self) -> Summary {
        self.ctx.shutdown.trigger();
        tokio::time::timeout(DEADLINE, self.joiner).await.unwrap().unwrap().unwrap()
    }
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn registry(config: &RegistryConfig) -> SchemaCache {
    SchemaCache::new(RegistryClient::new(config).unwrap())
}

fn producer(config: &KafkaConfig) -> FutureProducer {
    let mut client = config.client().unwrap();
    // A row is there once, even if the broker goes down while it is written.
    client.set("enable.idempotence", "true").set("linger.ms", "5");
    client.set("reconnect.backoff.max.ms", SOON);
    // Large rows get past the topics' limit when they are small while compressed.
    client.set("message.max.bytes", "10000000").set("compression.type", "zstd");
    client.create().unwrap()
}

fn consumer(kafka: &KafkaConfig) -> BaseConsumer {
    let mut client = kafka.client().unwrap();
    client.set("group.id", "joiner-test-reader").set("enable.auto.commit", "false");
    client.set("enable.partition.eof", "true").set("isolation.level", "read_committed");
    client.set("reconnect.backoff.max.ms", SOON);
    // The end of a partition is told by an empty answer, for which the broker waits as long.
    client.set("fetch.wait.max.ms", "10");
    client.create().unwrap()
}

fn committed_end(kafka: &KafkaConfig, topic: &str) -> i64 {
    let consumer = consumer(kafka);
    let partitions = partitions(&consumer, topic).into_iter();
    // A partition that was made a moment ago may have no leader yet, and nothing in it.
    let end =
        |partition| consumer.fetch_watermarks(topic, partition, DEADLINE).map_or(0, |(_, end)| end);
    partitions.map(end).sum()
}

/// The partitions of a topic, none if it is not there yet. Asks again if the broker goes down meanwhile.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<Partition> {
    let end = Instant::now() + DEADLINE;
    loop {
        match consumer.fetch_metadata(Some(topic), DEADLINE) {
            Ok(metadata) => {
                return metadata.topics()[0]
                    .partitions()
                    .iter()
                    .map(MetadataPartition::id)
                    .collect();
            }
            Err(error) => assert!(Instant::now() < end, "{topic} can't be asked for: {error}"),
        }
    }
}

fn read(kafka: &KafkaConfig, topic: &str) -> Vec<Row> {
    let consumer = consumer(kafka);
    let mut unread = partitions(&consumer, topic);
    let mut assignment = TopicPartitionList::new();
    for &partition in &unread {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut rows = Vec::new();
    let end = Instant::now() + DEADLINE;
    while !unread.is_empty() {
        assert!(Instant::now() < end, "{topic} is not read to its end within {DEADLINE:?}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = message.headers().into_iter().flat_map(Headers::iter);
                rows.push(Row {
                    key: message.key().map(text),
                    value: message.payload().map(<[u8]>::to_vec),
                    timestamp_ms: message.timestamp().to_millis(),
                    headers: headers
                        .map(|h| (h.key.to_owned(), text(h.value.unwrap_or_default())))
                        .collect(),
                    partition: message.partition(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.retain(|&unread| unread != partition);
            }
            // librdkafka connects again by itself.
            Some(Err(error)) if is_connection_lost(&error) => {}
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    rows
}

fn is_connection_lost(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

/// A number out of the environment.
pub fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}
