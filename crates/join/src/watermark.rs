//! Watermarks (rules 4 and 8): up to which event time everything has come.
//!
//! There are three levels. The watermark of a *partition* is its largest timestamp less the grace. The watermark of a
//! *task's inputs* ([`Watermark`]) is the least over the partitions that the task reads. It is told to all other tasks,
//! in the topic that carries forwarded rows, behind the rows. The watermark of a *task* is the least over the inputs'
//! watermarks of all tasks, its own and those that it was told. A task that never told one holds it at
//! [`EventTime::MIN`].
//!
//! **What counts.** In the watermark of a partition, a row ahead of the wall clock counts as one of this moment: rule 6
//! lets a row be ahead by `max_future`, but a client with such a clock must not cut the window of all others short. A
//! partition that is read to its end and quiet for the idle time does not count. Neither does a task all of whose
//! partitions are idle, nor a task that reads no partition at all. A partition that wakes counts again from the row that
//! woke it, with the larger of its old watermark and that row's. The task's watermark does not go back for it. It waits
//! until the partition has caught up.
//!
//! **When nothing counts.** Then the watermark takes the largest one there is (what it would have reached if that
//! partition had been the last to fall silent). From there it runs on at the pace of the wall clock, counted from the
//! moment when the last partition became idle. It does not *jump* to the wall clock: rows copied from elsewhere keep
//! their old timestamps, and if a copy pauses for longer than the idle time, the rest of its rows must not be late. It
//! stays behind the wall clock by grace + idle: a row that takes less than that to reach us is on time. And it waits
//! until the repartition partition is read to its end, because what is unread there may be rows of a task believed idle.
//!
//! **Which clock.** Idleness is judged with the time that each call brings, before anything else in that call. So what
//! is decided does not depend on how often the caller calls.

use models::{EventTime, Partition, Side};
use serde::{Deserialize, Serialize};

use crate::WallTime;
use crate::config::{CheckedConfig, TaskLayout};

/// The watermark of the inputs of one task: what the tasks tell each other (rule 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// No row with an earlier time is expected from them; [`EventTime::MIN`] while that is unknown.
    pub at: EventTime,
    /// All of these inputs are idle: the other tasks need not wait for them.
    pub idle: bool,
}

/// The watermark of one partition, as it is kept in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputWatermark {
    /// The input topic.
    pub side: Side,
    /// Its partition.
    pub partition: Partition,
    /// Its largest timestamp less the grace.
    pub at: EventTime,
}

/// One partition that the task reads.
#[derive(Debug)]
struct InputPartition {
    side: Side,
    partition: Partition,
    watermark: EventTime,
    at_end: bool,
    /// When the last row came that counts, or the end was first seen.
    quiet_since: Option<WallTime>,
}

impl InputPartition {
    /// From when on it is idle if nothing comes; none while it isn't read to its end.
    fn idle_from(&self, idle_ms: i64) -> Option<WallTime> {
        self.quiet_since.filter(|_| self.at_end).map(|since| since.plus_millis(idle_ms))
    }
}

/// What another task told last.
#[derive(Debug, Clone, Copy)]
struct HeardWatermark {
    watermark: EventTime,
    idle_since: Option<WallTime>,
}

/// The event time that runs on with the wall clock while all inputs are idle.
#[derive(Debug, Clone, Copy)]
struct WallClockRun {
    since: WallTime,
    base: EventTime,
}

/// All watermarks that one task knows, and its own that follows from them.
#[derive(Debug)]
pub(crate) struct Watermarks {
    grace_ms: i64,
    idle_ms: i64,
    task: usize,
    inputs: Vec<InputPartition>,
    /// By task; the own place stays empty.
    heard: Vec<Option<HeardWatermark>>,
    repartition_at_end: bool,
    watermark: EventTime,
    /// The time of the first row seen here less the grace: skew is measured from it while the watermark is unknown.
    first: Option<EventTime>,
    now: WallTime,
    /// When the wall clock was first seen, or idle times were last restarted.
    started: WallTime,
    /// Before this moment the passing of time changes nothing.
    next_look: WallTime,
    running: Option<WallClockRun>,
}

impl Watermarks {
    pub(crate) fn new(rules: &CheckedConfig, layout: &TaskLayout) -> Self {
        let inputs = layout.inputs().iter().map(|&(side, partition)| InputPartition {
            side,
            partition,
            watermark: EventTime::MIN,
            at_end: false,
            quiet_since: None,
        });
        Self {
            grace_ms: rules.grace_ms,
            idle_ms: rules.idle_ms,
            task: layout.task() as usize,
            inputs: inputs.collect(),
            heard: vec![None; layout.tasks() as usize],
            repartition_at_end: false,
            watermark: EventTime::MIN,
            first: None,
            now: WallTime::MIN,
            started: WallTime::MIN,
            next_look: WallTime::MIN,
            running: None,
        }
    }

    /// The task's watermark.
    pub(crate) const fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The latest time that was seen.
    pub(crate) const fn now(&self) -> WallTime {
        self.now
    }

    /// The watermark of the task's own inputs: what the other tasks are told.
    pub(crate) fn inputs_watermark(&self) -> Watermark {
        let counting = self.inputs.iter().filter(|input| !self.is_idle(input));
        if let Some(at) = counting.map(|input| input.watermark).min() {
            return Watermark { at, idle: false };
        }
        let largest = self.inputs.iter().map(|input| input.watermark).max();
        Watermark { at: largest.unwrap_or(EventTime::MIN), idle: true }
    }

    /// The partitions that run more than `max_skew_ms` ahead of the watermark.
    pub(crate) fn ahead(&self, max_skew_ms: i64) -> impl Iterator<Item = (Side, Partition)> {
        let from = match self.watermark {
            EventTime::MIN => self.first.unwrap_or(EventTime::MIN),
            watermark => watermark,
        };
        let limit = from.plus_millis(max_skew_ms);
        let ahead = self.inputs.iter().filter(move |input| input.watermark > limit);
        ahead.map(|input| (input.side, input.partition))
    }

    /// Time passes. Says whether the watermark moved, as all below do.
    pub(crate) fn tick(&mut self, now: WallTime) -> bool {
        if self.now == WallTime::MIN {
            self.started = now;
        }
        self.now = self.now.max(now);
        self.now >= self.next_look && self.look()
    }

    /// A row came from an input. Call [`tick`](Self::tick) first.
    ///
    /// The row counts before it is judged. That is harmless: it can lift the watermark to its own
    /// time less the grace at most, so it makes neither itself late nor an entry expire that it fits.
    pub(crate) fn on_row(&mut self, side: Side, partition: Partition, ts: EventTime) -> bool {
        let (now, watermark) = (self.now, self.watermark);
        let reached = ts.min(now.as_event_time()).plus_millis(-self.grace_ms);
        self.first.get_or_insert(reached);
        let idle_ms = self.idle_ms;
        let input = self.input(side, partition);
        let before = input.watermark;
        let wakes = input.idle_from(idle_ms).is_some_and(|from| from <= now);
        input.watermark = before.max(reached);
        input.at_end = false;
        input.quiet_since = Some(now);
        // Only one that may have held the watermark can let it go; or one that wakes, and counts again when nothing
        // else does.
        (wakes || reached > before && before <= watermark) && self.look()
    }

    /// A row came from an input with a time that can't be true: it shows that the end isn't
    /// reached, but neither moves the watermark nor keeps the input awake (rule 6).
    pub(crate) fn on_untimed_row(&mut self, side: Side, partition: Partition) -> bool {
        self.input(side, partition).at_end = false;
        self.look()
    }

    /// An input is read to its end.
    pub(crate) fn on_end_of_input(&mut self, side: Side, partition: Partition) -> bool {
        let now = self.now;
        let input = self.input(side, partition);
        input.at_end = true;
        input.quiet_since.get_or_insert(now);
        self.look()
    }

    /// Something came from the repartition partition.
    pub(crate) const fn on_forwarded(&mut self) {
        self.repartition_at_end = false;
    }

    /// The repartition partition is read to its end.
    pub(crate) fn on_end_of_repartition(&mut self) -> bool {
        self.repartition_at_end = true;
        self.look()
    }

    /// Task `source` told the watermark of its inputs. Ignored if `source` is this task, or does not exist.
    pub(crate) fn on_told(&mut self, source: Partition, told: Watermark) -> bool {
        let now = self.now;
        let Some(source) = usize::try_from(source).ok().filter(|source| *source != self.task)
        else {
            return false;
        };
        let Some(heard) = self.heard.get_mut(source) else { return false };
        let before =
            heard.unwrap_or(HeardWatermark { watermark: EventTime::MIN, idle_since: None });
        *heard = Some(HeardWatermark {
            watermark: before.watermark.max(told.at),
            idle_since: told.idle.then(|| before.idle_since.unwrap_or(now)),
        });
        self.look()
    }

    /// Counts all idle times from `now` on, whatever came before.
    pub(crate) fn restart_idle(&mut self, now: WallTime) {
        self.now = self.now.max(now);
        self.started = self.now;
        for input in &mut self.inputs {
            input.quiet_since = input.quiet_since.map(|_| self.started);
        }
        self.running = None;
        self.next_look = WallTime::MIN;
    }

    /// An input can't come on because it is paused: it counts, however quiet it is.
    pub(crate) fn on_paused_input(&mut self, side: Side, partition: Partition, now: WallTime) {
        self.now = self.now.max(now);
        let now = self.now;
        let input = self.input(side, partition);
        input.quiet_since = input.quiet_since.map(|_| now);
        self.next_look = WallTime::MIN;
    }

    /// The part of this that belongs to the state: the watermark, those of the inputs, and those that were told.
    pub(crate) fn save(&self) -> (EventTime, Vec<InputWatermark>, Vec<Option<Watermark>>) {
        let inputs = self.inputs.iter().map(|input| InputWatermark {
            side: input.side,
            partition: input.partition,
            at: input.watermark,
        });
        let heard = self.heard.iter().map(|heard| {
            heard.map(|heard| Watermark { at: heard.watermark, idle: heard.idle_since.is_some() })
        });
        (self.watermark, inputs.collect(), heard.collect())
    }

    /// Takes over what [`save`](Self::save) gave. Partitions that the task no longer reads are
    /// left out; new ones start unknown.
    pub(crate) fn load(
        &mut self,
        watermark: EventTime,
        inputs: &[InputWatermark],
        heard: &[Option<Watermark>],
    ) {
        let now = self.now;
        self.watermark = watermark;
        for input in &mut self.inputs {
            let saved = inputs
                .iter()
                .find(|saved| saved.side == input.side && saved.partition == input.partition);
            input.watermark = saved.map_or(EventTime::MIN, |saved| saved.at);
        }
        for (mine, saved) in self.heard.iter_mut().zip(heard) {
            *mine = saved.map(|saved| HeardWatermark {
                watermark: saved.at,
                idle_since: saved.idle.then_some(now),
            });
        }
        self.running = None;
        self.next_look = WallTime::MIN;
    }

    fn is_idle(&self, input: &InputPartition) -> bool {
        input.idle_from(self.idle_ms).is_some_and(|from| from <= self.now)
    }

    fn input(&mut self, side: Side, partition: Partition) -> &mut InputPartition {
        self.inputs
            .iter_mut()
            .find(|input| input.side == side && input.partition == partition)
            .expect("a task is given rows and ends of its own inputs only")
    }

    /// Finds the watermark from all others, as of now.
    fn look(&mut self) -> bool {
        let mut least: Option<EventTime> = None;
        let mut largest = self.watermark;
        let mut last_idle_from = self.started;
        self.next_look = WallTime::MAX;
        for input in &self.inputs {
            largest = largest.max(input.watermark);
            match input.idle_from(self.idle_ms) {
                Some(from) if from <= self.now => last_idle_from = last_idle_from.max(from),
                from => {
                    least = Some(least.map_or(input.watermark, |least| least.min(input.watermark)));
                    self.next_look = self.next_look.min(from.unwrap_or(WallTime::MAX));
                }
            }
        }
        for heard in others(&self.heard, self.task) {
            let told = heard.map_or(EventTime::MIN, |heard| heard.watermark);
            largest = largest.max(told);
            match heard.and_then(|heard| heard.idle_since) {
                Some(since) => last_idle_from = last_idle_from.max(since),
                None => least = Some(least.map_or(told, |least| least.min(told))),
            }
        }
        let reached = match least {
            Some(least) => {
                self.running = None;
                least
            }
            None if self.repartition_at_end || self.heard.len() == 1 => {
                self.next_look = self.now.plus_millis(1);
                let started = WallClockRun { since: last_idle_from, base: largest };
                let running = *self.running.get_or_insert(started);
                self.run_on(running)
            }
            None => self.watermark,
        };
        let moved = reached > self.watermark;
        self.watermark = self.watermark.max(reached);
        moved
    }

    /// Where the event time has come to that runs with the wall clock.
    fn run_on(&self, running: WallClockRun) -> EventTime {
        if running.base == EventTime::MIN {
            // No row was ever seen: there is no event time to run on from.
            return EventTime::MIN;
        }
        let ran = running.base.plus_millis(self.now.millis_since(running.since).max(0));
        ran.min(self.now.as_event_time().plus_millis(-(self.grace_ms + self.idle_ms)))
    }
}

/// What was heard of the tasks other than `task`.
fn others(
    heard: &[Option<HeardWatermark>],
    task: usize,
) -> impl Iterator<Item = Option<HeardWatermark>> {
    heard.iter().enumerate().filter(move |(other, _)| *other != task).map(|(_, heard)| *heard)
}
