//! How long and how much is kept (Kafka's `UnifiedLog.deleteOldSegments`), and what is left alone by compaction (its
//! `LogCleanerManager.cleanableOffsets`).

use crate::clock::Millis;
use crate::storage::BatchOutline;

/// What a topic says about the age and the size of its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// `retention.ms`, None standing for -1.
    pub(crate) ms: Option<Millis>,
    /// `retention.bytes`, None standing for -1.
    pub(crate) bytes: Option<u64>,
}

/// The offset that the log with these batches is to start at, if some are to go.
///
/// The oldest batches go while all of their records are older than `retention.ms`, or while what is behind them is
/// `retention.bytes` or more. A batch without timestamps has no age. Batches go whole, and never one that isn't below
/// the last stable offset.
pub(crate) fn retained_from(
    outline: &[BatchOutline],
    retention: Retention,
    stable_offset: i64,
    now: Millis,
) -> Option<i64> {
    let mut behind: u64 = outline.iter().map(|batch| batch.size).sum();
    let gone = outline.iter().take_while(|batch| {
        behind -= batch.size;
        let expired = batch.max_timestamp >= 0
            && retention.ms.is_some_and(|ms| now.saturating_sub(batch.max_timestamp) > ms);
        let too_much = retention.bytes.is_some_and(|bytes| behind >= bytes);
        (expired || too_much) && batch.last_offset < stable_offset
    });
    gone.last().map(|batch| batch.last_offset + 1)
}

/// Where compaction ends: at the last stable offset, or at the first batch with a record that is younger than
/// `min.compaction.lag.ms`.
pub(crate) fn cleanable_end(
    outline: &[BatchOutline],
    stable_offset: i64,
    min_lag: Millis,
    now: Millis,
) -> i64 {
    let is_young =
        |batch: &&BatchOutline| min_lag > 0 && batch.max_timestamp > now.saturating_sub(min_lag);
    let young = outline.iter().find(is_young);
    young.map_or(stable_offset, |batch| batch.base_offset.min(stable_offset))
}
