//! A task as plainly as the rules can be written: no index, no order of time, everything searched and found anew.
//!
//! It says of every call what comes of it: the fate of the row, each decision with its reason and watermark, the
//! counts, what the other tasks are told, which inputs run ahead, and the entries.

mod entries;
mod time;

use join::{Counters, RejectReason, RowFate, TaskLayout};
use models::Side;

use entries::{Entries, Placed};
pub(crate) use entries::{ModelEntry, State};
use time::{Heard, Input, Time};

/// The settings, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) window: i64,
    pub(crate) grace: i64,
    pub(crate) idle: i64,
    pub(crate) max_future: i64,
    pub(crate) max_skew: i64,
    pub(crate) reject_duplicates: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelRow {
    pub(crate) trip: u8,
    pub(crate) side: Side,
    pub(crate) partition: i32,
    pub(crate) time: Option<i64>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Joined {
        trip: u8,
        texts: Vec<String>,
        ts: i64,
    },
    Unmatched {
        trip: u8,
        texts: Vec<Option<String>>,
        ts: i64,
        reason: &'static str,
        watermark: i64,
    },
    Rejected {
        trip: u8,
        text: String,
        reason: &'static str,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    rules: Rules,
    entries: Entries,
    time: Time,
    pub(crate) counters: Counters,
    /// What was decided since it was last asked for.
    pub(crate) events: Vec<Event>,
}

impl Model {
    pub(crate) fn new(rules: Rules, layout: &TaskLayout) -> Self {
        let inputs = layout.inputs().iter().map(|&(side, partition)| Input {
            side,
            partition,
            watermark: None,
            at_end: false,
            quiet_since: None,
        });
        let others = (0..layout.tasks()).filter(|task| *task != layout.task());
        let time = Time::new(inputs.collect(), others.map(|task| (task, None)).collect());
        let (entries, counters) = (Entries::default(), Counters::default());
        Self { rules, entries, time, counters, events: Vec::new() }
    }

    pub(crate) fn advance(&mut self, now: i64) {
        self.time.pass(now, &self.rules);
        self.expire();
    }

    /// Rules 6 and 4 for a row read from an input: its time, if that can be true.
    fn read(&mut self, row: &ModelRow, now: i64) -> Option<i64> {
        self.advance(now);
        let (rules, now) = (self.rules, self.time.now.unwrap());
        let time = row.time.filter(|time| (0..=now + rules.max_future).contains(time));
        let input = self.time.input(row.side, row.partition);
        input.at_end = false;
        if let Some(time) = time {
            let watermark = time.min(now) - rules.grace;
            input.watermark = input.watermark.max(Some(watermark));
            input.quiet_since = Some(now);
            self.time.first.get_or_insert(watermark);
        }
        self.time.look(&rules);
        self.expire();
        time
    }

    pub(crate) fn row(&mut self, row: &ModelRow, now: i64) -> RowFate {
        self.counters.rows_in += 1;
        match self.read(row, now) {
            Some(time) => self.join(row, time),
            None => self.reject(row, RejectReason::Timestamp),
        }
    }

    /// Whether the row is passed on.
    pub(crate) fn pass_on(&mut self, row: &ModelRow, now: i64) -> bool {
        if self.read(row, now).is_some() {
            self.counters.passed_on += 1;
            return true;
        }
        self.counters.rows_in += 1;
        self.reject(row, RejectReason::Timestamp);
        false
    }

    pub(crate) fn forwarded_row(&mut self, row: &ModelRow, now: i64) -> RowFate {
        self.counters.rows_in += 1;
        self.advance(now);
        self.time.repartition_at_end = false;
        match row.time.filter(|time| *time >= 0) {
            Some(time) => self.join(row, time),
            None => self.reject(row, RejectReason::Timestamp),
        }
    }

    pub(crate) fn watermark_of(&mut self, source: i32, at: i64, idle: bool, now: i64) {
        self.advance(now);
        self.time.repartition_at_end = false;
        let now = self.time.now.unwrap();
        for (task, heard) in &mut self.time.others {
            if *task == source {
                let before = *heard;
                let idle_before = before.and_then(|before| before.idle_since);
                *heard = Some(Heard {
                    watermark: before.and_then(|before| before.watermark).max(Some(at)),
                    idle_since: idle.then(|| idle_before.unwrap_or(now)),
                });
            }
        }
        self.time.look(&self.rules);
        self.expire();
    }

    pub(crate) fn end_of_input(&mut self, side: Side, partition: i32, now: i64) {
        self.advance(now);
        let now = self.time.now.unwrap();
        let input = self.time.input(side, partition);
        input.at_end = true;
        input.quiet_since.get_or_insert(now);
        self.time.look(&self.rules);
        self.expire();
    }

    pub(crate) fn end_of_repartition(&mut self, now: i64) {
        self.advance(now);
        self.time.repartition_at_end = true;
        self.time.look(&self.rules);
        self.expire();
    }

    pub(crate) fn restart_idle(&mut self, now: i64) {
        self.time.restart_idle(now);
    }

    pub(crate) fn paused_input(&mut self, side: Side, partition: i32) {
        let now = self.time.now;
        let input = self.time.input(side, partition);
        input.quiet_since = input.quiet_since.and(now);
    }

    pub(crate) fn come_up_again(&mut self) {
        self.time.come_up_again();
    }

    fn join(&mut self, row: &ModelRow, time: i64) -> RowFate {
        let window = self.rules.window;
        let held = (time, row.text.clone());
        match self.entries.place(row.trip, row.side, held, window, self.time.watermark) {
            Placed::Held => {
                // A late row may have dragged its entry over the edge.
                self.expire();
                RowFate::Open
            }
            Placed::Joined(index) => {
                let entry = &self.entries.0[index];
                let texts = entry.rows.iter().flatten().map(|(_, text)| text.clone()).collect();
                self.events.push(Event::Joined { trip: row.trip, texts, ts: entry.last() });
                self.counters.joined += 1;
                RowFate::Joined
            }
            Placed::Duplicate if self.rules.reject_duplicates => {
                self.reject(row, RejectReason::Duplicate)
            }
            Placed::Duplicate => {
                self.counters.duplicates += 1;
                RowFate::Duplicate
            }
            Placed::Late => self.reject(row, RejectReason::Late),
        }
    }

    fn reject(&mut self, row: &ModelRow, reason: RejectReason) -> RowFate {
        match reason {
            RejectReason::Late => self.counters.rejected_late += 1,
            RejectReason::Timestamp => self.counters.rejected_timestamp += 1,
            RejectReason::Duplicate => self.counters.rejected_duplicate += 1,
        }
        let (text, reason_name) = (row.text.clone(), reason.as_str());
        self.events.push(Event::Rejected { trip: row.trip, text, reason: reason_name });
        RowFate::Rejected(reason)
    }

    fn expire(&mut self) {
        let Some(watermark) = self.time.watermark else { return };
        for entry in self.entries.expire(self.rules.window, watermark) {
            self.counters.unmatched_expired += 1;
            self.counters.unmatched_rows += entry.rows.iter().flatten().count() as u64;
            let text = |row: &Option<(i64, String)>| row.as_ref().map(|(_, text)| text.clone());
            self.events.push(Event::Unmatched {
                trip: entry.trip,
                texts: entry.rows.iter().map(text).collect(),
                ts: entry.last(),
                reason: "window_expired",
                watermark,
            });
        }
    }

    pub(crate) fn watermark(&self) -> Option<i64> {
        self.time.watermark
    }

    pub(crate) fn inputs_watermark(&self) -> (Option<i64>, bool) {
        self.time.inputs_watermark(&self.rules)
    }

    /// Rule 11. Before the watermark is known, the first row is what an input can be ahead of.
    pub(crate) fn inputs_ahead(&self) -> Vec<(Side, i32)> {
        let from = self.time.watermark.or(self.time.first);
        let ahead = self.time.inputs.iter().filter(|input| match from {
            Some(from) => {
                input.watermark.is_some_and(|watermark| watermark > from + self.rules.max_skew)
            }
            None => input.watermark.is_some(),
        });
        ahead.map(|input| (input.side, input.partition)).collect()
    }

    pub(crate) fn open_rows(&self) -> usize {
        self.entries.open().map(|entry| entry.rows.iter().flatten().count()).sum()
    }

    pub(crate) fn open_entries(&self) -> usize {
        self.entries.open().count()
    }

    /// All entries, in an order of their own.
    pub(crate) fn entries(&self) -> Vec<ModelEntry> {
        let mut entries = self.entries.0.clone();
        entries.sort();
        entries
    }
}

/// What a join without any notion of arrival gives, where each trip has at most one row a side:
/// whether all three are there and near enough.
pub(crate) fn joins_by_brute_force(rows: [Option<i64>; 3], window: i64) -> bool {
    let times: Vec<i64> = rows.into_iter().flatten().collect();
    times.len() == 3 && times.iter().max().unwrap() - times.iter().min().unwrap() <= window
}
