//! Retention by age and size (Kafka's `UnifiedLog.deleteOldSegments`), and the range that compaction may change (its
//! `LogCleanerManager.cleanableOffsets`).

use crate::clock::Millis;
use crate::storage::BatchOutline;

/// The retention settings of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// `retention.ms`. `None` stands for -1.
    pub(crate) ms: Option<Millis>,
    /// `retention.bytes`. `None` stands for -1.
    pub(crate) bytes: Option<u64>,
}

/// The new start offset of the log with these batches, if some must be deleted.
///
/// A batch is deleted if all its records are older than `retention.ms`, or if the batches after it have
/// `retention.bytes` or more. Deletion stops at the first batch that stays. A batch without timestamps has no age. Only
/// whole batches below the last stable offset are deleted.
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

/// The end offset of compaction: the last stable offset, or the first batch with a record that is younger than
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
