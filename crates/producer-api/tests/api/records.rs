//! What is in the topics after an answer: on the dev stack, or on the Kafka that the environment names.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use avro_schemas::{Record, RegistryClient, RegistryConfig, SchemaCache};
use devstack::Addresses;
use kafka::KafkaConfig;
use kafka::partitioner::partition_for;
use models::Side;
use models::records::{CompleteTrip, DriverEarning, Rider, Trip};
use models::topics::{Topic, Topics};
use producer_api::{ProducerApiConfig, ProducerConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, Timestamp, TopicPartitionList};
use serde_json::json;

use crate::harness::{Api, DEADLINE};

/// Unequal, so that a partition taken from the wrong topic's count shows.
const PARTITIONS: [i32; 3] = [3, 5, 2];

/// Settings with topics of the test's own.
fn config(seed: u64) -> ProducerApiConfig {
    let Addresses { bootstrap_servers, registry_url } = Addresses::for_tests();
    let prefix = format!("producer-api-test-{:016x}", rand::random::<u64>());
    let mut topics = Topics::default();
    for (topic, partitions) in
        [&mut topics.trips, &mut topics.drivers, &mut topics.riders].into_iter().zip(PARTITIONS)
    {
        *topic = Topic { name: format!("{prefix}-{}", topic.name), partitions, ..topic.clone() };
    }
    ProducerApiConfig {
        kafka: KafkaConfig { bootstrap_servers, ..KafkaConfig::default() },
        registry: RegistryConfig { url: registry_url, ..RegistryConfig::default() },
        topics,
        producer: ProducerConfig { seed: Some(seed), ..ProducerConfig::default() },
        ..ProducerApiConfig::default()
    }
}

/// A row as it lies in its topic.
struct Row {
    key: String,
    partition: i32,
    timestamp: Timestamp,
    value: Vec<u8>,
}

/// All rows of a topic.
fn rows(config: &ProducerApiConfig, side: Side) -> Vec<Row> {
    let topic = &config.topics.input(side).name;
    let partitions = PARTITIONS[side.index()];
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.kafka.bootstrap_servers)
        .set("group.id", "never-committed")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    let mut expected = 0;
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        expected += consumer.fetch_watermarks(topic, partition, DEADLINE).unwrap().1;
    }
    consumer.assign(&assignment).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut rows = Vec::new();
    while rows.len() < usize::try_from(expected).unwrap() {
        assert!(Instant::now() < deadline, "{} of {expected} rows", rows.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        rows.push(Row {
            key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
            partition: message.partition(),
            timestamp: message.timestamp(),
            value: message.payload().unwrap().to_vec(),
        });
    }
    rows
}

/// The records of a topic by trip_id, each checked for its key and partition.
async fn records<T: Record + Clone>(config: &ProducerApiConfig, side: Side) -> HashMap<String, T> {
    let schemas = SchemaCache::new(RegistryClient::new(&config.registry).unwrap());
    let mut records = HashMap::new();
    for row in rows(config, side) {
        assert_eq!(row.partition, partition_for(row.key.as_bytes(), PARTITIONS[side.index()]));
        assert!(matches!(row.timestamp, Timestamp::CreateTime(_)), "{:?}", row.timestamp);
        let record: T = schemas.decode_fetching(&row.value).await.unwrap();
        assert!(records.insert(row.key, record).is_none(), "one row a trip and side");
    }
    records
}

#[tokio::test]
async fn an_answer_is_what_lies_in_the_topics() {
    let config = config(1);
    let api = Api::ready(config.clone()).await;
    let mut answered: Vec<CompleteTrip> = serde_json::from_str(&api.trips(200).await.text).unwrap();
    let one = api.post("/api/generate-complete-trip", &json!({})).await;
    answered.push(serde_json::from_str(&one.text).unwrap());
    api.stop().await.unwrap();

    let trips: HashMap<String, Trip> = records(&config, Side::Trip).await;
    let drivers: HashMap<String, DriverEarning> = records(&config, Side::Driver).await;
    let riders: HashMap<String, Rider> = records(&config, Side::Rider).await;
    assert_eq!([trips.len(), drivers.len(), riders.len()], [201; 3]);
    for trip in answered {
        assert_eq!(trips[&trip.trip_id], trip.trip_data);
        assert_eq!(drivers[&trip.trip_id], trip.driver_earning_data);
        assert_eq!(riders[&trip.trip_id], trip.rider_data);
    }
}

#[tokio::test]
async fn the_single_endpoints_write_their_own_topic_only() {
    let config = config(2);
    let api = Api::ready(config.clone()).await;
    let given = json!({ "trip_id": "my trip" });
    for path in ["generate-trip", "generate-driver-earning", "generate-rider"] {
        assert_eq!(api.post(&format!("/api/{path}"), &given).await.status, 200, "{path}");
    }
    let odd = json!({ "trip_id": "odd", "earnings_from_trip": "-inf" });
    assert_eq!(api.post("/api/generate-driver-earning", &odd).await.status, 200);
    api.stop().await.unwrap();
    let trips: HashMap<String, Trip> = records(&config, Side::Trip).await;
    let drivers: HashMap<String, DriverEarning> = records(&config, Side::Driver).await;
    let riders: HashMap<String, Rider> = records(&config, Side::Rider).await;
    assert_eq!([trips.len(), drivers.len(), riders.len()], [1, 2, 1]);
    assert_eq!(trips["my trip"].trip_id, "my trip");
    assert!(drivers["odd"].earnings_from_trip.is_infinite());
}

#[tokio::test]
async fn a_seed_makes_the_same_trips_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let api = Api::ready(config(3)).await;
        let trips: Vec<CompleteTrip> = serde_json::from_str(&api.trips(20).await.text).unwrap();
        api.stop().await.unwrap();
        let by_id: BTreeMap<_, _> = trips
            .into_iter()
            .map(|trip| (trip.trip_id, (trip.driver_earning_data, trip.rider_data)))
            .collect();
        runs.push(by_id);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn schemas_are_registered_under_the_topics_names() {
    let config = config(4);
    let api = Api::ready(config.clone()).await;
    api.stop().await.unwrap();
    for topic in config.topics.inputs() {
        let url =
            format!("{}/subjects/{}/versions/latest", config.registry.url, topic.value_subject());
        let answer = reqwest::get(&url).await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
    }
}
