//! Counts rows and trips by their fate. Counts of a transaction are valid once it is committed.

use std::collections::HashMap;
use std::ops::AddAssign;

use join::UnmatchedReason;
use models::Side;

use crate::rejects::Reason;

/// Counts of one transaction, or of all since the process began. They do not contain what was restored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FateCounts {
    /// Rows that took their place in a trip, by side.
    pub(crate) taken: [u64; 3],
    /// Rows dropped because their place in the trip was taken, by side.
    pub(crate) duplicates: [u64; 3],
    /// Rows rejected, by side. A stray record of the repartition topic has no side, and is only in `rejects`.
    pub(crate) rejected: [u64; 3],
    /// Rows forwarded to their home task, by side. Each meets its fate there.
    pub(crate) forwarded: [u64; 3],
    /// Forwarded rows that have arrived at their home task.
    pub(crate) arrived: u64,
    /// Rejected rows by reason.
    pub(crate) rejects: HashMap<Reason, u64>,
    /// Trips joined.
    pub(crate) joined: u64,
    /// Trips decided incomplete, by reason, in the order of [`UNMATCHED`].
    pub(crate) unmatched: [u64; 2],
    /// Rows of those trips.
    pub(crate) unmatched_rows: u64,
}

/// Whether each row of our tasks has its fate (rule 2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Balance {
    /// Rows without a fate yet.
    pub(crate) open_rows: u64,
    /// Whether every other row has exactly one fate.
    pub(crate) is_balanced: bool,
}

/// The order of [`FateCounts::unmatched`].
pub(crate) const UNMATCHED: [UnmatchedReason; 2] =
    [UnmatchedReason::WindowExpired, UnmatchedReason::StateFull];

impl FateCounts {
    pub(crate) fn reject(&mut self, side: Option<Side>, reason: Reason) {
        if let Some(side) = side {
            self.rejected[side.index()] += 1;
        }
        *self.rejects.entry(reason).or_default() += 1;
    }

    pub(crate) fn unmatched(&mut self, reason: UnmatchedReason, rows: usize) {
        self.unmatched[usize::from(reason == UnmatchedReason::StateFull)] += 1;
        self.unmatched_rows += rows as u64;
    }

    /// Rows read from the inputs. A forwarded row counts where it was read, not where it arrived.
    pub(crate) fn rows_in(&self) -> u64 {
        let met_fate = sum(&self.taken) + sum(&self.duplicates) + sum(&self.rejected);
        met_fate + sum(&self.forwarded) - self.arrived
    }

    /// Rows rejected, for whatever reason.
    pub(crate) fn rejected_rows(&self) -> u64 {
        self.rejects.values().sum()
    }

    /// Duplicates of all sides.
    pub(crate) fn duplicate_rows(&self) -> u64 {
        sum(&self.duplicates)
    }

    /// Forwarded rows of all sides.
    pub(crate) fn forwarded_rows(&self) -> u64 {
        sum(&self.forwarded)
    }
}

fn sum(by_side: &[u64; 3]) -> u64 {
    by_side.iter().sum()
}

impl AddAssign<&FateCounts> for FateCounts {
    fn add_assign(&mut self, other: &FateCounts) {
        for (mine, theirs) in [
            (&mut self.taken, &other.taken),
            (&mut self.duplicates, &other.duplicates),
            (&mut self.rejected, &other.rejected),
            (&mut self.forwarded, &other.forwarded),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
        for (mine, theirs) in self.unmatched.iter_mut().zip(other.unmatched) {
            *mine += theirs;
        }
        for (&reason, count) in &other.rejects {
            *self.rejects.entry(reason).or_default() += count;
        }
        self.arrived += other.arrived;
        self.joined += other.joined;
        self.unmatched_rows += other.unmatched_rows;
    }
}
