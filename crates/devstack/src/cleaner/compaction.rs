//! Compaction like Kafka's `Cleaner`: the last record of each key stays.
//!
//! - Offsets and the producer's fields of a batch don't change. A batch without remaining records is removed; the state
//!   of its producer is stored elsewhere.
//! - The records of aborted transactions are removed. A commit marker is removed when it is older than
//!   `delete.retention.ms`. An abort marker stays, because a consumer skips the producer's records up to the marker.
//! - A tombstone is removed when the largest timestamp of its batch is older than `delete.retention.ms`. Kafka counts
//!   from the first cleaning that sees the tombstone, and stores that time in the batch (KIP-534). So an old tombstone
//!   is removed at once here.
//! - The last batch of a log does not change, like Kafka's active segment: it determines the end of the log.

use std::collections::HashMap;

use crate::batch::{BatchHeader, InvalidBatch, Marker, Records};
use crate::clock::Millis;
use crate::log::AbortedTransaction;
use crate::storage::{Change, LogId, StoredBatch};

/// The part of a log to compact, and the settings.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'a> {
    /// Only batches below this offset are compacted: see [`cleanable_end`](super::cleanable_end).
    pub(crate) end: i64,
    /// The offset after the last batch of the log.
    pub(crate) log_end: i64,
    /// All aborted transactions of the log.
    pub(crate) aborted: &'a [AbortedTransaction],
    /// `delete.retention.ms`.
    pub(crate) delete_retention: Millis,
    /// The time.
    pub(crate) now: Millis,
}

/// Compacts a log in two passes over its batches: [`scan`](Self::scan) all of them, then [`clean`](Self::clean) each.
pub(crate) struct Compaction<'a> {
    scope: Scope<'a>,
    /// Offset of the last record of each key.
    last: HashMap<Box<[u8]>, i64>,
}

impl<'a> Compaction<'a> {
    /// Starts the first pass.
    pub(crate) fn new(scope: Scope<'a>) -> Self {
        Self { scope, last: HashMap::new() }
    }

    /// First pass, in the order of the log: records the offset of the last record of each key.
    pub(crate) fn scan(&mut self, batch: &StoredBatch) -> Result<(), InvalidBatch> {
        let header = BatchHeader::parse(&batch.bytes)?;
        if !self.takes_part(batch) || header.is_control() || self.is_aborted(&header, batch) {
            return Ok(());
        }
        for record in Records::new(&header, &batch.bytes)? {
            let record = record?;
            if let Some(key) = record.key() {
                // A copy, because a slice would keep its whole batch in memory.
                self.last.insert(Box::from(&key[..]), record.offset);
            }
        }
        Ok(())
    }

    /// Second pass: the change to a batch, if any. Changes must be written in the order of the log, so that no
    /// tombstone is removed before the records that it deletes.
    pub(crate) fn clean(
        &self,
        log: LogId,
        batch: &StoredBatch,
    ) -> Result<Option<Change>, InvalidBatch> {
        if !self.takes_part(batch) || batch.last_offset + 1 == self.scope.log_end {
            return Ok(None);
        }
        let remove = Change::Remove { log, base_offset: batch.base_offset };
        let header = BatchHeader::parse(&batch.bytes)?;
        let is_old = self.is_old(batch);
        if header.is_control() {
            let gone = is_old && Marker::of(&batch.bytes)? == Some(Marker::Commit);
            return Ok(gone.then_some(remove));
        }
        if self.is_aborted(&header, batch) {
            return Ok(Some(remove));
        }
        let mut kept = Vec::new();
        for record in Records::new(&header, &batch.bytes)? {
            let record = record?;
            let is_last = record.key().is_some_and(|key| {
                self.last.get(&key[..]).is_none_or(|&last| last <= record.offset)
            });
            if is_last && !(record.is_tombstone && is_old) {
                kept.push(record);
            }
        }
        if kept.is_empty() {
            return Ok(Some(remove));
        }
        if kept.len() == header.record_count as usize {
            return Ok(None);
        }
        Ok(Some(Change::Append { log, batch: header.keep(&kept)? }))
    }

    fn takes_part(&self, batch: &StoredBatch) -> bool {
        batch.last_offset < self.scope.end
    }

    /// Whether the tombstones and commit markers of a batch may be removed.
    fn is_old(&self, batch: &StoredBatch) -> bool {
        // A batch without timestamps has no age.
        batch.max_timestamp >= 0
            && self.scope.now.saturating_sub(batch.max_timestamp) >= self.scope.delete_retention
    }

    fn is_aborted(&self, header: &BatchHeader, batch: &StoredBatch) -> bool {
        header.is_transactional()
            && self.scope.aborted.iter().any(|aborted| {
                aborted.producer_id == header.producer_id
                    && (aborted.first_offset..=aborted.last_offset).contains(&batch.base_offset)
            })
    }
}
