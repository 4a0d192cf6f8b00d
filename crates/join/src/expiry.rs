//! What is due next: open entries and marks in the order of their earliest row.
//!
//! Both deadlines of rule 5 are that row's time plus something fixed, so order by it is order by
//! deadline. Nothing here is ever searched through: an entry that completes takes itself out, and
//! what is due stands in front.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use models::EventTime;

use crate::entry::Slot;
use crate::index::TripKey;

/// The open entries. Few, and most leave again soon: a set that any of them can be taken out of.
#[derive(Debug, Default)]
pub(crate) struct OpenByTime(BTreeSet<(EventTime, Slot)>);

impl OpenByTime {
    pub(crate) fn insert(&mut self, first: EventTime, slot: Slot) {
        self.0.insert((first, slot));
    }

    pub(crate) fn remove(&mut self, first: EventTime, slot: Slot) {
        let was_there = self.0.remove(&(first, slot));
        debug_assert!(was_there, "an open entry stands under its earliest row");
    }

    pub(crate) fn oldest(&self) -> Option<(EventTime, Slot)> {
        self.0.first().copied()
    }
}

/// The marks. Many, and each stays until it is due: a heap, which is the smallest. Rows come in
/// about the order of time, and then putting one in costs next to nothing.
#[derive(Debug, Default)]
pub(crate) struct MarksByTime(BinaryHeap<Reverse<Due>>);

/// A mark: the earliest row of the entry that left it, and its trip.
///
/// Those of one moment are in the order of their trips' hashes, which a restored state has in common with the one that
/// it was.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) first: EventTime,
    pub(crate) tag: u64,
    pub(crate) trip: TripKey,
}

impl MarksByTime {
    pub(crate) fn insert(&mut self, due: Due) {
        self.0.push(Reverse(due));
    }

    /// Takes out the oldest mark if its earliest row was before `limit`.
    pub(crate) fn pop_before(&mut self, limit: EventTime) -> Option<Due> {
        self.0.peek().filter(|due| due.0.first < limit)?;
        self.pop()
    }

    /// Takes out the oldest mark.
    pub(crate) fn pop(&mut self) -> Option<Due> {
        self.0.pop().map(|due| due.0)
    }
}
