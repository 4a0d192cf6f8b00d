//! Entries (rule 3): the rows of one trip that belong together, and the marks that they leave.

use models::{EventTime, Side, TripId};
use serde::{Deserialize, Serialize};
use slab::Slab;

use crate::index::TripKey;

/// The event times between the earliest and the latest row of an entry, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<P> {
    /// When it happened.
    pub ts: EventTime,
    /// What it carries.
    pub payload: P,
}

/// An entry that waits for the rest of its rows. It has one or two.
#[derive(Debug)]
pub(crate) struct Open<P> {
    pub(crate) trip_id: TripId,
    pub(crate) trip: TripKey,
    pub(crate) span: Span,
    pub(crate) rows: [Option<Held<P>>; 3],
}

impl<P> Open<P> {
    pub(crate) fn sides(&self) -> usize {
        self.rows.iter().flatten().count()
    }
}

/// How an entry was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Joined,
    Unmatched,
}

/// The mark that a decided entry leaves, so that stragglers are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
}

/// Where an open entry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

/// An entry of a trip. Open ones are large and few, marks small and many: so they live apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Open(Slot),
    Closed(Closed),
}

/// The entries of one trip, in the order in which they were opened. Nearly always there is one.
#[derive(Debug, Default)]
pub(crate) enum Entries {
    /// A trip that is about to get its first entry, or to go.
    #[default]
    None,
    One(Entry),
    Many(Vec<Entry>),
}

impl Entries {
    pub(crate) fn as_slice(&self) -> &[Entry] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Entry] {
        match self {
            Self::None => &mut [],
            Self::One(entry) => std::slice::from_mut(entry),
            Self::Many(entries) => entries,
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        match self {
            Self::None => *self = Self::One(entry),
            Self::One(first) => *self = Self::Many(vec![*first, entry]),
            Self::Many(entries) => entries.push(entry),
        }
    }

    /// Takes out the entry at `index`.
    pub(crate) fn remove(&mut self, index: usize) {
        match self {
            Self::None | Self::One(_) => *self = Self::None,
            Self::Many(entries) => {
                entries.remove(index);
                if let [last] = entries[..] {
                    *self = Self::One(last);
                }
            }
        }
    }
}

/// The open entries, each in a slot that is used again once it is free.
#[derive(Debug)]
pub(crate) struct Slots<P>(Slab<Open<P>>);

impl<P> Slots<P> {
    pub(crate) const fn new() -> Self {
        Self(Slab::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, open: Open<P>) -> Slot {
        Slot(u32::try_from(self.0.insert(open)).expect("fewer than 2^32 open entries"))
    }

    pub(crate) fn get(&self, slot: Slot) -> &Open<P> {
        &self.0[slot.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Open<P> {
        &mut self.0[slot.0 as usize]
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Open<P> {
        self.0.remove(slot.0 as usize)
    }
}

/// What rule 3 makes of a row, given the entries of its trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It takes its side in the entry at this index.
    Take(usize, Slot),
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
    entries: &[Entry],
    open: &Slots<P>,
    side: Side,
    ts: EventTime,
    window_ms: i64,
) -> Choice {
    let mut best: Option<(usize, EventTime, Choice)> = None;
    let mut otherwise = Choice::Fresh;
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Open(slot) => {
                let entry = open.get(*slot);
                if !entry.span.fits(ts, window_ms) {
                    continue;
                }
                if entry.rows[side.index()].is_some() {
                    otherwise = Choice::Duplicate;
                    continue;
                }
                let (missing, first) = (3 - entry.sides(), entry.span.first);
                if best.is_none_or(|(other, since, _)| (missing, first) < (other, since)) {
                    best = Some((missing, first, Choice::Take(index, *slot)));
                }
            }
            Entry::Closed(mark) if mark.span.fits(ts, window_ms) => match mark.outcome {
                Outcome::Joined => otherwise = Choice::Duplicate,
                Outcome::Unmatched if otherwise == Choice::Fresh => otherwise = Choice::Decided,
                Outcome::Unmatched => {}
            },
            Entry::Closed(_) => {}
        }
    }
    best.map_or(otherwise, |(_, _, choice)| choice)
}
