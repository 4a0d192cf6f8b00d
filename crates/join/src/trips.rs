//! All trips that a task knows of: their entries, by trip and by time, and which of them changed.

use models::{EventTime, TripId};

use crate::changes::{EntryState, TripRef, TripState};
use crate::entry::{
    ClosedAs, ClosedTrip, EntryChoice, OpenRow, OpenTrip, OpenTrips, Span, TripEntry, choose,
};
use crate::expiry::{ClosedByTime, ClosedDue, OpenByTime};
use crate::index::{KnownTrip, TripIndex, hash_of};
use crate::keys::{OpenKey, TripKey};
use crate::{JoinedRows, Row, RowPayload};

/// About how many bytes an entry takes besides its payloads and trip_id: in the index (which is half empty at times),
/// in the order of time, and for the trip_id's header.
const ENTRY_BYTES: usize = 160;

/// What changed since the last delta.
#[derive(Debug, Default)]
struct Changed {
    /// Trips whose `changed` is set. Keys of trips that are gone may be among them.
    there: Vec<TripKey>,
    /// Trips that are gone although no delta said how they had changed. They may have come back.
    gone: Vec<TripId>,
}

/// What became of a row.
#[derive(Debug)]
pub(crate) enum PlacedRow<P> {
    /// It opened an entry or took a side of one. The entry may have expired by that.
    Open,
    /// It completed a trip.
    Joined(JoinedRows<P>),
    /// Its side is taken.
    Duplicate(Row<P>),
    /// It comes too late.
    Late(Row<P>),
}

/// The entries of all trips.
#[derive(Debug)]
pub(crate) struct KnownTrips<P> {
    window_ms: i64,
    index: TripIndex,
    open: OpenTrips<P>,
    open_by_time: OpenByTime,
    closed_by_time: ClosedByTime,
    /// None if no changelog is written.
    changed: Option<Changed>,
    open_rows: usize,
    open_bytes: usize,
    closed_bytes: usize,
}

impl<P: RowPayload> KnownTrips<P> {
    pub(crate) fn new(window_ms: i64, changelog: bool) -> Self {
        Self {
            window_ms,
            index: TripIndex::default(),
            open: OpenTrips::new(),
            open_by_time: OpenByTime::default(),
            closed_by_time: ClosedByTime::default(),
            changed: changelog.then(Changed::default),
            open_rows: 0,
            open_bytes: 0,
            closed_bytes: 0,
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

    /// About how many bytes the open entries take.
    pub(crate) const fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// About how many bytes the closed entries take.
    pub(crate) const fn closed_bytes(&self) -> usize {
        self.closed_bytes
    }

    /// Rule 3: gives a row of a known time its place.
    pub(crate) fn place(
        &mut self,
        row: Row<P>,
        ts: EventTime,
        watermark: EventTime,
    ) -> PlacedRow<P> {
        let late = watermark > ts.plus_millis(self.window_ms);
        let hash = hash_of(&row.trip_id);
        let Some(key) = self.index.find(hash, &row.trip_id) else {
            if late {
                return PlacedRow::Late(row);
            }
            let key = self.index.insert(hash, row.trip_id.clone());
            self.open_entry(key, row, ts);
            return PlacedRow::Open;
        };
        let entries = self.index.get(key).entries.as_slice();
        match choose(entries, &self.open, row.side, ts, self.window_ms) {
            EntryChoice::Take(index, open_key) => self.take_side(key, index, open_key, row, ts),
            EntryChoice::Duplicate => PlacedRow::Duplicate(row),
            EntryChoice::Decided => PlacedRow::Late(row),
            EntryChoice::Fresh if late => PlacedRow::Late(row),
            EntryChoice::Fresh => {
                self.open_entry(key, row, ts);
                PlacedRow::Open
            }
        }
    }

    /// Decides the oldest open entry if `watermark` has passed its window (rule 5).
    pub(crate) fn pop_expired(&mut self, watermark: EventTime) -> Option<OpenTrip<P>> {
        let (first, open_key) = self.open_by_time.oldest()?;
        (watermark > first.plus_millis(self.window_ms)).then(|| self.close_unmatched(open_key))
    }

    /// Decides the oldest open entry whatever its time (rule 11).
    pub(crate) fn pop_oldest(&mut self) -> Option<OpenTrip<P>> {
        let (_, open_key) = self.open_by_time.oldest()?;
        Some(self.close_unmatched(open_key))
    }

    /// Drops the closed entries whose earliest row is two windows behind `watermark` (rule 5): any row that would fit
    /// them is late anyway.
    pub(crate) fn drop_closed(&mut self, watermark: EventTime) {
        let limit = watermark.plus_millis(-2 * self.window_ms);
        while let Some(due) = self.closed_by_time.pop_before(limit) {
            self.remove_closed(&due);
        }
    }

    /// Drops the oldest closed entry before its time (rule 11). False if there is none.
    pub(crate) fn forget_oldest_closed(&mut self) -> bool {
        // The heap of a restored task may still name entries that were dropped this way before.
        while let Some(due) = self.closed_by_time.pop() {
            if let Some(gone) = self.remove_closed(&due) {
                match gone {
                    // A restored task drops by itself what its watermark makes it drop. This it must be told.
                    Gone::Trip(id) => self.note_gone(id),
                    Gone::Entry => self.note(due.trip),
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
            // The key of a trip that is gone may be another trip's by now, which may be in the list itself.
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

    /// Gives the trip the entries in `state`, in place of those that it has. An open entry with other than one or two
    /// rows is an error: the number of its rows.
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
        let (key, known_closed) = match known {
            Some(key) => (key, self.clear(key)),
            None => (self.index.insert(hash, trip_id), Vec::new()),
        };
        for state in states {
            let entry = match state {
                EntryState::Open(rows) => TripEntry::Open(self.insert_open(key, rows)),
                EntryState::Joined(span) => {
                    TripEntry::Closed(ClosedTrip { span, closed_as: ClosedAs::Joined })
                }
                EntryState::Unmatched(span) => {
                    TripEntry::Closed(ClosedTrip { span, closed_as: ClosedAs::Unmatched })
                }
            };
            if let TripEntry::Closed(closed) = entry {
                self.closed_bytes += entry_bytes(&self.index.get(key).id);
                if !known_closed.contains(&closed) {
                    self.insert_closed(closed.span.first, key);
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

    fn insert_closed(&mut self, first: EventTime, key: TripKey) {
        let hash = hash_of(&self.index.get(key).id);
        self.closed_by_time.insert(ClosedDue { first, hash, trip: key });
    }

    fn open_entry(&mut self, key: TripKey, row: Row<P>, ts: EventTime) {
        let mut rows = [const { None }; 3];
        rows[row.side.index()] = Some(OpenRow { ts, payload: row.payload });
        let open_key = self.insert_open(key, rows);
        self.index.get_mut(key).entries.push(TripEntry::Open(open_key));
        self.note(key);
    }

    fn insert_open(&mut self, key: TripKey, rows: [Option<OpenRow<P>>; 3]) -> OpenKey {
        let mut times = rows.iter().flatten().map(|row| row.ts);
        let first = times.next().expect("an open entry has a row");
        let span = times.fold(Span::at(first), Span::with);
        self.open_rows += rows.iter().flatten().count();
        let trip_id = self.index.get(key).id.clone();
        let open = OpenTrip { trip_id, trip: key, span, rows };
        self.open_bytes += open_bytes(&open);
        let open_key = self.open.insert(open);
        self.open_by_time.insert(span.first, open_key);
        open_key
    }

    /// Puts a row into its free side of an open entry that it fits.
    fn take_side(
        &mut self,
        key: TripKey,
        index: usize,
        open_key: OpenKey,
        row: Row<P>,
        ts: EventTime,
    ) -> PlacedRow<P> {
        self.note(key);
        let open = self.open.get_mut(open_key);
        let before = open.span;
        open.span = before.with(ts);
        self.open_bytes += row.payload.size_bytes();
        open.rows[row.side.index()] = Some(OpenRow { ts, payload: row.payload });
        self.open_rows += 1;
        if open.sides() < 3 {
            let now_first = open.span.first;
            if now_first < before.first {
                self.open_by_time.remove(before.first, open_key);
                self.open_by_time.insert(now_first, open_key);
            }
            return PlacedRow::Open;
        }
        self.open_by_time.remove(before.first, open_key);
        let open = self.close(index, open_key, ClosedAs::Joined);
        let payloads = open.rows.map(|row| row.expect("all three are there").payload);
        PlacedRow::Joined(JoinedRows { trip_id: open.trip_id, ts: open.span.last, payloads })
    }

    fn close_unmatched(&mut self, open_key: OpenKey) -> OpenTrip<P> {
        let open = self.open.get(open_key);
        self.open_by_time.remove(open.span.first, open_key);
        let entries = self.index.get(open.trip).entries.as_slice();
        let index = entries.iter().position(|entry| *entry == TripEntry::Open(open_key));
        let index = index.expect("a trip knows its open entries");
        self.close(index, open_key, ClosedAs::Unmatched)
    }

    /// Replaces an open entry, which is no longer in the order of time, by what is kept of it.
    fn close(&mut self, index: usize, open_key: OpenKey, closed_as: ClosedAs) -> OpenTrip<P> {
        let open = self.open.remove(open_key);
        self.open_rows -= open.sides();
        self.open_bytes -= open_bytes(&open);
        self.closed_bytes += entry_bytes(&open.trip_id);
        self.insert_closed(open.span.first, open.trip);
        let trip = self.index.get_mut(open.trip);
        trip.entries[index] = TripEntry::Closed(ClosedTrip { span: open.span, closed_as });
        self.note(open.trip);
        open
    }

    /// Removes a closed entry, and with the last entry its trip. None if the entry is not there.
    fn remove_closed(&mut self, due: &ClosedDue) -> Option<Gone> {
        // The key may be another trip's by now. Removing that one's entry is right as well: it is as old, so it is due.
        let entries = self.index.at(due.trip)?.entries.as_slice();
        let is_it = |entry: &TripEntry| matches!(entry, TripEntry::Closed(closed) if closed.span.first == due.first);
        let index = entries.iter().position(is_it)?;
        let trip = self.index.get_mut(due.trip);
        self.closed_bytes -= entry_bytes(&trip.id);
        trip.entries.remove(index);
        // A last one is kept in place again.
        trip.entries.shrink_to_fit();
        if !trip.entries.as_slice().is_empty() {
            return Some(Gone::Entry);
        }
        let KnownTrip { id, changed, .. } = self.index.remove(due.trip);
        if changed {
            self.note_gone(id.clone());
        }
        Some(Gone::Trip(id))
    }

    /// Takes all entries from a trip. Gives its closed ones, which stay in the order of time.
    fn clear(&mut self, key: TripKey) -> Vec<ClosedTrip> {
        let entries = std::mem::take(&mut self.index.get_mut(key).entries);
        let mut closed_entries = Vec::new();
        for entry in entries.as_slice() {
            match entry {
                TripEntry::Open(open_key) => {
                    let open = self.open.remove(*open_key);
                    self.open_by_time.remove(open.span.first, *open_key);
                    self.open_rows -= open.sides();
                    self.open_bytes -= open_bytes(&open);
                }
                TripEntry::Closed(closed) => {
                    self.closed_bytes -= entry_bytes(&self.index.get(key).id);
                    closed_entries.push(*closed);
                }
            }
        }
        closed_entries
    }
}

/// What was removed.
enum Gone {
    /// One entry: its trip has others.
    Entry,
    /// The last entry, and its trip.
    Trip(TripId),
}

fn entry_bytes(trip_id: &TripId) -> usize {
    ENTRY_BYTES + trip_id.as_str().len()
}

fn open_bytes<P: RowPayload>(open: &OpenTrip<P>) -> usize {
    let payloads = open.rows.iter().flatten().map(|row| row.payload.size_bytes());
    size_of::<OpenTrip<P>>() + entry_bytes(&open.trip_id) + payloads.sum::<usize>()
}
