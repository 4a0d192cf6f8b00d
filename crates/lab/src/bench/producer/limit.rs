//! The raw limit: what librdkafka and Kafka can do on this machine. The rows are those of the API, but made and encoded
//! beforehand, and nobody waits for one of them.

use std::time::{Duration, Instant};

use chrono::Utc;
use generator::Generator;
use kafka::partitioner::partition_for;
use kafka::topics::PartitionCounts;
use models::Partition;
use service::Shutdown;

use super::plan::Plan;
use super::report::Limit;
use crate::bench::rows::{Encoders, SchemaIds, Writer};
use crate::bench::{BenchError, Usage};

/// Always the same trips.
const SEED: u64 = 42;
/// They are written again and again: with their keys and values about 20 MB, more than a cache holds.
const TRIPS: u64 = 40_000;
/// How many trips are written between two looks at what Kafka said.
const TURN: usize = 256;
/// Full batches are what a limit is measured with.
const LINGER: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_secs(1);

struct Rows {
    trip_id: String,
    partitions: [Partition; 3],
    values: [Vec<u8>; 3],
}

/// Writes for `duration`. Blocks.
pub(super) fn run(
    plan: &Plan,
    ids: SchemaIds,
    counts: &PartitionCounts,
    duration: Duration,
    shutdown: &Shutdown,
) -> Result<Limit, BenchError> {
    let trips = trips(plan, ids, counts)?;
    let topics = plan.limit.each_ref().map(|topic| topic.name.as_str());
    let writer = Writer::new(&plan.settings.kafka, LINGER, shutdown)?;
    let started = Instant::now();
    let mut written = 0;
    let mut from: Option<Mark> = None;
    for turn in trips.chunks(TURN).cycle() {
        for trip in turn {
            let rows = topics.iter().zip(trip.partitions).zip(&trip.values);
            for ((topic, partition), value) in rows {
                writer.write(topic, Some(partition), trip.trip_id.as_bytes(), value, None)?;
            }
        }
        writer.look(Duration::ZERO)?;
        written += turn.len() as u64 * 3;
        match &from {
            None if started.elapsed() >= WARM_UP => from = Some(Mark::now(written, &writer)),
            Some(from) if from.at.elapsed() >= duration => {
                let limit = Mark::now(written, &writer).since(from);
                writer.finish()?;
                return Ok(limit);
            }
            _ => {}
        }
    }
    unreachable!("the trips are written again and again")
}

/// How far the writer was at a moment.
struct Mark {
    at: Instant,
    delivered: u64,
    usage: Usage,
}

impl Mark {
    fn now(written: u64, writer: &Writer<'_>) -> Self {
        let delivered = written - writer.in_flight().min(written);
        Self { at: Instant::now(), delivered, usage: Usage::of("self") }
    }

    fn since(&self, from: &Self) -> Limit {
        let seconds = (self.at - from.at).as_secs_f64();
        let trips = (self.delivered - from.delivered) as f64 / 3.0;
        let Usage { peak_memory_bytes, cpu_s } = self.usage.since(from.usage);
        Limit { trips_per_s: trips / seconds, cpu_s, peak_memory_bytes }
    }
}

fn trips(plan: &Plan, ids: SchemaIds, counts: &PartitionCounts) -> Result<Vec<Rows>, BenchError> {
    let encoders = Encoders::new(ids);
    let generator = Generator::new(SEED);
    let completion = Utc::now();
    let partitions = plan.limit.each_ref().map(|topic| counts[&topic.name]);
    let rows = |index| {
        let trip = generator.complete_trip(index, completion);
        let mut values = <[Vec<u8>; 3]>::default();
        encoders.encode(&trip, &mut values)?;
        let partitions = partitions.map(|count| partition_for(trip.trip_id.as_bytes(), count));
        Ok(Rows { trip_id: trip.trip_id, partitions, values })
    };
    (0..TRIPS).map(rows).collect()
}
