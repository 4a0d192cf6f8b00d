//! The rules as plainly as they can be written: no index, no order of time, everything searched.

use models::Side;

/// A row: trip, side, time.
pub(crate) type ModelRow = (u8, Side, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Joined,
    Unmatched,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    pub(crate) trip: u8,
    /// By side.
    pub(crate) rows: [Option<i64>; 3],
    pub(crate) state: State,
}

impl ModelEntry {
    fn first(&self) -> i64 {
        self.rows.into_iter().flatten().min().unwrap()
    }

    fn fits(&self, time: i64, window: i64) -> bool {
        let times = self.rows.into_iter().flatten().chain([time]);
        times.clone().max().unwrap() - times.min().unwrap() <= window
    }
}

/// What the model says happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Joined(u8, [Option<i64>; 3]),
    Unmatched(u8, [Option<i64>; 3]),
    Late,
    Duplicate,
}

/// Rules 1, 3 and 5.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) window: i64,
    pub(crate) watermark: i64,
    pub(crate) entries: Vec<ModelEntry>,
}

impl Model {
    pub(crate) fn watermark(&mut self, watermark: i64) -> Vec<Event> {
        self.watermark = self.watermark.max(watermark);
        self.expire()
    }

    pub(crate) fn row(&mut self, (trip, side, time): ModelRow) -> Vec<Event> {
        let window = self.window;
        let fitting = |state, free| {
            let mut found: Vec<usize> = (0..self.entries.len())
                .filter(|index| {
                    let entry = &self.entries[*index];
                    entry.trip == trip
                        && entry.state == state
                        && entry.fits(time, window)
                        && entry.rows[side.index()].is_none() == free
                })
                .collect();
            found.sort_by_key(|index| {
                let entry = &self.entries[*index];
                (entry.rows.iter().flatten().count() < 2, entry.first())
            });
            found
        };
        let unmatched = [fitting(State::Unmatched, true), fitting(State::Unmatched, false)];
        if let Some(index) = fitting(State::Open, true).first() {
            let entry = &mut self.entries[*index];
            entry.rows[side.index()] = Some(time);
            if entry.rows.iter().flatten().count() == 3 {
                entry.state = State::Joined;
                return vec![Event::Joined(trip, entry.rows)];
            }
        } else if !fitting(State::Open, false).is_empty()
            || !fitting(State::Joined, false).is_empty()
        {
            return vec![Event::Duplicate];
        } else if unmatched.iter().any(|found| !found.is_empty()) || self.watermark > time + window
        {
            return vec![Event::Late];
        } else {
            let mut rows = [None; 3];
            rows[side.index()] = Some(time);
            self.entries.push(ModelEntry { trip, rows, state: State::Open });
        }
        self.expire()
    }

    fn expire(&mut self) -> Vec<Event> {
        let (window, watermark) = (self.window, self.watermark);
        let mut events = Vec::new();
        for entry in &mut self.entries {
            if entry.state == State::Open && watermark > entry.first() + window {
                entry.state = State::Unmatched;
                events.push(Event::Unmatched(entry.trip, entry.rows));
            }
        }
        self.entries
            .retain(|entry| entry.state == State::Open || watermark <= entry.first() + 2 * window);
        events.sort();
        events
    }
}

/// What a join without any notion of arrival gives, where each trip has at most one row a side:
/// whether all three are there and near enough.
pub(crate) fn joins_by_brute_force(rows: [Option<i64>; 3], window: i64) -> bool {
    let times: Vec<i64> = rows.into_iter().flatten().collect();
    times.len() == 3 && times.iter().max().unwrap() - times.iter().min().unwrap() <= window
}
