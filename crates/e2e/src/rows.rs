//! Rows that the producer API would not write: other producers' keys and partitioners, other times, poison.

use std::time::Duration;

use avro_schemas::{Encoder, Record, RegistryClient};
use chrono::{DateTime, Utc};
use generator::Generator;
use models::records::CompleteTrip;
use models::topics::{Topic, Topics};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::stack::Stack;

/// A row as it goes to Kafka.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The record's timestamp in milliseconds since the Unix epoch; `None` is now.
    pub timestamp: Option<i64>,
}

/// Writes rows with the partitioner that librdkafka has by default (CRC32 of the key), as Python programs do.
pub struct Writer {
    producer: FutureProducer,
    trip: Encoder<models::records::Trip>,
    driver: Encoder<models::records::DriverEarning>,
    rider: Encoder<models::records::Rider>,
    topics: Topics,
}

impl Writer {
    /// A writer to `topics`, with their schemas registered.
    pub async fn new(stack: &Stack, topics: &Topics) -> Self {
        let registry = RegistryClient::new(&stack.registry()).unwrap();
        let mut client = stack.kafka().client().unwrap();
        client.set("linger.ms", "5").set("acks", "all");
        Self {
            producer: client.create().unwrap(),
            trip: encoder(&registry, &topics.trips).await,
            driver: encoder(&registry, &topics.drivers).await,
            rider: encoder(&registry, &topics.riders).await,
            topics: topics.clone(),
        }
    }

    /// The three framed values of a trip.
    pub fn values(&self, trip: &CompleteTrip) -> [Vec<u8>; 3] {
        let mut values = [const { Vec::new() }; 3];
        self.trip.encode(&trip.trip_data, &mut values[0]).unwrap();
        self.driver.encode(&trip.driver_earning_data, &mut values[1]).unwrap();
        self.rider.encode(&trip.rider_data, &mut values[2]).unwrap();
        values
    }

    /// Writes a trip as the original Python producer does: drivers keyed by driver_id, riders by rider_id.
    /// Returns when Kafka has acknowledged the three rows.
    pub async fn foreign_trip(&self, trip: &CompleteTrip, timestamp: i64) {
        let [trip_value, driver_value, rider_value] = self.values(trip);
        let row = |key: &str, value| Row {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value),
            timestamp: Some(timestamp),
        };
        tokio::join!(
            self.row(&self.topics.trips, row(&trip.trip_id, trip_value)),
            self.row(&self.topics.drivers, row(&trip.trip_data.driver_id, driver_value)),
            self.row(&self.topics.riders, row(&trip.rider_data.rider_id, rider_value)),
        );
    }

    /// Writes one row. Returns when Kafka has acknowledged it.
    pub async fn row(&self, topic: &Topic, row: Row) {
        let mut record = FutureRecord::<[u8], [u8]>::to(&topic.name);
        record.key = row.key.as_deref();
        record.payload = row.value.as_deref();
        record.timestamp = row.timestamp;
        self.producer.send(record, Duration::from_secs(30)).await.unwrap();
    }
}

async fn encoder<T: Record>(registry: &RegistryClient, topic: &Topic) -> Encoder<T> {
    Encoder::new(registry.register(&topic.value_subject(), T::TYPE).await.unwrap())
}

/// `count` trips of `seed`, completed now.
pub fn trips(seed: u64, count: u64) -> Vec<CompleteTrip> {
    let generator = Generator::new(seed);
    let now = now();
    (0..count).map(|index| generator.complete_trip(index, now)).collect()
}

/// The wall clock.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now_millis()).unwrap()
}

/// The wall clock in milliseconds since the Unix epoch, as Kafka counts.
pub fn now_millis() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since_epoch.as_millis()).unwrap()
}
