//! Fills the inputs: trips of the generator, written as the API writes them, but as fast as it goes.

use std::time::Duration;

use avro_schemas::{Encoder, RecordType, RegistryClient, SchemaId};
use chrono::Utc;
use generator::Generator;
use kafka::LogContext;
use kafka::partitioner::partition_for;
use kafka::topics::PartitionCounts;
use models::Side;
use models::topics::Topic;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use service::Shutdown;

use super::BenchError;
use super::plan::Plan;

/// Always the same trips.
const SEED: u64 = 42;
/// How many trips are written between two looks at what Kafka said.
const TURN: u64 = 256;
const POLL: Duration = Duration::from_millis(10);

const TYPES: [RecordType; 3] = [RecordType::Trip, RecordType::DriverEarning, RecordType::Rider];

/// Registers the schemas of the inputs, in the order of [`Side::ALL`].
pub(super) async fn register(plan: &Plan) -> Result<[SchemaId; 3], BenchError> {
    let registry = RegistryClient::new(&plan.settings.registry)?;
    let mut ids = [SchemaId::new(0); 3];
    for (side, record) in Side::ALL.into_iter().zip(TYPES) {
        let subject = plan.settings.topics.input(side).value_subject();
        ids[side.index()] = registry.register(&subject, record).await?;
    }
    Ok(ids)
}

/// Writes the plan's trips, all over now. Returns when Kafka has acknowledged them. Blocks.
pub(super) fn load(
    plan: &Plan,
    ids: [SchemaId; 3],
    counts: &PartitionCounts,
    shutdown: &Shutdown,
) -> Result<(), BenchError> {
    let writer = Writer::new(plan.settings.kafka.client()?, shutdown)?;
    let (trip, driver, rider) = (Encoder::new(ids[0]), Encoder::new(ids[1]), Encoder::new(ids[2]));
    let generator = Generator::new(SEED);
    let completion = Utc::now();
    let inputs = plan.settings.topics.inputs();
    let partitions = inputs.map(|topic| counts[&topic.name]);
    let mut values: [Vec<u8>; 3] = Default::default();
    for index in 0..plan.trips {
        let rows = generator.complete_trip(index, completion);
        values.iter_mut().for_each(Vec::clear);
        let [of_trip, of_driver, of_rider] = &mut values;
        trip.encode(&rows.trip_data, of_trip)?;
        driver.encode(&rows.driver_earning_data, of_driver)?;
        rider.encode(&rows.rider_data, of_rider)?;
        for ((topic, value), partitions) in inputs.iter().zip(&values).zip(partitions) {
            writer.write(topic, partitions, rows.trip_id.as_bytes(), value)?;
        }
        if index % TURN == 0 {
            writer.look(Duration::ZERO)?;
        }
    }
    writer.finish()
}

struct Writer<'a> {
    producer: BaseProducer<LogContext>,
    shutdown: &'a Shutdown,
}

impl<'a> Writer<'a> {
    fn new(mut config: ClientConfig, shutdown: &'a Shutdown) -> Result<Self, BenchError> {
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "20");
        config.set("queue.buffering.max.messages", "500000");
        config.set("message.timeout.ms", "60000");
        // How many are on their way tells of the others.
        config.set("delivery.report.only.error", "true");
        let producer = config.create_with_context(LogContext::default());
        let producer = producer.map_err(BenchError::client("making a producer"))?;
        Ok(Self { producer, shutdown })
    }

    fn write(
        &self,
        topic: &Topic,
        partitions: i32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), BenchError> {
        let partition = partition_for(key, partitions);
        let mut record = BaseRecord::to(&topic.name).partition(partition).key(key).payload(value);
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
    fn look(&self, timeout: Duration) -> Result<(), BenchError> {
        self.producer.poll(timeout);
        if self.shutdown.requested() {
            return Err(BenchError::Interrupted);
        }
        let failed = self.producer.context().take_delivery_error();
        failed.map_or(Ok(()), |error| Err(BenchError::client(WRITING)(error)))
    }

    fn finish(self) -> Result<(), BenchError> {
        while self.producer.in_flight_count() > 0 {
            self.look(POLL)?;
        }
        self.look(Duration::ZERO)
    }
}

const WRITING: &str = "writing the trips";
