//! The driver's metrics for Prometheus. The report counts for itself: these are only looked at from outside.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use service::Metrics;

/// What became of a tick or a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: String,
}

/// Handles to the metrics of one run. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct RunMetrics {
    ticks: Family<OutcomeLabel, Counter>,
    requests: Family<OutcomeLabel, Counter>,
    pub(crate) retries: Counter,
    pub(crate) trips_confirmed: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) lag: Histogram,
    pub(crate) latency: Histogram,
}

impl RunMetrics {
    /// Registers the metrics.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        // 0.5 ms to 16 s.
        let seconds = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let handles = Self {
            ticks: Family::default(),
            requests: Family::default(),
            retries: Counter::default(),
            trips_confirmed: Counter::default(),
            in_flight: Gauge::default(),
            lag: seconds(),
            latency: seconds(),
        };
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("scheduler");
            registry.register(
                "ticks",
                "Ticks that came due, by what became of them",
                handles.ticks.clone(),
            );
            registry.register(
                "requests",
                "Requests that ended, by outcome",
                handles.requests.clone(),
            );
            registry.register(
                "retries",
                "Attempts beyond the first of each request",
                handles.retries.clone(),
            );
            registry.register(
                "trips_confirmed",
                "Trips in the answers of requests that succeeded",
                handles.trips_confirmed.clone(),
            );
            registry.register("in_flight", "Requests that run", handles.in_flight.clone());
            registry.register(
                "lag_seconds",
                "Actual start of a request after its intended start",
                handles.lag.clone(),
            );
            registry.register(
                "latency_seconds",
                "Answer of a request that succeeded after its intended start",
                handles.latency.clone(),
            );
        });
        handles
    }

    /// Counts ticks as `started`, as skipped for a reason, or as dropped.
    pub(crate) fn ticks(&self, outcome: &str, ticks: u64) {
        self.ticks.get_or_create(&OutcomeLabel { outcome: outcome.to_owned() }).inc_by(ticks);
    }

    /// Counts requests as `succeeded`, as `cut_off`, or by the reason of their failure.
    pub(crate) fn requests(&self, outcome: &str, requests: u64) {
        self.requests.get_or_create(&OutcomeLabel { outcome: outcome.to_owned() }).inc_by(requests);
    }
}
