//! Applies the retention and compaction of [`cleaner`](crate::cleaner) to all logs at intervals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::{error, info};

use crate::batch::InvalidBatch;
use crate::broker::Broker;
use crate::cleaner::{Compaction, Retention, Scope, cleanable_end, retained_from};
use crate::clock::Millis;
use crate::journal::JournalError;
use crate::log::{AbortedTransaction, Log};
use crate::storage::{Change, LogId, StorageError};
use crate::topics::config::Effective;

/// A producer that has not written for this long is removed (`producer.id.expiration.ms`).
const PRODUCER_EXPIRATION: Millis = 24 * 60 * 60 * 1_000;
/// A compacted log without new records is compacted again after this time.
const COMPACT_AGAIN: Millis = 10 * 60 * 1_000;
/// Retention by age reads this many batches at a time.
const FIRST_BATCHES: usize = 256;
/// Compaction reads this many bytes of a log at a time.
const PIECE: usize = 8 << 20;

/// A log before it is cleaned.
struct LogSnapshot {
    id: LogId,
    config: Effective,
    start: i64,
    end: i64,
    last_stable: i64,
    aborted: Vec<AbortedTransaction>,
}

/// Why a log can't be cleaned.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("a batch can't be read: {0}")]
    Batch(#[from] InvalidBatch),
}

/// The last compaction of a log.
#[derive(Debug, Clone, Copy)]
struct Compacted {
    /// The end of the log at that time.
    to: i64,
    at: Millis,
}

/// Cleans all logs, and keeps track of compacted ones.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    compacted: HashMap<LogId, Compacted>,
}

impl Sweeper {
    /// The interval between two sweeps (Kafka's `log.cleaner.backoff.ms`).
    pub(crate) const INTERVAL: Duration = Duration::from_secs(15);

    /// Cleans all logs once. A compacted log is compacted again when records were appended, or after [`COMPACT_AGAIN`]:
    /// by then, tombstones may be old enough to remove, and young records old enough to compact.
    pub(crate) async fn sweep(&mut self, broker: &Arc<Broker>) {
        let logs = broker.look(|state| {
            let topics = state.topics.iter();
            let logs = topics.flat_map(|(_, topic)| topic.logs.iter().map(|id| (id, topic.config)));
            let snapshots =
                logs.filter_map(|(id, config)| Some(snapshot(state.logs.get(id)?, config)));
            snapshots.collect::<Vec<_>>()
        });
        let ids: HashSet<LogId> = logs.iter().map(|log| log.id).collect();
        self.compacted.retain(|id, _| ids.contains(id));
        let now = broker.clock.now();
        for log in logs {
            let (id, end) = (log.id, log.end);
            let is_done = self
                .compacted
                .get(&id)
                .is_some_and(|compacted| compacted.to == end && now - compacted.at < COMPACT_AGAIN);
            let compact = log.config.compact && !is_done;
            let worker = Arc::clone(broker);
            let runtime = Handle::current();
            let work = move || sweep_log(&worker, &runtime, &log, compact);
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(())) if compact => {
                    self.compacted.insert(id, Compacted { to: end, at: now });
                }
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, log = id, "cleaning a log"),
                Err(error) => error!(%error, log = id, "cleaning a log"),
            }
        }
    }
}

fn snapshot(log: &Log, config: Effective) -> LogSnapshot {
    LogSnapshot {
        id: log.id(),
        config,
        start: log.start(),
        end: log.end(),
        last_stable: log.last_stable(),
        aborted: log.aborted_between(log.start(), log.end()).copied().collect(),
    }
}

fn sweep_log(
    broker: &Broker,
    runtime: &Handle,
    log: &LogSnapshot,
    compact: bool,
) -> Result<(), SweepError> {
    let now = broker.clock.now();
    let Effective { delete, retention_ms: ms, retention_bytes: bytes, .. } = log.config;
    if delete && (ms.is_some() || bytes.is_some()) {
        delete_old(broker, runtime, log, Retention { ms, bytes }, now)?;
    }
    if compact {
        compaction(broker, runtime, log, now)?;
    }
    broker.update(|state, now, effects| {
        if let Some(log) = state.logs.get_mut(&log.id) {
            log.expire_producers(now - PRODUCER_EXPIRATION, &mut effects.changes);
        }
    });
    Ok(())
}

fn delete_old(
    broker: &Broker,
    runtime: &Handle,
    log: &LogSnapshot,
    retention: Retention,
    now: Millis,
) -> Result<(), SweepError> {
    // For retention by age the first batches are enough. Retention by size needs all of them.
    let limit = if retention.bytes.is_some() { usize::MAX } else { FIRST_BATCHES };
    loop {
        let outline = broker.storage.outline(log.id, limit)?;
        let Some(offset) = retained_from(&outline, retention, log.last_stable, now) else {
            return Ok(());
        };
        info!(log = log.id, offset, "deleting what is too old or too much");
        broker.update(|state, _, effects| {
            if let Some(log) = state.logs.get_mut(&log.id) {
                log.delete_below(offset, &mut effects.changes);
            }
        });
        // The storage must have deleted them before the next iteration reads it.
        runtime.block_on(broker.journal.durable(broker.journal.position()))?;
    }
}

fn compaction(
    broker: &Broker,
    runtime: &Handle,
    log: &LogSnapshot,
    now: Millis,
) -> Result<(), SweepError> {
    let storage = &*broker.storage;
    let outline = storage.outline(log.id, usize::MAX)?;
    let end = cleanable_end(&outline, log.last_stable, log.config.min_compaction_lag_ms, now);
    let scope = Scope {
        end,
        log_end: log.end,
        aborted: &log.aborted,
        delete_retention: log.config.delete_retention_ms,
        now,
    };
    let mut compaction = Compaction::new(scope);
    let mut count = 0;
    for pass in [CompactionPass::Scan, CompactionPass::Clean] {
        let mut offset = log.start;
        loop {
            let piece = storage.batches(log.id, offset, end, PIECE)?;
            let Some(last) = piece.last() else { break };
            offset = last.last_offset + 1;
            let mut changes = Vec::new();
            for batch in &piece {
                match pass {
                    CompactionPass::Scan => compaction.scan(batch)?,
                    CompactionPass::Clean => changes.extend(compaction.clean(log.id, batch)?),
                }
            }
            if !changes.is_empty() {
                count += changes.len();
                runtime.block_on(broker.journal.room());
                submit(broker, log.id, changes);
            }
        }
    }
    if count > 0 {
        info!(log = log.id, batches = count, "compacted");
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum CompactionPass {
    Scan,
    Clean,
}

/// Submits the changes, except for batches that were deleted meanwhile, which must not come back.
fn submit(broker: &Broker, id: LogId, changes: Vec<Change>) {
    broker.update(|state, _, effects| {
        let Some(start) = state.logs.get(&id).map(Log::start) else { return };
        let is_there = |change: &Change| match change {
            Change::Append { batch, .. } => batch.last_offset >= start,
            _ => true,
        };
        effects.changes.extend(changes.into_iter().filter(is_there));
    });
}
