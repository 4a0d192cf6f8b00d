//! How many records may be on their way to Kafka, and who has room for how many.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size up to which a record counts as one.
pub(crate) const RECORD_UNIT_BYTES: usize = 1024;

/// The room for records that Kafka has not acknowledged yet. It bounds memory, and because a request takes all
/// its room before its first record is enqueued, no request is ever enqueued in part.
#[derive(Debug, Clone)]
pub(crate) struct Capacity {
    free: Arc<Semaphore>,
    total: u32,
}

/// Room that a request has taken. Given back when dropped.
pub(crate) type Room = OwnedSemaphorePermit;

/// The records that are on their way leave too little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_flight} of {total} records are on their way to Kafka; {wanted} more have no room")]
pub(crate) struct Full {
    wanted: u32,
    in_flight: u32,
    total: u32,
}

impl Capacity {
    pub(crate) fn new(total: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Takes room for `units` records at once, or for none.
    pub(crate) fn take(&self, units: u32) -> Result<Room, Full> {
        Arc::clone(&self.free).try_acquire_many_owned(units).map_err(|_| Full {
            wanted: units,
            in_flight: self.in_flight(),
            total: self.total,
        })
    }

    /// Waits for room for `units` records. They must be fewer than the total.
    pub(crate) async fn wait(&self, units: u32) -> Room {
        let taken = Arc::clone(&self.free).acquire_many_owned(units).await;
        taken.expect("the semaphore is never closed")
    }

    /// Room that is taken now.
    pub(crate) fn in_flight(&self) -> u32 {
        self.total
            - u32::try_from(self.free.available_permits()).unwrap_or(self.total).min(self.total)
    }
}

/// What a record of `bytes` counts as.
pub(crate) fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(RECORD_UNIT_BYTES).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_whole_or_not_at_all_and_comes_back() {
        let capacity = Capacity::new(10);
        let first = capacity.take(7).unwrap();
        let full = capacity.take(4).unwrap_err();
        assert_eq!(full, Full { wanted: 4, in_flight: 7, total: 10 });
        let second = capacity.take(3).unwrap();
        assert_eq!(capacity.in_flight(), 10);
        assert!(capacity.take(0).is_ok(), "nothing always fits");
        drop(first);
        drop(second);
        assert!(capacity.take(10).is_ok());
    }

    #[test]
    fn a_large_record_counts_for_each_unit_begun() {
        assert_eq!([0, 1, 1024, 1025, 65_536].map(units), [1, 1, 1, 2, 64]);
    }
}
