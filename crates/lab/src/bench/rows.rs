//! The three rows of a trip, encoded as the API encodes them, and written without it.

use std::time::Duration;

use avro_schemas::{EncodeError, Encoder, RecordType, RegistryClient, SchemaId};
use kafka::{KafkaConfig, LogContext};
use models::records::{CompleteTrip, DriverEarning, Rider, Trip};
use models::{Partition, Side};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use service::Shutdown;

use super::BenchError;
use verify::settings::Settings;

const POLL: Duration = Duration::from_millis(1);
/// How many rows may wait in librdkafka. More would not be in any cache when their turn comes.
const QUEUE: &str = "50000";

const TYPES: [RecordType; 3] = [RecordType::Trip, RecordType::DriverEarning, RecordType::Rider];

/// The ids of the inputs' schemas, in the order of [`Side::ALL`].
pub(super) type SchemaIds = [SchemaId; 3];

/// Registers the schemas of the inputs.
pub(super) async fn register(settings: &Settings) -> Result<SchemaIds, BenchError> {
    let registry = RegistryClient::new(&settings.registry)?;
    let mut ids = [SchemaId::new(0); 3];
    for (side, record) in Side::ALL.into_iter().zip(TYPES) {
        let subject = settings.topics.input(side).value_subject();
        ids[side.index()] = registry.register(&subject, record).await?;
    }
    Ok(ids)
}

/// What writes trips as Avro.
pub(super) struct Encoders {
    trip: Encoder<Trip>,
    driver: Encoder<DriverEarning>,
    rider: Encoder<Rider>,
}

impl Encoders {
    pub(super) fn new([trip, driver, rider]: SchemaIds) -> Self {
        let (trip, driver, rider) = (Encoder::new(trip), Encoder::new(driver), Encoder::new(rider));
        Self { trip, driver, rider }
    }

    /// The values of the rows of `trip`, in the order of [`Side::ALL`], in place of what `values` holds.
    pub(super) fn encode(
        &self,
        trip: &CompleteTrip,
        values: &mut [Vec<u8>; 3],
    ) -> Result<(), EncodeError> {
        values.iter_mut().for_each(Vec::clear);
        let [of_trip, of_driver, of_rider] = values;
        self.trip.encode(&trip.trip_data, of_trip)?;
        self.driver.encode(&trip.driver_earning_data, of_driver)?;
        self.rider.encode(&trip.rider_data, of_rider)
    }
}

/// Writes rows as fast as librdkafka takes them, with the guarantees of the API.
pub(super) struct Writer<'a> {
    producer: BaseProducer<LogContext>,
    shutdown: &'a Shutdown,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        config: &KafkaConfig,
        linger: Duration,
        shutdown: &'a Shutdown,
    ) -> Result<Self, BenchError> {
        let mut config = config.client()?;
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("linger.ms", (linger.as_secs_f64() * 1e3).to_string());
        config.set("queue.buffering.max.messages", QUEUE);
        config.set("message.timeout.ms", "60000");
        // How many are on their way tells of the others.
        config.set("delivery.report.only.error", "true");
        let producer = config.create_with_context(LogContext::default());
        let producer = producer.map_err(BenchError::client("making a producer"))?;
        Ok(Self { producer, shutdown })
    }

    /// Enqueues a row that happened at `timestamp_ms` (since the Unix epoch), or now; waits while the queue is full.
    /// Without a partition, librdkafka's own partitioner chooses one: the CRC32 of the key.
    pub(super) fn write(
        &self,
        topic: &str,
        partition: Option<Partition>,
        key: &[u8],
        value: &[u8],
        timestamp_ms: Option<i64>,
    ) -> Result<(), BenchError> {
        let mut record = BaseRecord::to(topic).key(key).payload(value);
        (record.partition, record.timestamp) = (partition, timestamp_ms);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.look(POLL)?;
                }
                Err((source, _)) => return Err(BenchError::client(WRITING)(source)),
            }
        }
    }

    /// Serves the producer, and ends the run if a record could not be delivered or stopping is asked for.
    pub(super) fn look(&self, timeout: Duration) -> Result<(), BenchError> {
        self.producer.poll(timeout);
        if self.shutdown.requested() {
            return Err(BenchError::Interrupted);
        }
        let failed = self.producer.context().take_delivery_error();
        failed.map_or(Ok(()), |error| Err(BenchError::client(WRITING)(error)))
    }

    /// Rows that Kafka has not acknowledged yet.
    pub(super) fn in_flight(&self) -> u64 {
        u64::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    /// Waits until Kafka has acknowledged all rows.
    pub(super) fn finish(self) -> Result<(), BenchError> {
        while self.in_flight() > 0 {
            self.look(POLL)?;
        }
        self.look(Duration::ZERO)
    }
}

const WRITING: &str = "writing the trips";
