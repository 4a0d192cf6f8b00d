//! The checker: rows in, verdict out. The rules of the join as seen from outside.
//!
//! It does not run the join again, whose result may depend on the order in which rows came. It checks what must
//! hold whatever the order was.

use kafka::partitioner::partition_for;
use models::{EventTime, Side};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ledger::{Ledger, Output, Progress, TripRows};
use crate::rows::Place;
use crate::rules::Rules;
use crate::trip::Case;
use crate::verdict::{Fate, Kind, Verdict};

/// Judges all that `ledger` has collected so far. More may be added afterwards and judged again.
pub fn judge(ledger: &Ledger, rules: &Rules, progress: &Progress) -> Verdict {
    Judge::new(ledger, rules, progress).verdict()
}

struct Judge<'l> {
    ledger: &'l Ledger,
    rules: &'l Rules,
    progress: &'l Progress,
    /// The highest watermark that each task has shown, in the unmatched rows that it decided.
    watermarks: FxHashMap<i32, EventTime>,
    verdict: Verdict,
}

impl<'l> Judge<'l> {
    fn new(ledger: &'l Ledger, rules: &'l Rules, progress: &'l Progress) -> Self {
        let mut judge = Self {
            ledger,
            rules,
            progress,
            watermarks: FxHashMap::default(),
            verdict: Verdict::default(),
        };
        for (trip_id, rows) in &ledger.trips {
            for output in &rows.outputs {
                if let Output::Unmatched(row) = output
                    && let Some(home) = judge.home(trip_id)
                {
                    let shown = judge.watermarks.entry(home).or_insert(EventTime::MIN);
                    *shown = row.watermark.max(*shown);
                }
            }
        }
        judge
    }

    pub(crate) fn verdict(mut self) -> Verdict {
        let mut seen = FxHashSet::default();
        for (trip_id, rows) in &self.ledger.trips {
            self.trip(trip_id, rows, &mut seen);
        }
        self.unreadable_inputs(&mut seen);
        self.rejects(&seen);
        for (which, why) in &self.ledger.unreadable_outputs {
            self.verdict.offence(Kind::Wrong, None, format!("{which} can't be read: {why}"));
        }
        self.verdict.offences.sort();
        self.verdict
    }

    /// The task that decides about `trip_id`.
    fn home(&self, trip_id: &str) -> Option<i32> {
        (self.progress.tasks > 0).then(|| partition_for(trip_id.as_bytes(), self.progress.tasks))
    }

    fn trip(&mut self, trip_id: &str, rows: &TripRows, seen: &mut FxHashSet<(Side, Place)>) {
        let watermark = self.home(trip_id).and_then(|home| self.watermarks.get(&home)).copied();
        let mut case = Case::new(trip_id, rows, self.rules, self.progress, watermark);
        if !self.ledger.rejects.is_empty() {
            for (index, row) in rows.inputs.iter().enumerate() {
                let key = (row.side, row.place);
                if self.ledger.rejects.contains_key(&key) {
                    seen.insert(key);
                    case.set_rejected(index);
                }
            }
        }
        case.decide(&mut self.verdict);
    }

    fn unreadable_inputs(&mut self, seen: &mut FxHashSet<(Side, Place)>) {
        for ((side, place), why) in &self.ledger.unreadable {
            let key = (*side, *place);
            let fate = if self.ledger.rejects.contains_key(&key) {
                seen.insert(key);
                Fate::Rejected
            } else if !self.progress.is_read(*side, *place) {
                Fate::Unread
            } else if self.progress.outputs_cut {
                Fate::Unjudged
            } else {
                let row = self.rules.input(*side, *place);
                let why = format!("{row} was not rejected, though it belongs to no trip: {why}");
                self.verdict.offence(Kind::Unaccounted, None, why);
                Fate::Missing
            };
            self.verdict.fates.add(*side, fate);
        }
    }

    fn rejects(&mut self, seen: &FxHashSet<(Side, Place)>) {
        if self.ledger.internal_rejects > 0 {
            let internal = "of stray rows in the internal topic".to_owned();
            self.verdict.rejects.insert(internal, self.ledger.internal_rejects);
        }
        for ((side, origin), rejects) in &self.ledger.rejects {
            let row = self.rules.input(*side, *origin);
            for reject in rejects {
                *self.verdict.rejects.entry(reject.reason.to_string()).or_default() += 1;
            }
            if !seen.contains(&(*side, *origin)) {
                if self.progress.inputs_cut {
                    self.verdict.unjudged_outputs += 1;
                } else {
                    let reject = self.rules.reject(rejects[0].place);
                    let why = format!("{reject} rejects {row}, which isn't there");
                    self.verdict.offence(Kind::Unaccounted, None, why);
                }
            }
            for again in &rejects[1..] {
                let (first, again) =
                    (self.rules.reject(rejects[0].place), self.rules.reject(again.place));
                let why = format!("{row} was rejected twice: {first} and {again}");
                self.verdict.offence(Kind::Twice, None, why);
            }
        }
    }
}
