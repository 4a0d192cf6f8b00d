//! Fills the inputs: trips of the generator, written as the API writes them, but as fast as it goes.

use std::time::Duration;

use chrono::Utc;
use generator::Generator;
use kafka::partitioner::partition_for;
use kafka::topics::PartitionCounts;
use models::records::CompleteTrip;
use models::{Partition, Side};
use service::Shutdown;

use super::Keys;
use super::plan::Plan;
use crate::bench::BenchError;
use crate::bench::rows::{Encoders, SchemaIds, Writer};

/// Always the same trips.
pub(super) const SEED: u64 = 42;
/// How many trips are written between two looks at what Kafka said.
const TURN: u64 = 256;
/// Nobody waits for a single row.
const LINGER: Duration = Duration::from_millis(20);

/// Writes the plan's trips, the last of them over now. Returns when Kafka has acknowledged them. Blocks.
pub(super) fn load(
    plan: &Plan,
    ids: SchemaIds,
    counts: &PartitionCounts,
    shutdown: &Shutdown,
) -> Result<(), BenchError> {
    let writer = Writer::new(&plan.settings.kafka, LINGER, shutdown)?;
    let encoders = Encoders::new(ids);
    let generator = Generator::new(SEED);
    let completion = Utc::now();
    let inputs = plan.settings.topics.inputs();
    let partitions = inputs.map(|topic| counts[&topic.name]);
    let mut values: [Vec<u8>; 3] = Default::default();
    let now_ms = completion.timestamp_millis();
    let spread_ms = plan.backlog.spread.as_millis() as f64;
    for index in 0..plan.trips {
        // The last one is over now.
        let age = spread_ms * (plan.trips - 1 - index) as f64 / plan.trips as f64;
        let timestamp_ms = now_ms - age as i64;
        let rows = generator.complete_trip(index, completion);
        encoders.encode(&rows, &mut values)?;
        for (side, (topic, value)) in Side::ALL.into_iter().zip(inputs.iter().zip(&values)) {
            let (key, partition) = place(plan.backlog.keys, side, &rows, partitions[side.index()]);
            writer.write(&topic.name, partition, key.as_bytes(), value, Some(timestamp_ms))?;
        }
        if index % TURN == 0 {
            writer.look(Duration::ZERO)?;
        }
    }
    writer.finish()
}

/// The key of a row, and its partition unless librdkafka chooses that.
fn place(
    keys: Keys,
    side: Side,
    trip: &CompleteTrip,
    partitions: Partition,
) -> (&str, Option<Partition>) {
    match (keys, side) {
        (Keys::Own, _) => (&trip.trip_id, Some(partition_for(trip.trip_id.as_bytes(), partitions))),
        (Keys::Foreign, Side::Trip) => (&trip.trip_id, None),
        (Keys::Foreign, Side::Driver) => (&trip.driver_earning_data.driver_id, None),
        (Keys::Foreign, Side::Rider) => (&trip.rider_data.rider_id, None),
    }
}
