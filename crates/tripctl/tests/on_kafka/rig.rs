//! A pipeline of the test's own, whose rows the test writes itself, the joiner's included.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use avro_schemas::{Encoder, Record as AvroRecord, RegistryClient};
use chrono::DateTime;
use devstack::Addresses;
use generator::Generator;
use kafka::headers::{self, Origin};
use kafka::partitioner::partition_for;
use kafka::topics::Wanted;
use kafka::transaction::{Record, TransactionalProducer};
use models::Partition;
use models::records::{CompleteTrip, JoinedStream};
use models::topics::Topic;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::OwnedHeaders;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use service::Shutdown;
use tripctl::{tail, topics};
use verify::settings::Settings;
use verify::{self, Report};

pub(crate) const PARTITIONS: Partition = 2;
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Rig {
    pub(crate) settings: Settings,
    registry: RegistryClient,
    pub(crate) producer: TransactionalProducer,
}

impl Rig {
    /// Topics with fresh names.
    pub(crate) async fn new() -> Self {
        let Addresses { bootstrap_servers, registry_url } = Addresses::for_tests();
        let mut settings = Settings::default();
        settings.kafka.bootstrap_servers = bootstrap_servers;
        settings.registry.url = registry_url;
        let prefix = format!("tripctl-test-{}", uuid::Uuid::new_v4());
        let topics = &mut settings.topics;
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
            topic.partitions = PARTITIONS;
        }
        for (key, value) in [
            ("group_id", prefix.clone()),
            ("repartition_topic", format!("{prefix}-repartition")),
            ("changelog_topic", format!("{prefix}-changelog")),
        ] {
            settings.joiner.insert(key.to_owned(), value.into());
        }
        topics::create(&settings, &[]).await.unwrap();
        let registry = RegistryClient::new(&settings.registry).unwrap();
        let client = settings.kafka.client().unwrap();
        let producer = TransactionalProducer::new(&client, &prefix, TIMEOUT).unwrap();
        producer.init().unwrap();
        Self { settings, registry, producer }
    }

    /// The internal topic, which the real joiner would create.
    pub(crate) async fn create_repartition_topic(&self) -> Topic {
        let name = self.settings.joiner().unwrap().repartition_topic;
        let topic = Topic { partitions: PARTITIONS, ..Topic::new(name) };
        kafka::topics::ensure(&self.settings.kafka, &[Wanted::from(&topic)]).await.unwrap();
        topic
    }

    pub(crate) fn trips(count: u64) -> Vec<CompleteTrip> {
        let completion = DateTime::from_timestamp(1_795_348_800, 0).unwrap();
        (0..count).map(|index| Generator::new(1).complete_trip(index, completion)).collect()
    }

    /// Adds a row to the open transaction.
    pub(crate) async fn row<T: AvroRecord>(&self, topic: &Topic, trip_id: &str, record: &T) {
        let id = self.registry.register(&topic.value_subject(), T::TYPE).await.unwrap();
        let mut value = Vec::new();
        Encoder::new(id).encode(record, &mut value).unwrap();
        self.bytes(topic, trip_id, Some(&value), None);
    }

    pub(crate) fn bytes(
        &self,
        topic: &Topic,
        key: &str,
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) {
        let record = Record {
            topic: &topic.name,
            partition: partition_for(key.as_bytes(), PARTITIONS),
            key: Some(key.as_bytes()),
            value,
            timestamp_ms: Some(now_ms()),
            headers,
        };
        self.producer.send(record).unwrap();
    }

    /// The three rows of each trip, committed.
    pub(crate) async fn inputs(&self, trips: &[CompleteTrip]) {
        let topics = &self.settings.topics;
        self.producer.begin().unwrap();
        for trip in trips {
            self.row(&topics.trips, &trip.trip_id, &trip.trip_data).await;
            self.row(&topics.drivers, &trip.trip_id, &trip.driver_earning_data).await;
            self.row(&topics.riders, &trip.trip_id, &trip.rider_data).await;
        }
        self.producer.commit().unwrap();
    }

    /// Adds the joined row of a trip whose rows have the timestamps of their time of writing: so it has no timestamp
    /// of its own to check. It takes the latest of the inputs'.
    pub(crate) async fn joined(&self, trip: &CompleteTrip, timestamp_ms: i64) {
        let CompleteTrip { trip_id, trip_data, driver_earning_data, rider_data } = trip.clone();
        let record = JoinedStream::new(trip_data, driver_earning_data, rider_data);
        let topic = &self.settings.topics.joined_streams;
        let id = self.registry.register(&topic.value_subject(), JoinedStream::TYPE).await.unwrap();
        let mut value = Vec::new();
        Encoder::new(id).encode(&record, &mut value).unwrap();
        let record = Record {
            topic: &topic.name,
            partition: partition_for(trip_id.as_bytes(), PARTITIONS),
            key: Some(trip_id.as_bytes()),
            value: Some(&value),
            timestamp_ms: Some(timestamp_ms),
            headers: None,
        };
        self.producer.send(record).unwrap();
    }

    /// The headers of a reject of the row at this place.
    pub(crate) fn reject_headers(topic: &Topic, partition: Partition, offset: i64) -> OwnedHeaders {
        let origin = Origin { topic: topic.name.clone(), partition, offset };
        let headers = origin.as_error_headers(OwnedHeaders::new());
        headers::with(headers, headers::REASON, "undecodable")
    }

    /// Commits the ends of the inputs, as the joiner does once it has read them.
    pub(crate) async fn commit_reading(&self) {
        let inputs = self.settings.topics.inputs().map(|topic| topic.name.as_str());
        let found = kafka::topics::describe(&self.settings.kafka, &inputs).await.unwrap();
        let mut offsets = TopicPartitionList::new();
        for topic in &found {
            for partition in &topic.partitions {
                let next = Offset::Offset(partition.high);
                offsets.add_partition_offset(&topic.name, partition.partition, next).unwrap();
            }
        }
        let mut client = self.settings.kafka.client().unwrap();
        client.set("group.id", self.settings.joiner().unwrap().group_id);
        let consumer: BaseConsumer = client.create().unwrap();
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }

    pub(crate) async fn verify(&self, wait: Option<Duration>) -> Report {
        let config = verify::Config { wait, ..verify::Config::new(&self.settings).unwrap() };
        verify::run(&config, &Shutdown::new()).await.unwrap()
    }

    /// The rows that `tail` shows.
    pub(crate) async fn tail(&self, options: tail::Options) -> Vec<Value> {
        let out = Shared::default();
        tail::run(&self.settings, &options, &Shutdown::new(), out.clone()).await.unwrap();
        out.rows()
    }

    pub(crate) async fn clean_up(&self) {
        let joiner = self.settings.joiner().unwrap();
        topics::delete(&self.settings, &joiner, &[], true).await.unwrap();
    }
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Somewhere to write to that can be read while it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn rows(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
