//! All trips that a task knows of: the entries, by trip and by time, and what changed in them.

use std::collections::hash_map;

use models::{EventTime, TripId};
use rustc_hash::FxHashMap;

use crate::delta::{EntryState, TripState};
use crate::entry::{
    Choice, Closed, Entries, Entry, Held, Open, Outcome, Slot, Slots, Span, choose,
};
use crate::expiry::{Due, MarksByTime, OpenByTime};
use crate::{Joined, Payload, Row};

/// What an entry takes besides its payloads and trip_id, about: its places in the map (which is
/// half empty at times) and in the order of time, and the trip_id's header.
const ENTRY_BYTES: usize = 160;

#[derive(Debug)]
struct Trip {
    entries: Entries,
    /// Whether it stands in the list of changed trips.
    changed: bool,
}

/// What became of a row.
#[derive(Debug)]
pub(crate) enum Placed<P> {
    /// It opened an entry or took a side of one. The entry may have become due by that.
    Held,
    /// It completed a trip.
    Joined(Joined<P>),
    /// Its side is taken.
    Duplicate(Row<P>),
    /// It comes too late.
    Late(Row<P>),
}

/// The entries of all trips.
#[derive(Debug)]
pub(crate) struct Trips<P> {
    window_ms: i64,
    by_id: FxHashMap<TripId, Trip>,
    open: Slots<P>,
    open_by_time: OpenByTime,
    marks_by_time: MarksByTime,
    /// The trips changed since they were last asked for; none if nobody asks.
    changed: Option<Vec<TripId>>,
    open_rows: usize,
    open_bytes: usize,
    mark_bytes: usize,
}

impl<P: Payload> Trips<P> {
    pub(crate) fn new(window_ms: i64, changelog: bool) -> Self {
        Self {
            window_ms,
            by_id: FxHashMap::default(),
            open: Slots::new(),
            open_by_time: OpenByTime::default(),
            marks_by_time: MarksByTime::default(),
            changed: changelog.then(Vec::new),
            open_rows: 0,
            open_bytes: 0,
            mark_bytes: 0,
        }
    }

    /// Rows in open entries.
    pub(crate) const fn open_rows(&self) -> usize {
        self.open_rows
    }

    /// Open entries.
    pub(crate) const fn open_entries(&self) -> usize {
        self.open.len()
    }

    /// What open entries take, about.
    pub(crate) const fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// What the marks of decided entries take, about.
    pub(crate) const fn mark_bytes(&self) -> usize {
        self.mark_bytes
    }

    /// Rule 3: gives a row of a known time its place.
    pub(crate) fn place(&mut self, row: Row<P>, ts: EventTime, watermark: EventTime) -> Placed<P> {
        let late = watermark > ts.plus_millis(self.window_ms);
        let Some(trip) = self.by_id.get_mut(&row.trip_id) else {
            if late {
                return Placed::Late(row);
            }
            let trip_id = row.trip_id.clone();
            let slot = self.open_entry(row, ts);
            let mut trip = Trip { entries: Entries::One(Entry::Open(slot)), changed: false };
            note(&mut self.changed, &mut trip, &trip_id);
            self.by_id.insert(trip_id, trip);
            return Placed::Held;
        };
        match choose(trip.entries.as_slice(), &self.open, row.side, ts, self.window_ms) {
            Choice::Take(index, slot) => {
                note(&mut self.changed, trip, &row.trip_id);
                self.take_side(index, slot, row, ts)
            }
            Choice::Duplicate => Placed::Duplicate(row),
            Choice::Decided => Placed::Late(row),
            Choice::Fresh if late => Placed::Late(row),
            Choice::Fresh => {
                let trip_id = row.trip_id.clone();
                note(&mut self.changed, trip, &trip_id);
                let slot = self.open_entry(row, ts);
                let trip = self.by_id.get_mut(&trip_id).expect("it was there a line ago");
                trip.entries.push(Entry::Open(slot));
                Placed::Held
            }
        }
    }

    /// Decides the oldest open entry if `watermark` has passed its window (rule 5).
    pub(crate) fn pop_expired(&mut self, watermark: EventTime) -> Option<Open<P>> {
        let (first, slot) = self.open_by_time.oldest()?;
        (watermark > first.plus_millis(self.window_ms)).then(|| self.close_unmatched(slot))
    }

    /// Decides the oldest open entry whatever its time (rule 11).
    pub(crate) fn pop_oldest(&mut self) -> Option<Open<P>> {
        let (_, slot) = self.open_by_time.oldest()?;
        Some(self.close_unmatched(slot))
    }

    /// Drops the marks that `watermark` has made pointless (rule 5): it passed their earliest row
    /// by two windows, and whatever would have fitted is late anyway.
    pub(crate) fn drop_marks(&mut self, watermark: EventTime) {
        let limit = watermark.plus_millis(-2 * self.window_ms);
        while let Some(due) = self.marks_by_time.pop_before(limit) {
            self.remove_mark(&due);
        }
    }

    /// Drops the oldest mark before its time. False if there is none.
    pub(crate) fn forget_oldest_mark(&mut self) -> bool {
        // A restored heap may still name marks that were forgotten before.
        while let Some(due) = self.marks_by_time.pop() {
            if self.remove_mark(&due) {
                if let Some(trip) = self.by_id.get_mut(&due.trip_id) {
                    note(&mut self.changed, trip, &due.trip_id);
                } else if let Some(changed) = &mut self.changed {
                    changed.push(due.trip_id);
                }
                return true;
            }
        }
        false
    }

    /// The trips changed since the last time, as they are now; none if changes aren't collected.
    pub(crate) fn take_changed(&mut self) -> Option<Vec<TripState<P>>> {
        let changed = self.changed.as_mut()?;
        let room = Vec::with_capacity(changed.len().min(1024));
        let mut changed = std::mem::replace(changed, room);
        // A trip that went and came back, or went twice, stands in the list more than once.
        let mut gone = Vec::new();
        let mut states = Vec::with_capacity(changed.len());
        for trip_id in changed.drain(..) {
            match self.by_id.get_mut(&trip_id) {
                Some(trip) if trip.changed => {
                    trip.changed = false;
                    states.push(state_of(trip_id, &trip.entries, &self.open));
                }
                Some(_) => {}
                None => gone.push(trip_id),
            }
        }
        gone.sort_unstable();
        gone.dedup();
        states.extend(gone.into_iter().map(|trip_id| TripState { trip_id, entries: Vec::new() }));
        Some(states)
    }

    /// All trips as they are now.
    pub(crate) fn states(&self) -> impl Iterator<Item = TripState<P>> {
        self.by_id.iter().map(|(id, trip)| state_of(id.clone(), &trip.entries, &self.open))
    }

    /// Nothing counts as changed any more.
    pub(crate) fn forget_changes(&mut self) {
        for trip_id in self.changed.iter_mut().flat_map(|changed| changed.drain(..)) {
            if let Some(trip) = self.by_id.get_mut(&trip_id) {
                trip.changed = false;
            }
        }
    }

    /// Makes the trip what `state` says. An open entry with other than one or two rows is an
    /// error: how many it has.
    pub(crate) fn replace(&mut self, state: TripState<P>) -> Result<(), usize> {
        let TripState { trip_id, entries: states } = state;
        let bad = states.iter().find_map(|state| match state {
            EntryState::Open(rows) => {
                Some(rows.iter().flatten().count()).filter(|rows| !(1..=2).contains(rows))
            }
            EntryState::Joined(_) | EntryState::Unmatched(_) => None,
        });
        if let Some(rows) = bad {
            return Err(rows);
        }
        let known_marks = self.remove_trip(&trip_id);
        let mut entries: Option<Entries> = None;
        for state in states {
            let entry = match state {
                EntryState::Open(rows) => Entry::Open(self.insert_open(trip_id.clone(), rows)),
                EntryState::Joined(span) => {
                    Entry::Closed(Closed { span, outcome: Outcome::Joined })
                }
                EntryState::Unmatched(span) => {
                    Entry::Closed(Closed { span, outcome: Outcome::Unmatched })
                }
            };
            if let Entry::Closed(mark) = entry {
                self.mark_bytes += entry_bytes(&trip_id);
                if !known_marks.contains(&mark) {
                    self.marks_by_time.insert(mark.span.first, trip_id.clone());
                }
            }
            match &mut entries {
                None => entries = Some(Entries::One(entry)),
                Some(entries) => entries.push(entry),
            }
        }
        if let Some(entries) = entries {
            self.by_id.insert(trip_id, Trip { entries, changed: false });
        }
        Ok(())
    }

    fn open_entry(&mut self, row: Row<P>, ts: EventTime) -> Slot {
        let mut rows = [const { None }; 3];
        rows[row.side.index()] = Some(Held { ts, payload: row.payload });
        self.insert_open(row.trip_id, rows)
    }

    fn insert_open(&mut self, trip_id: TripId, rows: [Option<Held<P>>; 3]) -> Slot {
        let mut times = rows.iter().flatten().map(|row| row.ts);
        let first = times.next().expect("an open entry has a row");
        let span = times.fold(Span::at(first), Span::with);
        self.open_rows += rows.iter().flatten().count();
        let open = Open { trip_id, span, rows };
        self.open_bytes += open_bytes(&open);
        let slot = self.open.insert(open);
        self.open_by_time.insert(span.first, slot);
        slot
    }

    /// Puts a row into its free side of an open entry that it fits.
    fn take_side(&mut self, index: usize, slot: Slot, row: Row<P>, ts: EventTime) -> Placed<P> {
        let open = self.open.get_mut(slot);
        let before = open.span;
        open.span = before.with(ts);
        self.open_bytes += row.payload.size_bytes();
        open.rows[row.side.index()] = Some(Held { ts, payload: row.payload });
        self.open_rows += 1;
        if open.sides() < 3 {
            let now_first = open.span.first;
            if now_first < before.first {
                self.open_by_time.remove(before.first, slot);
                self.open_by_time.insert(now_first, slot);
            }
            return Placed::Held;
        }
        self.open_by_time.remove(before.first, slot);
        let open = self.close(index, slot, Outcome::Joined);
        let payloads = open.rows.map(|row| row.expect("all three are there").payload);
        Placed::Joined(Joined { trip_id: open.trip_id, ts: open.span.last, payloads })
    }

    fn close_unmatched(&mut self, slot: Slot) -> Open<P> {
        let open = self.open.get(slot);
        self.open_by_time.remove(open.span.first, slot);
        let trip = self.by_id.get(&open.trip_id).expect("an open entry belongs to a trip");
        let index = trip.entries.as_slice().iter().position(|entry| *entry == Entry::Open(slot));
        let index = index.expect("a trip knows its open entries");
        self.close(index, slot, Outcome::Unmatched)
    }

    /// Replaces an open entry, already out of the order of time, by its mark.
    fn close(&mut self, index: usize, slot: Slot, outcome: Outcome) -> Open<P> {
        let open = self.open.remove(slot);
        self.open_rows -= open.sides();
        self.open_bytes -= open_bytes(&open);
        self.mark_bytes += entry_bytes(&open.trip_id);
        self.marks_by_time.insert(open.span.first, open.trip_id.clone());
        let trip = self.by_id.get_mut(&open.trip_id).expect("an open entry belongs to a trip");
        trip.entries.as_mut_slice()[index] = Entry::Closed(Closed { span: open.span, outcome });
        note(&mut self.changed, trip, &open.trip_id);
        open
    }

    /// Removes a mark; false if it is not there.
    fn remove_mark(&mut self, due: &Due) -> bool {
        let hash_map::Entry::Occupied(mut trip) = self.by_id.entry(due.trip_id.clone()) else {
            return false;
        };
        let entries = &mut trip.get_mut().entries;
        let index = entries
            .as_slice()
            .iter()
            .position(|entry| matches!(entry, Entry::Closed(mark) if mark.span.first == due.first));
        let Some(index) = index else { return false };
        if !entries.remove(index) {
            trip.remove();
        }
        self.mark_bytes -= entry_bytes(&due.trip_id);
        true
    }

    /// Removes a trip with all its entries and gives its marks, which stay in the order of time.
    fn remove_trip(&mut self, trip_id: &TripId) -> Vec<Closed> {
        let Some(trip) = self.by_id.remove(trip_id) else { return Vec::new() };
        let mut marks = Vec::new();
        for entry in trip.entries.as_slice() {
            match entry {
                Entry::Open(slot) => {
                    let open = self.open.remove(*slot);
                    self.open_by_time.remove(open.span.first, *slot);
                    self.open_rows -= open.sides();
                    self.open_bytes -= open_bytes(&open);
                }
                Entry::Closed(mark) => {
                    self.mark_bytes -= entry_bytes(trip_id);
                    marks.push(*mark);
                }
            }
        }
        marks
    }
}

/// Puts a trip on the list of the changed ones, once.
fn note(changed: &mut Option<Vec<TripId>>, trip: &mut Trip, trip_id: &TripId) {
    if let Some(changed) = changed
        && !trip.changed
    {
        trip.changed = true;
        changed.push(trip_id.clone());
    }
}

fn state_of<P: Payload>(trip_id: TripId, entries: &Entries, open: &Slots<P>) -> TripState<P> {
    let entries = entries.as_slice().iter().map(|entry| match entry {
        Entry::Open(slot) => EntryState::Open(open.get(*slot).rows.clone()),
        Entry::Closed(mark) => match mark.outcome {
            Outcome::Joined => EntryState::Joined(mark.span),
            Outcome::Unmatched => EntryState::Unmatched(mark.span),
        },
    });
    TripState { trip_id, entries: entries.collect() }
}

fn entry_bytes(trip_id: &TripId) -> usize {
    ENTRY_BYTES + trip_id.as_str().len()
}

fn open_bytes<P: Payload>(open: &Open<P>) -> usize {
    let payloads = open.rows.iter().flatten().map(|row| row.payload.size_bytes());
    size_of::<Open<P>>() + entry_bytes(&open.trip_id) + payloads.sum::<usize>()
}
