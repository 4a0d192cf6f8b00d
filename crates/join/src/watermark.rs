//! Watermarks (rules 4 and 8): up to which event time everything has come.
//!
//! There are two levels. The *mark of a task's inputs* is the least over the partitions that the
//! task reads; it is told to all other tasks, in the topic that carries forwarded rows, behind the
//! rows. The *watermark of a task* is the least over the marks of all tasks, its own and those it
//! has heard of. A task never heard of holds it at [`EventTime::MIN`].
//!
//! **What counts.** A partition's mark is its largest timestamp less the grace, where a row ahead
//! of the wall clock counts as one of this moment: rule 6 lets a row be ahead by `max_future`, but a
//! client with such a clock must not cut the window of all others short. A partition that is read
//! to its end and quiet for the idle time does not count, nor does a task all of whose partitions
//! are so, nor one that reads no partition at all. A partition that wakes counts again from the row
//! that woke it, with the larger of its old mark and that row's; the watermark does not go back for
//! it but waits until the partition has caught up.
//!
//! **When nothing counts.** Then the watermark takes the largest mark there is (what it would have
//! reached had that partition been the last to fall silent) and runs on from there at the pace of
//! the wall clock, counted from the moment when the last one became idle. It does not *jump* to
//! the wall clock: rows copied from elsewhere keep their old timestamps, and a copy that pauses for
//! longer than the idle time must not find the rest of its rows late. In all that it comes no nearer
//! to the wall clock than grace + idle: a row that takes less than that to reach us is on time. And
//! it waits for the repartition partition to be read to its end, because what is unread there may be
//! rows of a task believed idle.
//!
//! **Whose clock.** Idleness is judged with the time that each call brings, before anything else in
//! that call. So what is decided does not depend on how often the caller calls.

use models::{EventTime, Partition, Side};
use serde::{Deserialize, Serialize};

use crate::WallTime;
use crate::config::{Layout, Rules};

/// How far the inputs of one task have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// No row before this is expected; [`EventTime::MIN`] while that is unknown.
    pub at: EventTime,
    /// Nothing comes from these inputs: the others need not wait for them.
    pub idle: bool,
}

/// The mark of one partition, as it is kept in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputMark {
    /// The input topic.
    pub side: Side,
    /// Its partition.
    pub partition: Partition,
    /// Its largest timestamp less the grace.
    pub at: EventTime,
}

/// One partition that the task reads.
#[derive(Debug)]
struct Input {
    side: Side,
    partition: Partition,
    mark: EventTime,
    at_end: bool,
    /// When the last row that counts came, or the end was first seen.
    quiet_since: Option<WallTime>,
}

impl Input {
    /// From when on it is idle if nothing comes; none while it isn't read to its end.
    fn idle_from(&self, idle_ms: i64) -> Option<WallTime> {
        self.quiet_since.filter(|_| self.at_end).map(|since| since.plus_millis(idle_ms))
    }
}

/// What another task said last.
#[derive(Debug, Clone, Copy)]
struct Heard {
    mark: EventTime,
    idle_since: Option<WallTime>,
}

/// The event time running on with the wall clock while nothing counts.
#[derive(Debug, Clone, Copy)]
struct Running {
    since: WallTime,
    base: EventTime,
}

/// All marks that one task knows, and the watermark that follows from them.
#[derive(Debug)]
pub(crate) struct Watermarks {
    grace_ms: i64,
    idle_ms: i64,
    task: usize,
    inputs: Vec<Input>,
    /// By task; the own place stays empty.
    heard: Vec<Option<Heard>>,
    repartition_at_end: bool,
    watermark: EventTime,
    /// The mark of the first row seen here: what skew is measured from before all are heard of.
    first: Option<EventTime>,
    now: WallTime,
    /// When the wall clock was first seen, or idle times were last restarted.
    started: WallTime,
    /// Before this moment the passing of time changes nothing.
    next_look: WallTime,
    running: Option<Running>,
}

impl Watermarks {
    pub(crate) fn new(rules: &Rules, layout: &Layout) -> Self {
        let inputs = layout.inputs().iter().map(|&(side, partition)| Input {
            side,
            partition,
            mark: EventTime::MIN,
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

    /// How far the task's own inputs have come: what the other tasks are told.
    pub(crate) fn inputs_mark(&self) -> Mark {
        let counting = self.inputs.iter().filter(|input| !self.is_idle(input));
        if let Some(at) = counting.map(|input| input.mark).min() {
            return Mark { at, idle: false };
        }
        let largest = self.inputs.iter().map(|input| input.mark).max();
        Mark { at: largest.unwrap_or(EventTime::MIN), idle: true }
    }

    /// The partitions that run more than `max_skew_ms` ahead of the watermark.
    pub(crate) fn ahead(&self, max_skew_ms: i64) -> impl Iterator<Item = (Side, Partition)> {
        let from = match self.watermark {
            EventTime::MIN => self.first.unwrap_or(EventTime::MIN),
            watermark => watermark,
        };
        let limit = from.plus_millis(max_skew_ms);
        let ahead = self.inputs.iter().filter(move |input| input.mark > limit);
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
        let mark = ts.min(now.as_event_time()).plus_millis(-self.grace_ms);
        self.first.get_or_insert(mark);
        let idle_ms = self.idle_ms;
        let input = self.input(side, partition);
        let before = input.mark;
        let wakes = input.idle_from(idle_ms).is_some_and(|from| from <= now);
        input.mark = before.max(mark);
        input.at_end = false;
        input.quiet_since = Some(now);
        // Only one that may have held the watermark can let it go; or one that wakes, and counts again when nothing
        // else does.
        (wakes || mark > before && before <= watermark) && self.look()
    }

    /// A row came from an input with a time that can't be true: it shows that the end isn't
    /// reached, but neither moves the mark nor keeps the input awake (rule 6).
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

    /// Another task said how far its inputs have come. What it says of this task itself, or of
    /// one that doesn't exist, says nothing.
    pub(crate) fn on_mark(&mut self, source: Partition, mark: Mark) -> bool {
        let now = self.now;
        let Some(source) = usize::try_from(source).ok().filter(|source| *source != self.task)
        else {
            return false;
        };
        let Some(heard) = self.heard.get_mut(source) else { return false };
        let before = heard.unwrap_or(Heard { mark: EventTime::MIN, idle_since: None });
        *heard = Some(Heard {
            mark: before.mark.max(mark.at),
            idle_since: mark.idle.then(|| before.idle_since.unwrap_or(now)),
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

    /// What of this belongs to the state: the watermark, the inputs' marks, what was heard.
    pub(crate) fn save(&self) -> (EventTime, Vec<InputMark>, Vec<Option<Mark>>) {
        let inputs = self.inputs.iter().map(|input| InputMark {
            side: input.side,
            partition: input.partition,
            at: input.mark,
        });
        let heard = self.heard.iter().map(|heard| {
            heard.map(|heard| Mark { at: heard.mark, idle: heard.idle_since.is_some() })
        });
        (self.watermark, inputs.collect(), heard.collect())
    }

    /// Takes over what [`save`](Self::save) gave. Partitions that the task no longer reads are
    /// left out; new ones start unknown.
    pub(crate) fn load(
        &mut self,
        watermark: EventTime,
        inputs: &[InputMark],
        heard: &[Option<Mark>],
    ) {
        let now = self.now;
        self.watermark = watermark;
        for input in &mut self.inputs {
            let saved = inputs
                .iter()
                .find(|saved| saved.side == input.side && saved.partition == input.partition);
            input.mark = saved.map_or(EventTime::MIN, |saved| saved.at);
        }
        for (mine, saved) in self.heard.iter_mut().zip(heard) {
            *mine = saved.map(|mark| Heard { mark: mark.at, idle_since: mark.idle.then_some(now) });
        }
        self.running = None;
        self.next_look = WallTime::MIN;
    }

    fn is_idle(&self, input: &Input) -> bool {
        input.idle_from(self.idle_ms).is_some_and(|from| from <= self.now)
    }

    fn input(&mut self, side: Side, partition: Partition) -> &mut Input {
        self.inputs
            .iter_mut()
            .find(|input| input.side == side && input.partition == partition)
            .expect("a task is given rows and ends of its own inputs only")
    }

    /// Finds the watermark from all marks, as of now.
    fn look(&mut self) -> bool {
        let mut least: Option<EventTime> = None;
        let mut largest = self.watermark;
        let mut last_idle_from = self.started;
        self.next_look = WallTime::MAX;
        for input in &self.inputs {
            largest = largest.max(input.mark);
            match input.idle_from(self.idle_ms) {
                Some(from) if from <= self.now => last_idle_from = last_idle_from.max(from),
                from => {
                    least = Some(least.map_or(input.mark, |least| least.min(input.mark)));
                    self.next_look = self.next_look.min(from.unwrap_or(WallTime::MAX));
                }
            }
        }
        for heard in others(&self.heard, self.task) {
            let mark = heard.map_or(EventTime::MIN, |heard| heard.mark);
            largest = largest.max(mark);
            match heard.and_then(|heard| heard.idle_since) {
                Some(since) => last_idle_from = last_idle_from.max(since),
                None => least = Some(least.map_or(mark, |least| least.min(mark))),
            }
        }
        let reached = match least {
            Some(least) => {
                self.running = None;
                least
            }
            None if self.repartition_at_end || self.heard.len() == 1 => {
                self.next_look = self.now.plus_millis(1);
                let started = Running { since: last_idle_from, base: largest };
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
    fn run_on(&self, running: Running) -> EventTime {
        if running.base == EventTime::MIN {
            // No row was ever seen: there is no event time to run on from.
            return EventTime::MIN;
        }
        let ran = running.base.plus_millis(self.now.millis_since(running.since).max(0));
        ran.min(self.now.as_event_time().plus_millis(-(self.grace_ms + self.idle_ms)))
    }
}

/// What was heard of the tasks other than `task`.
fn others(heard: &[Option<Heard>], task: usize) -> impl Iterator<Item = Option<Heard>> {
    heard.iter().enumerate().filter(move |(other, _)| *other != task).map(|(_, heard)| *heard)
}
