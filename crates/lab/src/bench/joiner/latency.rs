//! How long a complete trip waits until its joined row can be read: from the moment when Kafka has acknowledged the
//! last of its three rows to the one when a reader of committed records is given the joined one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use fleet::Fleet;
use generator::Generator;
use kafka::partitioner::partition_for;
use kafka::topics::PartitionCounts;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use serde::Serialize;
use service::Shutdown;
use tracing::info;
use trip_client::Timings;

use super::load::SEED;
use super::plan::{Backlog, Plan};
use super::process::Joiners;
use super::report::COLD;
use super::{Plans, create_topics};
use crate::bench::rows::{Encoders, SchemaIds, register};
use crate::bench::table::line;
use crate::bench::{BenchError, blocking};
use verify::settings::Settings;

/// How much is sent, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Trips a second, three rows each. At least 1.
    pub rate: u32,
    /// For how long. At least 1 s.
    pub duration: Duration,
    /// Whether it is sent once before, without being measured: a broker on Java that has just started is slow at first.
    pub warm_up: bool,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Trips a second that were asked for.
    pub rate: u32,
    /// Trips a second that were sent.
    pub sent_per_s: f64,
    /// How long a transaction stays open, in milliseconds.
    pub commit_interval_ms: u128,
    /// Whether a round went before that was not measured.
    pub warmed_up: bool,
    /// From the acknowledgement of the last row to the joined one.
    pub latency: Timings,
}

impl Report {
    /// A table.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        line(&mut text, "latency, ms", ["p50", "p90", "p99", "p99.9", "max"].map(str::to_owned));
        let ms = |percent| format!("{:.1}", self.latency.percentile(percent).as_secs_f64() * 1e3);
        let cells = [50.0, 90.0, 99.0, 99.9, 100.0].map(ms);
        line(&mut text, "acknowledged to joined", cells);
        let _ = writeln!(
            text,
            "\n{} trips, {:.0} a second (asked for: {}); a commit each {} ms",
            self.latency.count(),
            self.sent_per_s,
            self.rate,
            self.commit_interval_ms
        );
        if !self.warmed_up {
            text.push_str(COLD);
        }
        text
    }

    /// All figures as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and texts have a JSON form")
    }
}

/// Measures the joiner that lies beside this program while trips come at a steady rate.
///
/// # Errors
///
/// [`BenchError`].
pub async fn run(
    settings: &Settings,
    load: Load,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let trips = u64::from(load.rate) * load.duration.as_secs().max(1);
    let plans = Plans { settings };
    let round = async || {
        plans
            .with(trips, Backlog::default(), async |plan, fleet| {
                measure(&plan, fleet, load, shutdown).await
            })
            .await
    };
    if load.warm_up {
        info!("a round that is not measured");
        round().await?;
    }
    round().await
}

async fn measure(
    plan: &Arc<Plan>,
    fleet: &Fleet,
    load: Load,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let counts = create_topics(plan, &plan.settings.topics.joined_streams).await?;
    let ids = register(&plan.settings).await?;
    let joiner = Joiners::start(1, fleet, plan)?;
    let (latency, took) = blocking(shutdown, {
        let (plan, counts) = (Arc::clone(plan), counts.clone());
        move |shutdown| send_and_read(&plan, ids, &counts, load, shutdown)
    })
    .await?;
    joiner.stop().await?;
    Ok(Report {
        rate: load.rate,
        sent_per_s: (plan.trips - 1) as f64 / took.as_secs_f64(),
        commit_interval_ms: plan.commit_interval.as_millis(),
        warmed_up: load.warm_up,
        latency,
    })
}

/// When each trip was complete: by number, how many of its rows were acknowledged, and when the last one was.
struct Completions {
    started: Instant,
    /// Nanoseconds since the start, of the latest acknowledgement so far.
    last: Vec<AtomicU64>,
}

impl ClientContext for Completions {}

impl ProducerContext for Completions {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, trip: usize) {
        // A row that fails leaves its trip incomplete: it is missed at the end.
        if result.is_ok() {
            let at = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.last[trip].fetch_max(at, Ordering::Relaxed);
        }
    }
}

const STUCK: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(1);
const WRITING: &str = "writing the trips";

/// Sends one trip and waits until it is joined: from then on the joiner works. Then sends the others at their time, and
/// reads what is joined. Blocks.
fn send_and_read(
    plan: &Plan,
    ids: SchemaIds,
    counts: &PartitionCounts,
    load: Load,
    shutdown: &Shutdown,
) -> Result<(Timings, Duration), BenchError> {
    let trips = usize::try_from(plan.trips).expect("they fit in memory");
    let last = (0..trips).map(|_| AtomicU64::new(0)).collect();
    let completions = Completions { started: Instant::now(), last };
    let started = completions.started;
    let mut config = plan.settings.kafka.client()?;
    config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
    let producer: ThreadedProducer<Completions> =
        config.create_with_context(completions).map_err(BenchError::client("making a producer"))?;
    let reader = reader(plan, counts)?;
    let sender = Sender::new(plan, ids, counts, &producer);
    let mut numbers = HashMap::with_capacity(trips);
    let mut latency = Timings::default();
    let mut joined = 0;
    let mut first_at = started;
    let mut next = 0;
    let mut last_news = Instant::now();
    while joined < trips {
        if shutdown.requested() {
            return Err(BenchError::Interrupted);
        }
        // The first one alone, and only once.
        let due = if joined == 0 {
            1
        } else {
            let due = first_at.elapsed().as_secs_f64() * f64::from(load.rate);
            trips.min(1 + due as usize)
        };
        while next < due {
            numbers.insert(sender.send(next)?, next);
            next += 1;
        }
        while let Some(row) = reader.poll(if next < trips { POLL } else { POLL * 10 }) {
            let row = row.map_err(BenchError::client("reading the joined rows"))?;
            let at = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let key = String::from_utf8_lossy(row.key().unwrap_or_default());
            let Some(trip) = numbers.remove(&*key) else { continue };
            joined += 1;
            last_news = Instant::now();
            if trip == 0 {
                info!("the joiner works; sending");
                first_at = Instant::now();
            } else {
                let complete = producer.context().last[trip].load(Ordering::Relaxed);
                latency.record(Duration::from_nanos(at.saturating_sub(complete)));
            }
            if next < trips {
                // It may be time for the next trip.
                break;
            }
        }
        if last_news.elapsed() > STUCK {
            return Err(BenchError::NotJoined { joined, trips, after: STUCK });
        }
    }
    let took = Duration::from_nanos(producer.context().last[trips - 1].load(Ordering::Relaxed));
    Ok((latency, took.saturating_sub(first_at - started)))
}

fn reader(plan: &Plan, counts: &PartitionCounts) -> Result<BaseConsumer, BenchError> {
    let failed = BenchError::client("reading the joined rows");
    let mut config = plan.settings.kafka.client()?;
    config.set("group.id", plan.reader_group()).set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("fetch.queue.backoff.ms", "5");
    let consumer: BaseConsumer = config.create().map_err(&failed)?;
    let topic = &plan.settings.topics.joined_streams.name;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..counts[topic] {
        partitions.add_partition_offset(topic, partition, Offset::Beginning).map_err(&failed)?;
    }
    consumer.assign(&partitions).map_err(&failed)?;
    Ok(consumer)
}

struct Sender<'a> {
    plan: &'a Plan,
    counts: &'a PartitionCounts,
    producer: &'a ThreadedProducer<Completions>,
    encoders: Encoders,
    generator: Generator,
}

impl<'a> Sender<'a> {
    fn new(
        plan: &'a Plan,
        ids: SchemaIds,
        counts: &'a PartitionCounts,
        producer: &'a ThreadedProducer<Completions>,
    ) -> Self {
        let (encoders, generator) = (Encoders::new(ids), Generator::new(SEED));
        Self { plan, counts, producer, encoders, generator }
    }

    /// Enqueues the rows of one trip and gives its id.
    fn send(&self, number: usize) -> Result<String, BenchError> {
        let rows = self.generator.complete_trip(number as u64, Utc::now());
        let mut values: [Vec<u8>; 3] = Default::default();
        self.encoders.encode(&rows, &mut values)?;
        for (topic, value) in self.plan.settings.topics.inputs().iter().zip(&values) {
            let partition = partition_for(rows.trip_id.as_bytes(), self.counts[&topic.name]);
            let mut record = BaseRecord::with_opaque_to(&topic.name, number)
                .partition(partition)
                .key(rows.trip_id.as_bytes())
                .payload(value);
            while let Err((error, back)) = self.producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(BenchError::client(WRITING)(error));
                }
                record = back;
                std::thread::sleep(POLL);
            }
        }
        Ok(rows.trip_id)
    }
}
