//! One task of the join: the rules put together.

use models::{EventTime, Partition, Side};

use crate::changes::{Changes, RestoreError, TaskState, TripRef};
use crate::config::{CheckedConfig, JoinConfig, SetupError, TaskLayout};
use crate::entry::OpenTrip;
use crate::trips::{KnownTrips, PlacedRow};
use crate::watermark::{Watermark, Watermarks};
use crate::{
    Counters, Decision, Duplicates, RejectReason, RejectedRow, Row, RowFate, RowPayload,
    UnmatchedReason, UnmatchedRows, WallTime,
};

/// The join of the trips at home in one partition.
///
/// Every call that brings the wall clock first lets the time pass, so that what is decided does not
/// depend on how often [`advance`](Self::advance) is called. Decisions are appended to `out`, which
/// the caller empties when it likes.
///
/// ```
/// use join::{JoinConfig, Decision, TaskLayout, RowOrigin, Row, Task, WallTime};
/// use models::{EventTime, Side, TripId};
///
/// let mut task = Task::new(&JoinConfig::default(), TaskLayout::new(0, 1, [1, 1, 1])?)?;
/// let mut out = Vec::new();
/// for (offset, side) in Side::ALL.into_iter().enumerate() {
///     let row = Row {
///         trip_id: TripId::new("t1")?,
///         side,
///         ts: Some(EventTime::from_millis(1_000)),
///         payload: side.as_str().as_bytes().to_vec(),
///         origin: RowOrigin { partition: 0, offset: offset as i64 },
///     };
///     task.on_row(row, WallTime::from_millis(1_000), &mut out);
/// }
/// assert!(matches!(&out[..], [Decision::Joined(joined)] if joined.payloads[2] == b"rider"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Task<P> {
    rules: CheckedConfig,
    layout: TaskLayout,
    watermarks: Watermarks,
    trips: KnownTrips<P>,
    counters: Counters,
    /// The state came from a changelog, and what is due in it was not decided yet.
    unsettled: bool,
}

impl<P: RowPayload> Task<P> {
    /// A task that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// The first setting of `config` that is out of its range.
    pub fn new(config: &JoinConfig, layout: TaskLayout) -> Result<Self, SetupError> {
        let rules = config.rules()?;
        Ok(Self {
            watermarks: Watermarks::new(&rules, &layout),
            trips: KnownTrips::new(rules.window_ms, config.changelog),
            counters: Counters::default(),
            unsettled: false,
            rules,
            layout,
        })
    }

    /// A row was read from one of the task's inputs (`row.side`, `row.origin.partition`), and its
    /// trip is at home here.
    ///
    /// # Panics
    ///
    /// If the task's layout does not name that input.
    pub fn on_row(&mut self, row: Row<P>, now: WallTime, out: &mut Vec<Decision<P>>) -> RowFate {
        self.counters.rows_in += 1;
        match self.read(row, now, out) {
            Ok((row, ts)) => self.join(row, ts, out),
            Err(reason) => RowFate::Rejected(reason),
        }
    }

    /// A row was read from one of the task's inputs, and its trip is at home elsewhere. Gives it
    /// back to be forwarded, unless its time can't be true: then it is rejected here (rule 6).
    /// Either way the watermark is told of it as of any other.
    ///
    /// # Panics
    ///
    /// If the task's layout does not name that input.
    pub fn pass_on(
        &mut self,
        row: Row<P>,
        now: WallTime,
        out: &mut Vec<Decision<P>>,
    ) -> Option<Row<P>> {
        if let Ok((row, _)) = self.read(row, now, out) {
            self.counters.passed_on += 1;
            return Some(row);
        }
        self.counters.rows_in += 1;
        None
    }

    /// A row was read from the task's repartition partition: another task passed it on. That task has checked the row's
    /// time (rule 6). The row moves no watermark here. The watermark of the task that read it does, and it follows the
    /// row through the same partition (rule 8).
    pub fn on_forwarded_row(
        &mut self,
        row: Row<P>,
        now: WallTime,
        out: &mut Vec<Decision<P>>,
    ) -> RowFate {
        self.counters.rows_in += 1;
        self.advance(now, out);
        self.watermarks.on_forwarded();
        match row.ts.filter(since_1970) {
            Some(ts) => self.join(row, ts, out),
            None => RowFate::Rejected(self.reject(row, RejectReason::Timestamp, out)),
        }
    }

    /// The watermark of task `source`'s inputs was read from the task's repartition partition (rule 8). It is ignored if
    /// `source` is this task, or does not exist.
    pub fn on_watermark(
        &mut self,
        source: Partition,
        watermark: Watermark,
        now: WallTime,
        out: &mut Vec<Decision<P>>,
    ) {
        self.advance(now, out);
        self.watermarks.on_forwarded();
        if self.watermarks.on_told(source, watermark) {
            self.expire(out);
        }
    }

    /// One of the task's inputs is read to its end. To be called each time that the end is reached.
    ///
    /// # Panics
    ///
    /// If the task's layout does not name that input.
    pub fn on_end_of_input(
        &mut self,
        side: Side,
        partition: Partition,
        now: WallTime,
        out: &mut Vec<Decision<P>>,
    ) {
        self.advance(now, out);
        if self.watermarks.on_end_of_input(side, partition) {
            self.expire(out);
        }
    }

    /// The task's repartition partition is read to its end. To be called each time that the end is
    /// reached: else, with several tasks, the trips of a stopped stream are never decided.
    pub fn on_end_of_repartition(&mut self, now: WallTime, out: &mut Vec<Decision<P>>) {
        self.advance(now, out);
        if self.watermarks.on_end_of_repartition() {
            self.expire(out);
        }
    }

    /// Time has passed. To be called regularly, and only after what has come was handed over.
    pub fn advance(&mut self, now: WallTime, out: &mut Vec<Decision<P>>) {
        let moved = self.watermarks.tick(now);
        if moved || std::mem::take(&mut self.unsettled) {
            self.expire(out);
        }
    }

    /// Counts the idle time of everything from now on, because until now nothing *could* come:
    /// the broker was away, the process stood still.
    pub fn restart_idle(&mut self, now: WallTime) {
        self.watermarks.restart_idle(now);
    }

    /// One of the task's inputs is not read for now, because it is [ahead](Self::inputs_ahead) or waits for another one: what
    /// lies there unread must not be taken for silence. To be called again and again while that lasts.
    ///
    /// The others' idle times are not touched: it may be for one of them to fall idle that this one waits.
    ///
    /// # Panics
    ///
    /// If the task's layout does not name that input.
    pub fn on_paused_input(&mut self, side: Side, partition: Partition, now: WallTime) {
        self.watermarks.on_paused_input(side, partition, now);
    }

    /// Up to where everything has come, of all tasks; [`EventTime::MIN`] while some are unknown.
    pub const fn watermark(&self) -> EventTime {
        self.watermarks.watermark()
    }

    /// How far this task's inputs have come, as of the last call that brought the time: to be
    /// written to every repartition partition, behind the rows passed on before (rule 8).
    pub fn inputs_watermark(&self) -> Watermark {
        self.watermarks.inputs_watermark()
    }

    /// The inputs that run further ahead of the watermark than `max_skew` (rule 11): to be paused
    /// until they are no longer named. The one that holds the watermark is never among them.
    pub fn inputs_ahead(&self) -> impl Iterator<Item = (Side, Partition)> {
        self.watermarks.ahead(self.rules.max_skew_ms)
    }

    /// Which task this is.
    pub const fn layout(&self) -> &TaskLayout {
        &self.layout
    }

    /// How many rows met which fate.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Rows in open entries: they have no fate yet.
    pub const fn open_rows(&self) -> usize {
        self.trips.open_rows()
    }

    /// Entries that wait for rows.
    pub fn open_entries(&self) -> usize {
        self.trips.open_entries()
    }

    /// What the state takes in memory, about.
    pub const fn state_bytes(&self) -> usize {
        self.trips.open_bytes() + self.trips.closed_bytes()
    }

    /// The conservation law of rule 2: every row has exactly one fate or is still open.
    pub const fn is_balanced(&self) -> bool {
        self.counters.rows_in == self.counters.decided_rows() + self.trips.open_rows() as u64
    }

    /// The trips that changed since the last call of this or [`forget_delta`](Self::forget_delta), each passed to
    /// `with` in place. Gives the rest of the delta; none, and no trip, unless [`JoinConfig::changelog`] is on. The cost
    /// depends on how much changed, not on how much there is.
    pub fn drain_delta(&mut self, with: impl FnMut(TripRef<'_, P>)) -> Option<TaskState> {
        self.trips.drain_changed(with).then(|| self.task_state())
    }

    /// All trips of the state in place, in no order: with [`task_state`](Self::task_state), a snapshot.
    pub fn trips(&self) -> impl Iterator<Item = TripRef<'_, P>> {
        self.trips.iter()
    }

    /// What changed up to now is not named in the next delta, because a snapshot names it.
    pub fn forget_delta(&mut self) {
        self.trips.forget_changes();
    }

    /// Takes over a snapshot or delta out of the changelog. On a [`new`](Self::new) task, all of
    /// them in the order in which they were taken restore the state, and the counts with it. What
    /// the settings now make due is decided by the first call that brings the time.
    ///
    /// # Errors
    ///
    /// If they are not of this task, or no state can look like that. The task is then of no use.
    pub fn apply(&mut self, changes: Changes<P>) -> Result<(), RestoreError> {
        let Changes { task_state, trips } = changes;
        let (task, tasks) = (self.layout.task(), self.layout.tasks());
        if (task_state.task, task_state.tasks) != (task, tasks) {
            return Err(RestoreError::OtherTask {
                task,
                tasks,
                written_by: task_state.task,
                written_of: task_state.tasks,
            });
        }
        for state in trips {
            let trip_id = state.trip_id.clone();
            self.trips.replace(state).map_err(|rows| RestoreError::NotOpen {
                task,
                trip_id,
                rows,
            })?;
        }
        self.watermarks.load(task_state.watermark, &task_state.inputs, &task_state.heard);
        self.counters = task_state.counters;
        self.trips.drop_closed(task_state.watermark);
        self.unsettled = true;
        Ok(())
    }

    /// State kept once per task.
    pub fn task_state(&self) -> TaskState {
        let (watermark, inputs, heard) = self.watermarks.save();
        TaskState {
            task: self.layout.task(),
            tasks: self.layout.tasks(),
            watermark,
            inputs,
            heard,
            counters: self.counters,
        }
    }

    /// What every row read from an input goes through, wherever its home: rule 6, then rule 4.
    fn read(
        &mut self,
        row: Row<P>,
        now: WallTime,
        out: &mut Vec<Decision<P>>,
    ) -> Result<(Row<P>, EventTime), RejectReason> {
        self.advance(now, out);
        let now = self.watermarks.now();
        let latest = now.as_event_time().plus_millis(self.rules.max_future_ms);
        let (side, partition) = (row.side, row.origin.partition);
        let moved = match row.ts.filter(since_1970).filter(|ts| *ts <= latest) {
            Some(ts) if self.watermarks.on_row(side, partition, ts) => {
                self.expire(out);
                return Ok((row, ts));
            }
            Some(ts) => return Ok((row, ts)),
            None => self.watermarks.on_untimed_row(side, partition),
        };
        if moved {
            self.expire(out);
        }
        Err(self.reject(row, RejectReason::Timestamp, out))
    }

    /// Rule 3, for a row that has come home.
    fn join(&mut self, row: Row<P>, ts: EventTime, out: &mut Vec<Decision<P>>) -> RowFate {
        let watermark = self.watermarks.watermark();
        match self.trips.place(row, ts, watermark) {
            PlacedRow::Open => {
                if watermark > ts.plus_millis(self.rules.window_ms) {
                    // A late row has found an open entry, and drags it over the edge.
                    self.expire(out);
                }
                self.make_room(out);
                RowFate::Open
            }
            PlacedRow::Joined(joined) => {
                self.counters.joined += 1;
                out.push(Decision::Joined(joined));
                self.make_room(out);
                RowFate::Joined
            }
            PlacedRow::Duplicate(row) => match self.rules.duplicates {
                Duplicates::Drop => {
                    self.counters.duplicates += 1;
                    RowFate::Duplicate
                }
                Duplicates::Reject => {
                    RowFate::Rejected(self.reject(row, RejectReason::Duplicate, out))
                }
            },
            PlacedRow::Late(row) => RowFate::Rejected(self.reject(row, RejectReason::Late, out)),
        }
    }

    fn reject(
        &mut self,
        row: Row<P>,
        reason: RejectReason,
        out: &mut Vec<Decision<P>>,
    ) -> RejectReason {
        self.counters.count_rejected(reason);
        out.push(Decision::Rejected(RejectedRow { row, reason }));
        reason
    }

    /// Rule 5: the watermark has moved.
    fn expire(&mut self, out: &mut Vec<Decision<P>>) {
        let watermark = self.watermarks.watermark();
        while let Some(open) = self.trips.pop_expired(watermark) {
            self.decide_unmatched(open, UnmatchedReason::WindowExpired, out);
        }
        self.trips.drop_closed(watermark);
    }

    /// Rule 11: keeps the state within its bound.
    ///
    /// Closed entries may have half of it. If they have more, the oldest of them are dropped before any open entry is
    /// decided: an open entry that is decided becomes a closed one, so that would hardly make room.
    fn make_room(&mut self, out: &mut Vec<Decision<P>>) {
        let bound = self.rules.max_state_bytes;
        while self.state_bytes() > bound {
            if self.trips.closed_bytes() > bound / 2 && self.trips.forget_oldest_closed() {
                self.counters.closed_forgotten += 1;
            } else if let Some(open) = self.trips.pop_oldest() {
                self.decide_unmatched(open, UnmatchedReason::StateFull, out);
            } else {
                break;
            }
        }
    }

    fn decide_unmatched(
        &mut self,
        open: OpenTrip<P>,
        reason: UnmatchedReason,
        out: &mut Vec<Decision<P>>,
    ) {
        self.counters.unmatched_rows += open.sides() as u64;
        match reason {
            UnmatchedReason::WindowExpired => self.counters.unmatched_expired += 1,
            UnmatchedReason::StateFull => self.counters.unmatched_state_full += 1,
        }
        out.push(Decision::Unmatched(UnmatchedRows {
            trip_id: open.trip_id,
            ts: open.span.last,
            payloads: open.rows.map(|row| row.map(|row| row.payload)),
            reason,
            watermark: self.watermarks.watermark(),
        }));
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what `Option::filter` calls")]
fn since_1970(ts: &EventTime) -> bool {
    ts.as_millis() >= 0
}
