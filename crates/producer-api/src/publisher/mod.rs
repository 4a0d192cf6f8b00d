//! Records to Kafka: encoded, enqueued, and waited for.

mod batch;
mod identity;
mod known;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use avro_schemas::{EncodeError, Encoder, Record, SchemaId};
use kafka::{KafkaConfig, LogContext};
use models::Side;
use models::records::{DriverEarning, Rider, Trip};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::capacity::{self, Capacity, Full, Room};
use crate::config::ProducerConfig;
use crate::error::Error;
use crate::metrics::ApiMetrics;
use crate::trace::Trace;
use batch::Batch;
use identity::Identity;
use known::KnownPartitions;
use tally::DeliveryTally;

/// librdkafka lets go of a record a moment after its report, when ours has made room already; its own limits must
/// not be the ones that are met first.
const QUEUE_SLACK: u64 = 2;
/// The largest value of `queue.buffering.max.kbytes`: [`Capacity`] bounds the bytes of keys and values. A record's headers
/// come on top, some 800 bytes at most.
const NO_KBYTES_LIMIT: &str = "2147483647";

/// How long librdkafka is told to hurry before we look whether all reports are in.
const FLUSH_STEP: Duration = Duration::from_millis(10);

/// Where the records of one side go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The topic's name.
    pub(crate) topic: String,
    /// How many partitions it had when the service started.
    pub(crate) partitions: i32,
    /// The id of its value schema.
    pub(crate) schema: SchemaId,
}

/// The one long-lived producer and all that it needs to know.
pub(crate) struct Publisher {
    producer: ThreadedProducer<DeliveryReports>,
    /// By [`Side::index`].
    targets: Arc<[Target; 3]>,
    trips: Encoder<Trip>,
    drivers: Encoder<DriverEarning>,
    riders: Encoder<Rider>,
    capacity: Capacity,
    known: Arc<KnownPartitions>,
    delivery_timeout: Duration,
    metrics: ApiMetrics,
}

impl Publisher {
    /// A publisher to `targets`, which are in the order of [`Side::ALL`]. Doesn't wait for a connection.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        config: &ProducerConfig,
        targets: [Target; 3],
        metrics: ApiMetrics,
    ) -> Result<Self, Error> {
        let mut client = kafka.client()?;
        let queue = u64::from(config.queue_records) * QUEUE_SLACK;
        let tuning = [
            (
                ["linger.ms", "queue.buffering.max.ms"],
                (config.linger.as_secs_f64() * 1e3).to_string(),
            ),
            (
                ["message.timeout.ms", "delivery.timeout.ms"],
                config.delivery_timeout.as_millis().to_string(),
            ),
            (["queue.buffering.max.messages"; 2], queue.min(i32::MAX as u64).to_string()),
            // 10 s by default, longer than a request waits: a broker that is back must be found at once.
            (["reconnect.backoff.max.ms"; 2], "1000".to_owned()),
            (["queue.buffering.max.kbytes"; 2], NO_KBYTES_LIMIT.to_owned()),
        ];
        for (names, value) in tuning {
            if names.iter().all(|name| kafka.properties.get(name).is_none()) {
                client.set(names[0], value);
            }
        }
        // Not for kafka.properties to change: a 200 promises what these two guarantee.
        client.set("enable.idempotence", "true").set("acks", "all");
        client.remove("request.required.acks");
        // Nor this: who is told of errors only waits for a success for ever.
        client.set("delivery.report.only.error", "false");
        // Nor this: without statistics nobody would ever know that the producer has its id.
        client.set("statistics.interval.ms", identity::LOOK_MS);
        let targets = Arc::new(targets);
        let reports = DeliveryReports {
            targets: Arc::clone(&targets),
            identity: Identity::default(),
            unreported: AtomicU64::new(0),
            metrics: metrics.clone(),
            log: LogContext::default(),
        };
        let [trips, drivers, riders] = [0, 1, 2].map(|side| targets[side].schema);
        Ok(Self {
            producer: client.create_with_context(reports).map_err(Error::Producer)?,
            trips: Encoder::new(trips),
            drivers: Encoder::new(drivers),
            riders: Encoder::new(riders),
            capacity: Capacity::new(config.queue_records),
            known: Arc::new(KnownPartitions::new(
                targets.each_ref().map(|target| target.partitions),
            )),
            delivery_timeout: config.delivery_timeout,
            targets,
            metrics,
        })
    }

    /// Waits until Kafka has given the producer its id: before that no record leaves.
    pub(crate) async fn identified(&self) {
        self.producer.context().identity.assigned().await;
    }

    /// Where records go, by [`Side::index`].
    pub(crate) const fn targets(&self) -> &Arc<[Target; 3]> {
        &self.targets
    }

    /// As [`Publisher::batch`], but waits until there is room.
    pub(crate) async fn batch_when_free(&self, records: u32, trace: Arc<Trace>) -> Batch<'_> {
        self.batch_in(self.capacity.wait(records).await, trace)
    }

    /// Takes room for `records` records of up to 1 KiB and starts a batch of them.
    pub(crate) fn batch(&self, records: u32, trace: Arc<Trace>) -> Result<Batch<'_>, Full> {
        self.capacity.take(records).map(|room| self.batch_in(room, trace))
    }

    /// Encodes one record of any size and enqueues it as a batch of its own.
    pub(crate) fn single<T: Routed>(
        &self,
        record: &T,
        trace: Arc<Trace>,
    ) -> Result<Batch<'_>, SendError> {
        let mut value = Vec::new();
        T::encoder(self).encode(record, &mut value)?;
        let room = self.capacity.take(capacity::units(value.len() + record.trip_id().len()))?;
        let mut batch = self.batch_in(room, trace);
        batch.enqueue(T::SIDE, record.trip_id(), &value);
        Ok(batch)
    }

    fn batch_in(&self, room: Room, trace: Arc<Trace>) -> Batch<'_> {
        self.metrics.in_flight(self.capacity.in_flight());
        Batch::new(self, room, trace)
    }

    /// Shows how many records are on their way.
    pub(crate) fn report_in_flight(&self) {
        self.metrics.in_flight(self.capacity.in_flight());
    }

    /// Gives a record to librdkafka, which reports to its tally, unless it can't be enqueued.
    fn hand_over(
        &self,
        record: BaseRecord<'_, str, [u8], Arc<DeliveryTally>>,
    ) -> Result<(), KafkaError> {
        let unreported = &self.producer.context().unreported;
        // Before its report can come.
        unreported.fetch_add(1, Ordering::Relaxed);
        self.producer.send(record).map_err(|(error, _)| {
            unreported.fetch_sub(1, Ordering::Relaxed);
            error
        })
    }

    /// Waits until every record has its report, and says how many have none by then. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) -> u64 {
        // in_flight_count() won't do, nor the outcome of flush(): for them all that librdkafka has to tell us is in flight,
        // statistics too.
        let unreported = || self.producer.context().unreported.load(Ordering::Acquire);
        let deadline = Instant::now() + timeout;
        while unreported() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let _ = self.producer.flush(left.min(FLUSH_STEP));
        }
        unreported()
    }

    /// Why the producer can't go on, if it can't: librdkafka calls such errors fatal.
    pub(crate) fn failure(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(_, reason)| reason)
    }
}

/// A record that could not be enqueued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A record type that has a topic here.
pub(crate) trait Routed: Record {
    const SIDE: Side;
    fn trip_id(&self) -> &str;
    fn encoder(publisher: &Publisher) -> &Encoder<Self>;
}

macro_rules! routed {
    ($($record:ident $side:ident $encoder:ident),*) => {$(
        impl Routed for $record {
            const SIDE: Side = Side::$side;
            fn trip_id(&self) -> &str {
                &self.trip_id
            }
            fn encoder(publisher: &Publisher) -> &Encoder<Self> {
                &publisher.$encoder
            }
        }
    )*};
}
routed!(Trip Trip trips, DriverEarning Driver drivers, Rider Rider riders);

/// Brings librdkafka's delivery reports to the requests that wait for them.
struct DeliveryReports {
    targets: Arc<[Target; 3]>,
    identity: Identity,
    /// Records that librdkafka has and has not reported on.
    unreported: AtomicU64,
    metrics: ApiMetrics,
    log: LogContext,
}

impl DeliveryReports {
    fn side_of(&self, topic: &str) -> Side {
        let side = Side::ALL.into_iter().find(|side| self.targets[side.index()].topic == topic);
        side.expect("records are sent to the targets only")
    }
}

impl ClientContext for DeliveryReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        self.metrics
            .producer_error(code.map_or_else(|| "other".to_owned(), |code| format!("{code:?}")));
        self.log.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.identity.look(statistics);
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Arc<DeliveryTally>;

    fn delivery(&self, result: &DeliveryResult<'_>, tally: Arc<DeliveryTally>) {
        if let Err((error, record)) = result {
            let trip_id = String::from_utf8_lossy(record.key().unwrap_or_default());
            tally.fail(self.side_of(record.topic()), &trip_id, record.topic(), error);
        }
        tally.settle();
        self.unreported.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// librdkafka's own count has been seen to be 1 at the end: the statistics, on their way to us.
    #[test]
    fn only_records_are_in_flight() {
        let kafka =
            KafkaConfig { bootstrap_servers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let targets = Side::ALL.map(|side| Target {
            topic: side.to_string(),
            partitions: 1,
            schema: SchemaId::new(1),
        });
        let context = service::Context::new("test");
        let metrics = ApiMetrics::register(&context.metrics, &models::topics::Topics::default());
        let publisher =
            Publisher::new(&kafka, &ProducerConfig::default(), targets, metrics).unwrap();
        // Seen many times, each some microseconds long: one may come in the middle of a flush.
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = 0;
        while seen < 1_000 {
            assert_eq!(publisher.flush(Duration::ZERO), 0);
            seen += u32::from(publisher.producer.in_flight_count() > 0);
            assert!(Instant::now() < deadline, "librdkafka counts nothing else any more: {seen}");
        }
    }
}
