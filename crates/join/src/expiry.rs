//! What is due next: open and closed entries in the order of their earliest row.
//!
//! Both deadlines of rule 5 are that row's time plus something fixed, so order by it is order by
//! deadline. Nothing here is ever searched through: an entry that completes takes itself out, and
//! what is due stands in front.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use models::EventTime;

use crate::keys::{OpenKey, TripKey};

/// The open entries. There are few, and most leave again soon: so a set, from which any of them can be taken out.
#[derive(Debug, Default)]
pub(crate) struct OpenByTime(BTreeSet<(EventTime, OpenKey)>);

impl OpenByTime {
    pub(crate) fn insert(&mut self, first: EventTime, key: OpenKey) {
        self.0.insert((first, key));
    }

    pub(crate) fn remove(&mut self, first: EventTime, key: OpenKey) {
        let was_there = self.0.remove(&(first, key));
        debug_assert!(was_there, "an open entry stands under its earliest row");
    }

    pub(crate) fn oldest(&self) -> Option<(EventTime, OpenKey)> {
        self.0.first().copied()
    }
}

/// The closed entries. There are many, and each stays until it is due: so a heap, which takes the least memory. Rows
/// come in about the order of time, and then an insertion costs next to nothing.
#[derive(Debug, Default)]
pub(crate) struct ClosedByTime(BinaryHeap<Reverse<ClosedDue>>);

/// A closed entry: the time of its earliest row, and its trip.
///
/// Entries of the same time are in the order of their trips' hashes. That order is the same in a restored task, the
/// order of the keys is not.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClosedDue {
    pub(crate) first: EventTime,
    pub(crate) hash: u64,
    pub(crate) trip: TripKey,
}

impl ClosedByTime {
    pub(crate) fn insert(&mut self, due: ClosedDue) {
        self.0.push(Reverse(due));
    }

    /// Takes out the oldest closed entry if its earliest row was before `limit`.
    pub(crate) fn pop_before(&mut self, limit: EventTime) -> Option<ClosedDue> {
        self.0.peek().filter(|due| due.0.first < limit)?;
        self.pop()
    }

    /// Takes out the oldest closed entry.
    pub(crate) fn pop(&mut self) -> Option<ClosedDue> {
        self.0.pop().map(|due| due.0)
    }
}
