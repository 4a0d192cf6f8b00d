//! The metrics of the joiner.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use join::{Task, WallTime};
use kafka::read_to_end::Progress;
use models::{EventTime, Partition, Side};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::avro_payload::AvroPayload;
use crate::fate_counts::{FateCounts, UNMATCHED};
use crate::rejects::Reason;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    side: &'static str,
    fate: FateLabel,
}

/// What became of a row when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the labels")]
enum FateLabel {
    taken,
    duplicate,
    rejected,
    forwarded,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskRowLabels {
    task: Partition,
    fate: &'static str,
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

/// What the metrics show of a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskStatus {
    task: Partition,
    watermark: EventTime,
    counters: join::Counters,
    open_rows: usize,
    open_entries: usize,
    state_bytes: usize,
}

impl From<&Task<AvroPayload>> for TaskStatus {
    fn from(task: &Task<AvroPayload>) -> Self {
        Self {
            task: task.layout().task(),
            watermark: task.watermark(),
            counters: *task.counters(),
            open_rows: task.open_rows(),
            open_entries: task.open_entries(),
            state_bytes: task.state_bytes(),
        }
    }
}

/// The handles of all metrics. Rows and trips are counted when their transaction is committed, so the metrics show
/// what is in the topics.
#[derive(Clone)]
pub(crate) struct JoinerMetrics {
    rows: Counters<RowLabels>,
    joined: Counter<u64, AtomicU64>,
    unmatched: Counters<ReasonLabel>,
    rejected: Counters<RejectLabel>,
    transactions: Counters<OutcomeLabel>,
    commit_seconds: Histogram,
    watermark: Gauges,
    task_rows: Counters<TaskRowLabels>,
    open_rows: Gauges,
    open_entries: Gauges,
    state_bytes: Gauges,
    watermark_lag: Family<TaskLabel, Gauge<f64, AtomicU64>>,
    lag: Family<PartitionLabels, Gauge<i64, AtomicI64>>,
    restore_seconds: Histogram,
    restored: Gauge<f64, AtomicU64>,
}

impl JoinerMetrics {
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
            task_rows: Family::default(),
            open_rows: Family::default(),
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
        let help = "Rows that a task could read, by their fate since its state began";
        registry.register("task_rows", help, self.task_rows);
        registry.register("open_rows", "Rows without a fate yet", self.open_rows);
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
    pub(crate) fn committed(&self, counts: &FateCounts, took: Duration) {
        let by_fate = [
            (FateLabel::taken, &counts.taken),
            (FateLabel::duplicate, &counts.duplicates),
            (FateLabel::rejected, &counts.rejected),
            (FateLabel::forwarded, &counts.forwarded),
        ];
        for (fate, by_side) in by_fate {
            for side in Side::ALL {
                let count = by_side[side.index()];
                if count > 0 {
                    let labels = RowLabels { side: side.as_str(), fate };
                    self.rows.get_or_create(&labels).inc_by(count);
                }
            }
        }
        self.joined.inc_by(counts.joined);
        for (reason, &count) in UNMATCHED.iter().zip(&counts.unmatched) {
            if count > 0 {
                let labels = ReasonLabel { reason: reason.as_str() };
                self.unmatched.get_or_create(&labels).inc_by(count);
            }
        }
        for (&reason, &count) in &counts.rejects {
            self.rejected.get_or_create(&RejectLabel { reason }).inc_by(count);
        }
        self.transactions.get_or_create(&OutcomeLabel { outcome: "committed" }).inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A transaction was given up, or its outcome is unknown.
    pub(crate) fn aborted(&self) {
        self.transactions.get_or_create(&OutcomeLabel { outcome: "aborted" }).inc();
    }

    /// A restore has come so far.
    pub(crate) fn restoring(&self, Progress { read, all }: Progress) {
        self.restored.set(if all > 0 { read as f64 / all as f64 } else { 1.0 });
    }

    /// The tasks that were assigned together are restored.
    pub(crate) fn restored(&self, took: Duration) {
        self.restored.set(1.0);
        self.restore_seconds.observe(took.as_secs_f64());
    }

    /// The state of a task with what was just committed.
    pub(crate) fn task(&self, status: &TaskStatus, now: WallTime) {
        let &TaskStatus { task, watermark, counters, open_rows, open_entries, state_bytes } =
            status;
        let label = TaskLabel { task };
        for (fate, count) in rows_by_fate(&counters) {
            let labels = TaskRowLabels { task, fate };
            // The task counts by itself, and goes on when it moves to another process.
            self.task_rows.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
        }
        if watermark > EventTime::MIN {
            let ms = watermark.as_millis();
            self.watermark.get_or_create(&label).set(ms / 1_000);
            let behind = (now.as_millis() - ms) as f64 / 1e3;
            self.watermark_lag.get_or_create(&label).set(behind);
        }
        self.open_rows.get_or_create(&label).set(open_rows as i64);
        self.open_entries.get_or_create(&label).set(open_entries as i64);
        self.state_bytes.get_or_create(&label).set(state_bytes as i64);
    }

    /// So many records of a partition are not read yet.
    pub(crate) fn lag(&self, topic: &str, partition: Partition, records: i64) {
        let labels = PartitionLabels { topic: topic.to_owned(), partition };
        self.lag.get_or_create(&labels).set(records);
    }

    /// No partition is ours any more.
    pub(crate) fn forget_lag(&self) {
        self.lag.clear();
    }

    /// The task is no longer ours.
    pub(crate) fn gone(&self, task: Partition) {
        let label = TaskLabel { task };
        for (fate, _) in rows_by_fate(&join::Counters::default()) {
            self.task_rows.remove(&TaskRowLabels { task, fate });
        }
        self.open_rows.remove(&label);
        self.watermark.remove(&label);
        self.watermark_lag.remove(&label);
        self.open_entries.remove(&label);
        self.state_bytes.remove(&label);
    }
}

/// What became of a task's rows. With the open ones, these are all rows that have come to it or that it has forwarded.
const fn rows_by_fate(counters: &join::Counters) -> [(&'static str, u64); 5] {
    [
        ("joined", 3 * counters.joined),
        ("unmatched", counters.unmatched_rows),
        ("duplicate", counters.duplicates),
        ("rejected", counters.rejected()),
        ("forwarded", counters.passed_on),
    ]
}

#[cfg(test)]
mod tests {
    use join::{Row, RowOrigin, TaskLayout};
    use models::TripId;

    use super::*;

    #[test]
    fn a_commit_shows_in_the_text_that_prometheus_reads() {
        let registry = service::Metrics::new("joiner");
        let metrics = JoinerMetrics::register(&registry);
        let mut counts = FateCounts { taken: [3, 3, 3], joined: 3, ..FateCounts::default() };
        counts.reject(Some(Side::Rider), Reason::Tombstone);
        metrics.committed(&counts, Duration::from_millis(5));
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

    #[test]
    fn a_task_shows_its_rows_by_fate_while_it_is_ours() {
        let registry = service::Metrics::new("joiner");
        let metrics = JoinerMetrics::register(&registry);
        let layout = TaskLayout::new(2, 3, [3; 3]).expect("there are three tasks");
        let mut task: Task<AvroPayload> =
            Task::new(&join::JoinConfig::default(), layout).expect("valid");
        let now = WallTime::from_millis(100_000_000);
        let sides = [Side::Trip, Side::Driver, Side::Rider, Side::Driver];
        let whole = sides.map(|side| (side, "whole", 100_000_000));
        let others = [(Side::Trip, "part", 100_000_000), (Side::Trip, "from 2100", 1 << 42)];
        for (offset, (side, id, ts)) in (0..).zip(whole.into_iter().chain(others)) {
            let row = Row {
                trip_id: TripId::new(id).expect("not empty"),
                side,
                ts: Some(EventTime::from_millis(ts)),
                payload: AvroPayload::new(b"row"),
                origin: RowOrigin { partition: 2, offset },
            };
            task.on_row(row, now, &mut Vec::new());
        }
        let far = Row {
            trip_id: TripId::new("not at home").expect("not empty"),
            side: Side::Rider,
            ts: Some(EventTime::from_millis(100_000_000)),
            payload: AvroPayload::new(b"row"),
            origin: RowOrigin { partition: 2, offset: 9 },
        };
        task.pass_on(far, now, &mut Vec::new());
        metrics.task(&TaskStatus::from(&task), now);
        let text = registry.encode();
        for line in [
            r#"tripstream_joiner_task_rows_total{task="2",fate="joined"} 3"#,
            r#"tripstream_joiner_task_rows_total{task="2",fate="duplicate"} 1"#,
            r#"tripstream_joiner_task_rows_total{task="2",fate="unmatched"} 0"#,
            r#"tripstream_joiner_task_rows_total{task="2",fate="rejected"} 1"#,
            r#"tripstream_joiner_task_rows_total{task="2",fate="forwarded"} 1"#,
            r#"tripstream_joiner_open_rows{task="2"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.gone(2);
        assert!(!registry.encode().contains(r#"task="2""#));
    }
}
