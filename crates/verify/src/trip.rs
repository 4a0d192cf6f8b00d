//! The rows of one trip: which output each input row is part of, and what that leaves.

use models::{EventTime, Side};

use crate::ledger::{Output, Progress, TripRows};
use crate::rows::{InputRow, JoinedRow, UnmatchedRow};
use crate::rules::Rules;
use crate::verdict::{Fate, Kind, Verdict};

/// How many rows that say the same are tried for one side of a joined row. A client that repeats a row more often
/// than this can make a right joined row look wrong, but can't make the checker run for ever.
const ALIKE: usize = 16;

pub(crate) struct Case<'l> {
    trip_id: &'l str,
    rows: &'l TripRows,
    rules: &'l Rules,
    progress: &'l Progress,
    /// The highest watermark that the trip's task has shown.
    watermark: Option<EventTime>,
    /// Of each input row, once it is known.
    fates: Vec<Option<Fate>>,
}

impl<'l> Case<'l> {
    pub(crate) fn new(
        trip_id: &'l str,
        rows: &'l TripRows,
        rules: &'l Rules,
        progress: &'l Progress,
        watermark: Option<EventTime>,
    ) -> Self {
        let fates = vec![None; rows.inputs.len()];
        Self { trip_id, rows, rules, progress, watermark, fates }
    }

    /// The row at `index` is on the rejects topic.
    pub(crate) fn set_rejected(&mut self, index: usize) {
        self.fates[index] = Some(Fate::Rejected);
    }

    pub(crate) fn decide(mut self, verdict: &mut Verdict) {
        for output in &self.rows.outputs {
            if let Output::Joined(row) = output {
                verdict.joined += 1;
                self.joined(row, verdict);
            }
        }
        for output in &self.rows.outputs {
            if let Output::Unmatched(row) = output {
                verdict.unmatched += 1;
                verdict.unmatched_sides += row.sides.iter().flatten().count() as u64;
                self.unmatched(row, verdict);
            }
        }
        self.missed_join(verdict);
        self.rest(verdict);
        for (row, fate) in self.rows.inputs.iter().zip(&self.fates) {
            let fate = fate.expect("every row has been given a fate");
            verdict.fates.add(row.side, fate);
            if fate == Fate::Waiting {
                let oldest = verdict.oldest_waiting.into_iter().chain(row.ts).min();
                verdict.oldest_waiting = oldest;
            }
        }
    }

    /// Finds the three rows that a joined row is made of, and says what is wrong with it.
    fn joined(&mut self, output: &JoinedRow, verdict: &mut Verdict) {
        let name = self.rules.joined(output.place);
        let alike =
            Side::ALL.map(|side| self.of(side, |row| row.joined == output.sides[side.index()]));
        for side in Side::ALL {
            if alike[side.index()].is_empty() {
                self.without_row(&name, side, Fate::Joined, verdict);
            }
        }
        let Some(parts) = self.best_combination(&alike, output.ts) else {
            // What there is of it is taken, so that one fault is not reported three times.
            for index in alike.iter().filter_map(|alike| alike.first()) {
                self.fates[*index].get_or_insert(Fate::Joined);
            }
            return;
        };
        for index in parts {
            if let Some(before) = self.fates[index] {
                let row = self.name(index);
                let before =
                    if before == Fate::Rejected { "rejected" } else { "part of a joined row" };
                let why = format!("{row} is part of {name}, but already {before}");
                verdict.offence(Kind::Twice, Some(self.trip_id), why);
            }
            self.fates[index] = Some(Fate::Joined);
        }
        self.check_times(&name, &parts, output.ts, verdict);
    }

    /// Of all ways to take one of the alike rows for each side: first one whose rows have no fate yet, then one
    /// within the window, then one with the output's timestamp.
    fn best_combination(
        &self,
        alike: &[Vec<usize>; 3],
        ts: Option<EventTime>,
    ) -> Option<[usize; 3]> {
        let [trips, drivers, riders] = alike;
        let all = trips.iter().flat_map(|&trip| {
            drivers
                .iter()
                .flat_map(move |&driver| riders.iter().map(move |&rider| [trip, driver, rider]))
        });
        all.max_by_key(|parts| {
            let free = parts.iter().filter(|index| self.fates[**index].is_none()).count();
            let span = self.span(parts);
            let within = span.is_some_and(|(first, last)| self.within(first, last));
            // Of equally good ones the first, which max_by_key would not give.
            let order = parts.map(std::cmp::Reverse);
            (free, within, span.map(|(_, last)| last) == ts, order)
        })
    }

    /// Finds the rows that an unmatched row is made of, and says what is wrong with it.
    fn unmatched(&mut self, output: &UnmatchedRow, verdict: &mut Verdict) {
        let name = self.rules.unmatched(output.place);
        let mut wrong = |what: &str| {
            verdict.offence(Kind::Wrong, Some(self.trip_id), format!("{name} {what}"));
        };
        match output.sides.iter().flatten().count() {
            0 => wrong("has no row at all"),
            3 => wrong("lacks no row"),
            _ => {}
        }
        if !output.names_what_is_missing {
            wrong("does not name the sides that are missing");
        }
        let mut parts = Vec::with_capacity(2);
        for side in Side::ALL {
            let Some(print) = output.sides[side.index()] else { continue };
            let alike = self.of(side, |row| row.whole == print);
            let free = alike.iter().find(|index| self.fates[**index].is_none());
            let Some(&index) = free.or(alike.first()) else {
                self.without_row(&name, side, Fate::Unmatched, verdict);
                continue;
            };
            if let Some(before) = self.fates[index] {
                let row = self.name(index);
                let before = match before {
                    Fate::Joined => "part of a joined row",
                    Fate::Rejected => "rejected",
                    _ => "part of an unmatched row",
                };
                let why = format!("{row} is part of {name}, but already {before}");
                verdict.offence(Kind::Twice, Some(self.trip_id), why);
            } else {
                self.fates[index] = Some(Fate::Unmatched);
            }
            parts.push(index);
        }
        self.check_times(&name, &parts, output.ts, verdict);
    }

    /// An output tells of a row that there is not. If there is another one, it is taken for it: one fault is enough.
    fn without_row(&mut self, name: &str, side: Side, fate: Fate, verdict: &mut Verdict) {
        let others = self.of(side, |_| true);
        let free = others.iter().copied().find(|index| self.fates[*index].is_none());
        match free.or(others.first().copied()) {
            Some(index) => {
                let row = self.name(index);
                let why = format!("{name}: its {side} side is not what {row} says");
                verdict.offence(Kind::Wrong, Some(self.trip_id), why);
                self.fates[index].get_or_insert(fate);
            }
            None if self.progress.inputs_cut => verdict.unjudged_outputs += 1,
            None => {
                let why = format!("{name} has a {side} side, but there is no {side} row");
                verdict.offence(Kind::Unaccounted, Some(self.trip_id), why);
            }
        }
    }

    /// The rows of an output lie within the window, and it has the timestamp of the last, if it has one of its own.
    fn check_times(
        &self,
        name: &str,
        parts: &[usize],
        ts: Option<EventTime>,
        verdict: &mut Verdict,
    ) {
        let Some((first, last)) = self.span(parts) else { return };
        if !self.within(first, last) {
            let apart = last.millis_since(first);
            let why = format!("{name}: its rows are {apart} ms apart, more than the window");
            verdict.offence(Kind::Wrong, Some(self.trip_id), why);
        }
        if ts.is_some_and(|ts| ts != last) {
            let why = format!("{name} does not have the timestamp of its last row");
            verdict.offence(Kind::Wrong, Some(self.trip_id), why);
        }
    }

    /// The brute force: a trip with exactly one row a side, none rejected, all within the window, is joined.
    ///
    /// With more than one row a side it depends on the order in which they came what is joined with what.
    fn missed_join(&mut self, verdict: &mut Verdict) {
        let mut parts = [0; 3];
        for side in Side::ALL {
            let rows = self.of(side, |_| true);
            let [index] = rows[..] else { return };
            parts[side.index()] = index;
        }
        let within = self.span(&parts).is_some_and(|(first, last)| self.within(first, last));
        let fates = parts.map(|index| self.fates[index]);
        let joined = fates.contains(&Some(Fate::Joined));
        let rejected = fates.contains(&Some(Fate::Rejected));
        let read = parts.iter().all(|index| self.is_read(*index));
        if !within || joined || rejected || !read {
            return;
        }
        if self.progress.outputs_cut {
            for index in parts {
                self.fates[index].get_or_insert(Fate::Unjudged);
            }
            return;
        }
        let rows = parts.map(|index| self.name(index)).join(", ");
        let instead =
            if fates.contains(&Some(Fate::Unmatched)) { " but decided unmatched" } else { "" };
        let why = format!("not joined{instead}, though its rows are within the window: {rows}");
        verdict.offence(Kind::Lost, Some(self.trip_id), why);
        for index in parts {
            self.fates[index].get_or_insert(Fate::Missing);
        }
    }

    /// The rows that are in no output.
    fn rest(&mut self, verdict: &mut Verdict) {
        for index in 0..self.fates.len() {
            if self.fates[index].is_some() {
                continue;
            }
            let fate = if !self.is_read(index) {
                Fate::Unread
            } else if self.has_taken_its_side(index) {
                Fate::Duplicate
            } else if self.progress.outputs_cut {
                Fate::Unjudged
            } else if let Some(why) = self.overdue(index) {
                let why = format!("{} is in no output, {why}", self.name(index));
                verdict.offence(Kind::Unaccounted, Some(self.trip_id), why);
                Fate::Missing
            } else {
                Fate::Waiting
            };
            self.fates[index] = Some(fate);
        }
    }

    /// Whether another row of the same side, near enough to be of the same entry, was decided in its place.
    fn has_taken_its_side(&self, index: usize) -> bool {
        let row = &self.rows.inputs[index];
        self.rows.inputs.iter().zip(&self.fates).any(|(other, fate)| {
            other.side == row.side
                && matches!(fate, Some(Fate::Joined | Fate::Unmatched))
                && matches!((row.ts, other.ts), (Some(a), Some(b)) if self.within(a.min(b), a.max(b)))
        })
    }

    /// Why the row must have been decided by now, if it must.
    fn overdue(&self, index: usize) -> Option<String> {
        let Some(ts) = self.rows.inputs[index].ts else {
            return Some("though it has no timestamp and should have been rejected".to_owned());
        };
        let passed = self.watermark?.millis_since(ts) - self.rules.window_ms();
        (passed > 0)
            .then(|| format!("though a watermark has passed the end of its window by {passed} ms"))
    }

    fn is_read(&self, index: usize) -> bool {
        let row = &self.rows.inputs[index];
        self.progress.is_read(row.side, row.place)
    }

    /// The first rows of `side` for which `wanted` holds.
    fn of(&self, side: Side, wanted: impl Fn(&InputRow) -> bool) -> Vec<usize> {
        let rows = self.rows.inputs.iter().enumerate();
        rows.filter(|(_, row)| row.side == side && wanted(row))
            .map(|(index, _)| index)
            .take(ALIKE)
            .collect()
    }

    /// The earliest and the latest timestamp of these rows; none if one of them has none.
    fn span(&self, parts: &[usize]) -> Option<(EventTime, EventTime)> {
        let times: Option<Vec<EventTime>> =
            parts.iter().map(|index| self.rows.inputs[*index].ts).collect();
        let times = times?;
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    fn within(&self, first: EventTime, last: EventTime) -> bool {
        last.millis_since(first) <= self.rules.window_ms()
    }

    fn name(&self, index: usize) -> String {
        let row = &self.rows.inputs[index];
        self.rules.input(row.side, row.place)
    }
}
