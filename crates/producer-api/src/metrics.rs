//! What is counted: for Prometheus, and for the line a second that the log gets.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use models::Side;
use models::topics::Topics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tracing::{info, warn};

use crate::paths::PATHS;
use crate::trace::Trace;
use crate::undelivered::FailedRecord;

/// A route of the service, without what varies in its paths.
pub(crate) type Route = Cow<'static, str>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    topic: String,
    result: &'static str,
}

/// The handles that are counted with. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ApiMetrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    requests: Family<RequestLabels, Counter>,
    latency: Family<RequestLabels, Histogram, fn() -> Histogram>,
    refusals: Family<RefusalLabel, Counter>,
    producer_errors: Family<CodeLabel, Counter>,
    /// By [`Side::index`].
    delivered: [Counter; 3],
    failed: [Counter; 3],
    in_flight: Gauge,
    since_last_line: SinceLastLine,
}

/// What the next log line will tell.
#[derive(Debug, Default)]
struct SinceLastLine {
    requests: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    failure: Mutex<Option<(FailedRecord, Arc<Trace>)>>,
}

/// From 0.5 ms, doubling, to 16 s.
fn latency_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

impl ApiMetrics {
    pub(crate) fn register(metrics: &service::Metrics, topics: &Topics) -> Self {
        let records = Family::<RecordLabels, Counter>::default();
        let by_side = |result| {
            Side::ALL.map(|side| {
                let topic = topics.input(side).name.clone();
                records.get_or_create_owned(&RecordLabels { topic, result })
            })
        };
        let handles = Handles {
            requests: Family::default(),
            latency: Family::new_with_constructor(latency_buckets),
            refusals: Family::default(),
            producer_errors: Family::default(),
            delivered: by_side("delivered"),
            failed: by_side("failed"),
            in_flight: Gauge::default(),
            since_last_line: SinceLastLine::default(),
        };
        metrics.register(|registry| {
            registry.register("api_requests", "Requests answered", handles.requests.clone());
            registry.register(
                "api_request_duration_seconds",
                "Time from a request's head to the head of its answer",
                handles.latency.clone(),
            );
            registry.register(
                "api_refusals",
                "Requests that did not get their records, by reason",
                handles.refusals.clone(),
            );
            registry.register(
                "api_producer_errors",
                "Errors that librdkafka told of its connections and of itself, by its code",
                handles.producer_errors.clone(),
            );
            registry.register(
                "api_records",
                "Records by what Kafka said: delivered is acknowledged, failed is not",
                records.clone(),
            );
            registry.register(
                "api_records_in_flight",
                "Records, in units of up to 1 KiB, that wait for Kafka's acknowledgement",
                handles.in_flight.clone(),
            );
        });
        Self(Arc::new(handles))
    }

    /// Counts a request that was answered.
    pub(crate) fn request(&self, route: Route, status: u16, took: Duration) {
        // Not the scrapes and health checks.
        if PATHS.contains(&route.as_ref()) {
            self.0.since_last_line.requests.fetch_add(1, Ordering::Relaxed);
        }
        let labels = RequestLabels { route, status };
        self.0.requests.get_or_create(&labels).inc();
        self.0.latency.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a request that was refused, by its reason: `Refusal::reason`.
    pub(crate) fn refusal(&self, reason: &'static str) {
        self.0.refusals.get_or_create(&RefusalLabel { reason }).inc();
    }

    /// Counts an error of the producer, by librdkafka's code.
    pub(crate) fn producer_error(&self, code: String) {
        self.0.producer_errors.get_or_create(&CodeLabel { code }).inc();
    }

    /// Counts the records of one request and one topic.
    pub(crate) fn records(&self, side: Side, delivered: u64, failed: u64) {
        self.0.delivered[side.index()].inc_by(delivered);
        self.0.failed[side.index()].inc_by(failed);
        self.0.since_last_line.delivered.fetch_add(delivered, Ordering::Relaxed);
        self.0.since_last_line.failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// Keeps a failure for the next log line.
    pub(crate) fn note_failure(&self, failure: &FailedRecord, trace: &Arc<Trace>) {
        let mut kept = self.last_failure();
        *kept = Some((failure.clone(), Arc::clone(trace)));
    }

    /// Shows how many records are on their way.
    pub(crate) fn in_flight(&self, units: u32) {
        self.0.in_flight.set(units.into());
    }

    /// Records delivered and failed since the start.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let sum = |counters: &[Counter; 3]| counters.iter().map(Counter::get).sum();
        (sum(&self.0.delivered), sum(&self.0.failed))
    }

    /// Logs what happened since the last call, if anything did. Called once a second.
    pub(crate) fn log_line(&self) {
        let since = &self.0.since_last_line;
        let [requests, delivered, failed] = [&since.requests, &since.delivered, &since.failed]
            .map(|count| count.swap(0, Ordering::Relaxed));
        if failed > 0 {
            let failure = self.last_failure().take();
            // None when a failure was counted in one second and noted in the next.
            let (topic, error, request_id) =
                failure.as_ref().map_or(("", "", ""), |(record, trace)| {
                    (&record.topic, &record.error, trace.id_text())
                });
            warn!(
                requests,
                delivered, failed, topic, error, request_id, "records not delivered to Kafka"
            );
        } else if requests > 0 || delivered > 0 {
            info!(requests, records = delivered, "produced");
        }
    }

    fn last_failure(&self) -> std::sync::MutexGuard<'_, Option<(FailedRecord, Arc<Trace>)>> {
        self.0.since_last_line.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
