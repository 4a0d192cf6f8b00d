//! Compaction as Kafka's `Cleaner` does it: of each key the last record stays.
//!
//! - Offsets stay what they are, and so does what a batch says of its producer. A batch that nothing is left of goes;
//!   what is remembered of its producer is kept elsewhere.
//! - The records of aborted transactions go. So does the marker of a commit when it is older than
//!   `delete.retention.ms`; that of an abort stays, because a consumer that was told of the aborted transaction skips
//!   the producer's records until it comes to the marker.
//! - A tombstone goes when its batch is older than `delete.retention.ms` by its largest timestamp. Kafka counts from the
//!   first cleaning that sees it, and writes that time into the batch (KIP-534); without that, a tombstone of long ago
//!   goes at once.
//! - The last batch of a log is left alone, as Kafka leaves the active segment: the log's end is known by it.

use std::collections::HashMap;

use crate::batch::{BatchHeader, InvalidBatch, Marker, Records};
use crate::clock::Millis;
use crate::log::AbortedTransaction;
use crate::storage::{Change, LogId, StoredBatch};

/// What of a log is to be compacted, and when.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'a> {
    /// Only batches before this offset take part: see [`cleanable_end`](super::cleanable_end).
    pub(crate) end: i64,
    /// The offset behind the last batch of the log.
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
    /// Begins with the first pass.
    pub(crate) fn new(scope: Scope<'a>) -> Self {
        Self { scope, last: HashMap::new() }
    }

    /// First pass, in the order of the log: notes where the last record of each key is.
    pub(crate) fn scan(&mut self, batch: &StoredBatch) -> Result<(), InvalidBatch> {
        let header = BatchHeader::parse(&batch.bytes)?;
        if !self.takes_part(batch) || header.is_control() || self.is_aborted(&header, batch) {
            return Ok(());
        }
        for record in Records::new(&header, &batch.bytes)? {
            let record = record?;
            if let Some(key) = record.key() {
                // Not the slice: that would keep its whole batch in memory.
                self.last.insert(Box::from(&key[..]), record.offset);
            }
        }
        Ok(())
    }

    /// Second pass: what is to be done with a batch, if anything. Changes are to be written in the order of the log,
    /// so that no tombstone goes before what it deletes.
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

    /// Whether what only says that something is no longer there may go.
    fn is_old(&self, batch: &StoredBatch) -> bool {
        // Without timestamps it has no age.
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
