//! Entries (rule 3): the rows of one trip that belong together, and what is kept of them once they are decided.

use models::{EventTime, Side, TripId};
use slab::Slab;
use smallvec::SmallVec;

use crate::keys::{OpenKey, TripKey};

/// The event times between the earliest and the latest row of an entry, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The earliest.
    pub first: EventTime,
    /// The latest.
    pub last: EventTime,
}

impl Span {
    pub(crate) const fn at(ts: EventTime) -> Self {
        Self { first: ts, last: ts }
    }

    pub(crate) fn with(self, ts: EventTime) -> Self {
        Self { first: self.first.min(ts), last: self.last.max(ts) }
    }

    /// Rule 3's *fits*: with a row at `ts` the span stays within the window.
    pub(crate) fn fits(self, ts: EventTime, window_ms: i64) -> bool {
        let span = self.with(ts);
        span.last.millis_since(span.first) <= window_ms
    }
}

/// A row in an open entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRow<P> {
    /// When it happened.
    pub ts: EventTime,
    /// What it carries.
    pub payload: P,
}

/// An entry that waits for the rest of its rows. It has one or two.
#[derive(Debug)]
pub(crate) struct OpenTrip<P> {
    pub(crate) trip_id: TripId,
    pub(crate) trip: TripKey,
    pub(crate) span: Span,
    pub(crate) rows: [Option<OpenRow<P>>; 3],
}

impl<P> OpenTrip<P> {
    pub(crate) fn sides(&self) -> usize {
        self.rows.iter().flatten().count()
    }
}

/// How an entry was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosedAs {
    Joined,
    Unmatched,
}

/// What is kept of a decided entry, so that its stragglers are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedTrip {
    pub(crate) span: Span,
    pub(crate) closed_as: ClosedAs,
}

/// An entry of a trip. Open ones are large and few, closed ones are small and many: so the open ones are kept
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TripEntry {
    Open(OpenKey),
    Closed(ClosedTrip),
}

/// The entries of one trip, in the order in which they were opened. Nearly always there is one, which is kept in place.
pub(crate) type TripEntries = SmallVec<[TripEntry; 1]>;

/// The open entries. The place of one that is taken out is used again.
#[derive(Debug)]
pub(crate) struct OpenTrips<P>(Slab<OpenTrip<P>>);

impl<P> OpenTrips<P> {
    pub(crate) const fn new() -> Self {
        Self(Slab::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, open: OpenTrip<P>) -> OpenKey {
        OpenKey(u32::try_from(self.0.insert(open)).expect("fewer than 2^32 open entries"))
    }

    pub(crate) fn get(&self, key: OpenKey) -> &OpenTrip<P> {
        &self.0[key.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, key: OpenKey) -> &mut OpenTrip<P> {
        &mut self.0[key.0 as usize]
    }

    pub(crate) fn remove(&mut self, key: OpenKey) -> OpenTrip<P> {
        self.0.remove(key.0 as usize)
    }
}

/// What rule 3 makes of a row, given the entries of its trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryChoice {
    /// It takes its side in the entry at this index.
    Take(usize, OpenKey),
    /// Its side is taken in an entry that it fits.
    Duplicate,
    /// It fits an entry that was decided without it.
    Decided,
    /// It fits none.
    Fresh,
}

/// Rule 3 for a row at `ts`. Where several open entries have its side free, it takes the one that
/// it completes, else the one that expires first: that joins the most.
pub(crate) fn choose<P>(
    entries: &[TripEntry],
    open: &OpenTrips<P>,
    side: Side,
    ts: EventTime,
    window_ms: i64,
) -> EntryChoice {
    let mut best: Option<(usize, EventTime, EntryChoice)> = None;
    let mut otherwise = EntryChoice::Fresh;
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            TripEntry::Open(key) => {
                let entry = open.get(*key);
                if !entry.span.fits(ts, window_ms) {
                    continue;
                }
                if entry.rows[side.index()].is_some() {
                    otherwise = EntryChoice::Duplicate;
                    continue;
                }
                let (missing, first) = (3 - entry.sides(), entry.span.first);
                if best.is_none_or(|(other, since, _)| (missing, first) < (other, since)) {
                    best = Some((missing, first, EntryChoice::Take(index, *key)));
                }
            }
            TripEntry::Closed(closed) if closed.span.fits(ts, window_ms) => {
                match closed.closed_as {
                    ClosedAs::Joined => otherwise = EntryChoice::Duplicate,
                    ClosedAs::Unmatched if otherwise == EntryChoice::Fresh => {
                        otherwise = EntryChoice::Decided;
                    }
                    ClosedAs::Unmatched => {}
                }
            }
            TripEntry::Closed(_) => {}
        }
    }
    best.map_or(otherwise, |(_, _, choice)| choice)
}
