//! What the joiner tells Prometheus.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use join::{Task, WallTime};
use models::{EventTime, Partition, Side};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::changelog::Progress;
use crate::payload::Payload;
use crate::rejects::Reason;
use crate::tally::{Tally, UNMATCHED};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    side: &'static str,
    fate: Fate,
}

/// What became of a row in the moment it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the labels")]
enum Fate {
    taken,
    duplicate,
    rejected,
    forwarded,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectLabel {
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: Partition,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    topic: String,
    partition: Partition,
}

type Counters<L> = Family<L, Counter<u64, AtomicU64>>;
type Gauges = Family<TaskLabel, Gauge<i64, AtomicI64>>;

/// The handles that are counted with. Rows and trips are counted when their transaction is committed, so what is
/// shown is what is in the topics.
#[derive(Clone)]
pub(crate) struct Metrics {
    rows: Counters<RowLabels>,
    joined: Counter<u64, AtomicU64>,
    unmatched: Counters<ReasonLabel>,
    rejected: Counters<RejectLabel>,
    transactions: Counters<OutcomeLabel>,
    commit_seconds: Histogram,
    watermark: Gauges,
    open_entries: Gauges,
    state_bytes: Gauges,
    watermark_lag: Family<TaskLabel, Gauge<f64, AtomicU64>>,
    lag: Family<PartitionLabels, Gauge<i64, AtomicI64>>,
    restore_seconds: Histogram,
    restored: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn register(metrics: &service::Metrics) -> Self {
        let own = Self {
            rows: Family::default(),
            joined: Counter::default(),
            unmatched: Family::default(),
            rejected: Family::default(),
            transactions: Family::default(),
            // 1 ms to 16 s.
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            watermark: Family::default(),
            open_entries: Family::default(),
            state_bytes: Family::default(),
            watermark_lag: Family::default(),
            lag: Family::default(),
            // 10 ms to 5 min.
            restore_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 16)),
            restored: Gauge::default(),
        };
        metrics.register(|registry| own.clone().name(registry));
        own
    }

    fn name(self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("joiner");
        registry.register("rows", "Rows by side and what became of them when read", self.rows);
        registry.register("joined", "Trips joined", self.joined);
        registry.register("unmatched", "Trips decided incomplete", self.unmatched);
        registry.register("rejected", "Rows rejected", self.rejected);
        registry.register("transactions", "Transactions by outcome", self.transactions);
        let help = "Duration of a commit, from its begin to Kafka's answer";
        registry.register("commit_seconds", help, self.commit_seconds);
        let help = "Watermark of a task in seconds since 1970; absent while unknown";
        registry.register("watermark_seconds", help, self.watermark);
        registry.register("open_entries", "Trips that wait for rows", self.open_entries);
        registry.register("state_bytes", "Memory that the state takes, about", self.state_bytes);
        let help = "Records of an assigned partition that are not read yet";
        registry.register("lag_records", help, self.lag);
        let help = "How far a task's watermark was behind the wall clock at its last commit";
        registry.register("watermark_lag_seconds", help, self.watermark_lag);
        let help = "Duration of a restore, for all tasks that were assigned together";
        registry.register("restore_seconds", help, self.restore_seconds);
        let help = "Part of the changelog that is read, from 0 to 1, by the last restore";
        registry.register("restored_ratio", help, self.restored);
    }

    /// A transaction was committed.
    pub(crate) fn committed(&self, tally: &Tally, took: Duration) {
        let by_fate = [
            (Fate::taken, &tally.taken),
            (Fate::duplicate, &tally.duplicates),
            (Fate::rejected, &tally.rejected),
            (Fate::forwarded, &tally.forwarded),
        ];
        for (fate, counts) in by_fate {
            for side in Side::ALL {
                let count = counts[side.index()];
                if count > 0 {
                    let labels = RowLabels { side: side.as_str(), fate };
                    self.rows.get_or_create(&labels).inc_by(count);
                }
            }
        }
        self.joined.inc_by(tally.joined);
        for (reason, &count) in UNMATCHED.iter().zip(&tally.unmatched) {
            if count > 0 {
                let labels = ReasonLabel { reason: reason.as_str() };
                self.unmatched.get_or_create(&labels).inc_by(count);
            }
        }
        for (&reason, &count) in &tally.rejects {
            self.rejected.get_or_create(&RejectLabel { reason }).inc_by(count);
        }
        self.transactions.get_or_create(&OutcomeLabel { outcome: "committed" }).inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A transaction was given up, or its outcome is unknown.
    pub(crate) fn aborted(&self) {
        self.transactions.get_or_create(&OutcomeLabel { outcome: "aborted" }).inc();
    }

    /// How far a restore is that is under way.
    pub(crate) fn restoring(&self, Progress { read, all }: Progress) {
        self.restored.set(if all > 0 { read as f64 / all as f64 } else { 1.0 });
    }

    /// The state of tasks is restored.
    pub(crate) fn restored(&self, took: Duration) {
        self.restored.set(1.0);
        self.restore_seconds.observe(took.as_secs_f64());
    }

    /// Where a task stands.
    pub(crate) fn standing(&self, task: &Task<Payload>, now: WallTime) {
        let label = TaskLabel { task: task.layout().task() };
        if task.watermark() > EventTime::MIN {
            let ms = task.watermark().as_millis();
            self.watermark.get_or_create(&label).set(ms / 1_000);
            let behind = (now.as_millis() - ms) as f64 / 1e3;
            self.watermark_lag.get_or_create(&label).set(behind);
        }
        self.open_entries.get_or_create(&label).set(task.open_entries() as i64);
        self.state_bytes.get_or_create(&label).set(task.state_bytes() as i64);
    }

    /// How many records of a partition there are to read.
    pub(crate) fn lag(&self, topic: &str, partition: Partition, records: i64) {
        let labels = PartitionLabels { topic: topic.to_owned(), partition };
        self.lag.get_or_create(&labels).set(records);
    }

    /// No partition is ours.
    pub(crate) fn forget_lag(&self) {
        self.lag.clear();
    }

    /// The task is no longer ours.
    pub(crate) fn gone(&self, task: Partition) {
        let label = TaskLabel { task };
        self.watermark.remove(&label);
        self.watermark_lag.remove(&label);
        self.open_entries.remove(&label);
        self.state_bytes.remove(&label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_shows_in_the_text_that_prometheus_reads() {
        let registry = service::Metrics::new("joiner");
        let metrics = Metrics::register(&registry);
        let mut tally = Tally { taken: [3, 3, 3], joined: 3, ..Tally::default() };
        tally.reject(Some(Side::Rider), Reason::Tombstone);
        metrics.committed(&tally, Duration::from_millis(5));
        metrics.aborted();
        let text = registry.encode();
        for line in [
            r#"tripstream_joiner_rows_total{side="driver",fate="taken"} 3"#,
            r#"tripstream_joiner_rows_total{side="rider",fate="rejected"} 1"#,
            r#"tripstream_joiner_rejected_total{reason="tombstone"} 1"#,
            r#"tripstream_joiner_transactions_total{outcome="aborted"} 1"#,
            "tripstream_joiner_joined_total 3",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
