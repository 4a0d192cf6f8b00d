//! All trips that a task knows of: the entries, by trip and by time, and what changed in them.

use models::{EventTime, TripId};

use crate::delta::{EntryState, TripRef, TripState};
use crate::entry::{
    Choice, Closed, Entries, Entry, Held, Open, Outcome, Slot, Slots, Span, choose,
};
use crate::expiry::{Due, MarksByTime, OpenByTime};
use crate::index::{Index, Trip, TripKey, hash_of};
use crate::{Joined, Payload, Row};

/// What an entry takes besides its payloads and trip_id, about: its places in the index (which is
/// half empty at times) and in the order of time, and the trip_id's header.
const ENTRY_BYTES: usize = 160;

/// What changed since it was last asked for.
#[derive(Debug, Default)]
struct Changed {
    /// Trips that are marked as changed; and, left over, places of trips that are gone.
    there: Vec<TripKey>,
    /// Trips that are gone before anybody was told of what they were. They may have come back.
    gone: Vec<TripId>,
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
    index: Index,
    open: Slots<P>,
    open_by_time: OpenByTime,
    marks_by_time: MarksByTime,
    /// None if nobody asks.
    changed: Option<Changed>,
    open_rows: usize,
    open_bytes: usize,
    mark_bytes: usize,
}

impl<P: Payload> Trips<P> {
    pub(crate) fn new(window_ms: i64, changelog: bool) -> Self {
        Self {
            window_ms,
            index: Index::default(),
            open: Slots::new(),
            open_by_time: OpenByTime::default(),
            marks_by_time: MarksByTime::default(),
            changed: changelog.then(Changed::default),
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
    pub(crate) fn open_entries(&self) -> usize {
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
        let hash = hash_of(&row.trip_id);
        let Some(key) = self.index.find(hash, &row.trip_id) else {
            if late {
                return Placed::Late(row);
            }
            let key = self.index.insert(hash, row.trip_id.clone(), Entries::None);
            self.open_entry(key, row, ts);
            return Placed::Held;
        };
        let entries = self.index.get(key).entries.as_slice();
        match choose(entries, &self.open, row.side, ts, self.window_ms) {
            Choice::Take(index, slot) => self.take_side(key, index, slot, row, ts),
            Choice::Duplicate => Placed::Duplicate(row),
            Choice::Decided => Placed::Late(row),
            Choice::Fresh if late => Placed::Late(row),
            Choice::Fresh => {
                self.open_entry(key, row, ts);
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
            if let Some(gone) = self.remove_mark(&due) {
                match gone {
                    // The watermark takes marks away in a restored state as well, but not this one.
                    Gone::Trip(id) => self.note_gone(id),
                    Gone::Mark => self.note(due.trip),
                }
                return true;
            }
        }
        false
    }

    /// Passes the trips changed since the last time to `with`, as they are now. False if changes aren't collected.
    pub(crate) fn drain_changed(&mut self, mut with: impl FnMut(TripRef<'_, P>)) -> bool {
        let Some(changed) = &mut self.changed else { return false };
        for key in changed.there.drain(..) {
            // Another trip may have taken the place of one that is gone, and stand in the list itself.
            if self.index.at(key).is_some_and(|trip| trip.changed) {
                let trip = self.index.get_mut(key);
                trip.changed = false;
                with(TripRef::new(&trip.id, trip.entries.as_slice(), &self.open));
            }
        }
        changed.gone.sort_unstable();
        changed.gone.dedup();
        for id in changed.gone.drain(..) {
            if self.index.find(hash_of(&id), &id).is_none() {
                with(TripRef::new(&id, &[], &self.open));
            }
        }
        true
    }

    /// All trips as they are now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TripRef<'_, P>> {
        let trips = self.index.iter();
        trips.map(|trip| TripRef::new(&trip.id, trip.entries.as_slice(), &self.open))
    }

    /// Nothing counts as changed any more.
    pub(crate) fn forget_changes(&mut self) {
        self.drain_changed(|_| {});
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
        let hash = hash_of(&trip_id);
        let known = self.index.find(hash, &trip_id);
        if states.is_empty() {
            if let Some(key) = known {
                self.clear(key);
                self.index.remove(key);
            }
            return Ok(());
        }
        let (key, known_marks) = match known {
            Some(key) => (key, self.clear(key)),
            None => (self.index.insert(hash, trip_id, Entries::None), Vec::new()),
        };
        for state in states {
            let entry = match state {
                EntryState::Open(rows) => Entry::Open(self.insert_open(key, rows)),
                EntryState::Joined(span) => {
                    Entry::Closed(Closed { span, outcome: Outcome::Joined })
                }
                EntryState::Unmatched(span) => {
                    Entry::Closed(Closed { span, outcome: Outcome::Unmatched })
                }
            };
            if let Entry::Closed(mark) = entry {
                self.mark_bytes += entry_bytes(&self.index.get(key).id);
                if !known_marks.contains(&mark) {
                    self.insert_mark(mark.span.first, key);
                }
            }
            self.index.get_mut(key).entries.push(entry);
        }
        Ok(())
    }

    /// Puts a trip on the list of the changed ones, once.
    fn note(&mut self, key: TripKey) {
        let trip = self.index.get_mut(key);
        if let Some(changed) = &mut self.changed
            && !trip.changed
        {
            trip.changed = true;
            changed.there.push(key);
        }
    }

    fn note_gone(&mut self, id: TripId) {
        if let Some(changed) = &mut self.changed {
            changed.gone.push(id);
        }
    }

    fn insert_mark(&mut self, first: EventTime, key: TripKey) {
        let tag = hash_of(&self.index.get(key).id);
        self.marks_by_time.insert(Due { first, tag, trip: key });
    }

    fn open_entry(&mut self, key: TripKey, row: Row<P>, ts: EventTime) {
        let mut rows = [const { None }; 3];
        rows[row.side.index()] = Some(Held { ts, payload: row.payload });
        let slot = self.insert_open(key, rows);
        self.index.get_mut(key).entries.push(Entry::Open(slot));
        self.note(key);
    }

    fn insert_open(&mut self, key: TripKey, rows: [Option<Held<P>>; 3]) -> Slot {
        let mut times = rows.iter().flatten().map(|row| row.ts);
        let first = times.next().expect("an open entry has a row");
        let span = times.fold(Span::at(first), Span::with);
        self.open_rows += rows.iter().flatten().count();
        let trip_id = self.index.get(key).id.clone();
        let open = Open { trip_id, trip: key, span, rows };
        self.open_bytes += open_bytes(&open);
        let slot = self.open.insert(open);
        self.open_by_time.insert(span.first, slot);
        slot
    }

    /// Puts a row into its free side of an open entry that it fits.
    fn take_side(
        &mut self,
        key: TripKey,
        index: usize,
        slot: Slot,
        row: Row<P>,
        ts: EventTime,
    ) -> Placed<P> {
        self.note(key);
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
        let entries = self.index.get(open.trip).entries.as_slice();
        let index = entries.iter().position(|entry| *entry == Entry::Open(slot));
        let index = index.expect("a trip knows its open entries");
        self.close(index, slot, Outcome::Unmatched)
    }

    /// Replaces an open entry, already out of the order of time, by its mark.
    fn close(&mut self, index: usize, slot: Slot, outcome: Outcome) -> Open<P> {
        let open = self.open.remove(slot);
        self.open_rows -= open.sides();
        self.open_bytes -= open_bytes(&open);
        self.mark_bytes += entry_bytes(&open.trip_id);
        self.insert_mark(open.span.first, open.trip);
        let trip = self.index.get_mut(open.trip);
        trip.entries.as_mut_slice()[index] = Entry::Closed(Closed { span: open.span, outcome });
        self.note(open.trip);
        open
    }

    /// Removes a mark, and its trip with the last one; none if it is not there.
    fn remove_mark(&mut self, due: &Due) -> Option<Gone> {
        // Its place may be another trip's by now. Then that one's marks are as good as it is: just as old.
        let entries = self.index.at(due.trip)?.entries.as_slice();
        let is_it =
            |entry: &Entry| matches!(entry, Entry::Closed(mark) if mark.span.first == due.first);
        let index = entries.iter().position(is_it)?;
        let trip = self.index.get_mut(due.trip);
        self.mark_bytes -= entry_bytes(&trip.id);
        trip.entries.remove(index);
        if !trip.entries.as_slice().is_empty() {
            return Some(Gone::Mark);
        }
        let Trip { id, changed, .. } = self.index.remove(due.trip);
        if changed {
            self.note_gone(id.clone());
        }
        Some(Gone::Trip(id))
    }

    /// Takes all entries from a trip and gives its marks, which stay in the order of time.
    fn clear(&mut self, key: TripKey) -> Vec<Closed> {
        let entries = std::mem::take(&mut self.index.get_mut(key).entries);
        let mut marks = Vec::new();
        for entry in entries.as_slice() {
            match entry {
                Entry::Open(slot) => {
                    let open = self.open.remove(*slot);
                    self.open_by_time.remove(open.span.first, *slot);
                    self.open_rows -= open.sides();
                    self.open_bytes -= open_bytes(&open);
                }
                Entry::Closed(mark) => {
                    self.mark_bytes -= entry_bytes(&self.index.get(key).id);
                    marks.push(*mark);
                }
            }
        }
        marks
    }
}

/// What went with a mark.
enum Gone {
    /// Nothing else: its trip has other entries.
    Mark,
    /// Its trip.
    Trip(TripId),
}

fn entry_bytes(trip_id: &TripId) -> usize {
    ENTRY_BYTES + trip_id.as_str().len()
}

fn open_bytes<P: Payload>(open: &Open<P>) -> usize {
    let payloads = open.rows.iter().flatten().map(|row| row.payload.size_bytes());
    size_of::<Open<P>>() + entry_bytes(&open.trip_id) + payloads.sum::<usize>()
}
