//! Rules 1, 3 and 5: which entry a row goes to, and what becomes of it. Everything is searched.

use models::Side;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Open,
    Joined,
    Unmatched,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ModelEntry {
    pub(crate) trip: u8,
    pub(crate) state: State,
    /// By side: time and what the row carries.
    pub(crate) rows: [Option<(i64, String)>; 3],
}

impl ModelEntry {
    fn times(&self) -> impl Iterator<Item = i64> {
        self.rows.iter().flatten().map(|(time, _)| *time)
    }

    pub(crate) fn first(&self) -> i64 {
        self.times().min().unwrap()
    }

    pub(crate) fn last(&self) -> i64 {
        self.times().max().unwrap()
    }

    fn fits(&self, time: i64, window: i64) -> bool {
        self.last().max(time) - self.first().min(time) <= window
    }
}

/// What the rules make of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    Held,
    Joined(usize),
    Duplicate,
    Late,
}

/// All entries of all trips, in no order.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries(pub(super) Vec<ModelEntry>);

impl Entries {
    /// Rule 3, in its order: an open entry with its side free, a taken side, an unmatched entry, too late for any, a new
    /// entry. Of several free ones that which the row completes, else that which expires first.
    pub(super) fn place(
        &mut self,
        trip: u8,
        side: Side,
        row: (i64, String),
        window: i64,
        watermark: Option<i64>,
    ) -> Placed {
        let time = row.0;
        let fitting: Vec<usize> = (0..self.0.len())
            .filter(|index| self.0[*index].trip == trip && self.0[*index].fits(time, window))
            .collect();
        let is_free = |index: &usize| {
            let entry = &self.0[*index];
            entry.state == State::Open && entry.rows[side.index()].is_none()
        };
        let is = |state: State| fitting.iter().any(|index| self.0[*index].state == state);
        let missing = |index: usize| self.0[index].rows.iter().filter(|row| row.is_none()).count();
        let free = fitting.iter().copied().filter(is_free);
        let Some(chosen) = free.min_by_key(|index| (missing(*index), self.0[*index].first()))
        else {
            if is(State::Open) || is(State::Joined) {
                return Placed::Duplicate;
            }
            if is(State::Unmatched) || watermark.is_some_and(|watermark| watermark > time + window)
            {
                return Placed::Late;
            }
            let mut rows = [const { None }; 3];
            rows[side.index()] = Some(row);
            self.0.push(ModelEntry { trip, state: State::Open, rows });
            return Placed::Held;
        };
        self.0[chosen].rows[side.index()] = Some(row);
        if missing_of(&self.0[chosen]) > 0 {
            return Placed::Held;
        }
        self.0[chosen].state = State::Joined;
        Placed::Joined(chosen)
    }

    /// Rule 5: the open entries that the watermark has passed become unmatched; closed entries two windows behind it are dropped.
    pub(super) fn expire(&mut self, window: i64, watermark: i64) -> Vec<ModelEntry> {
        let mut expired = Vec::new();
        for entry in &mut self.0 {
            if entry.state == State::Open && watermark > entry.first() + window {
                entry.state = State::Unmatched;
                expired.push(entry.clone());
            }
        }
        self.0
            .retain(|entry| entry.state == State::Open || watermark <= entry.first() + 2 * window);
        expired
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &ModelEntry> {
        self.0.iter().filter(|entry| entry.state == State::Open)
    }
}

fn missing_of(entry: &ModelEntry) -> usize {
    entry.rows.iter().filter(|row| row.is_none()).count()
}
