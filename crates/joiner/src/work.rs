//! What is done with each record: the join is asked, and its decisions are written in the open transaction.

use std::time::{Duration, Instant};

use avro_schemas::SchemaId;
use join::{Decision, RowFate, Task, WallTime, Watermark};
use kafka::headers::Origin as Place;
use kafka::partitioner::partition_for;
use models::{EventTime, Partition, Side};

use crate::changelog::{Restored, Writer};
use crate::group::Source;
use crate::outputs::Outputs;
use crate::payload::Payload;
use crate::reject_times::RejectTimes;
use crate::rejects::{self, Fault};
use crate::repartition::{self, Forwarded, SourceMark};
use crate::rows::{self, Incoming, Reading};
use crate::schemas::Schemas;
use crate::tally::Tally;
use crate::topology::Topology;
use crate::transaction::Transactions;

/// The tasks of this process and the transaction that they write in.
pub(crate) struct Work<'e> {
    pub(crate) topology: &'e Topology,
    pub(crate) schemas: &'e Schemas,
    /// What the rejects name as who rejected them.
    pub(crate) connector: &'e str,
    pub(crate) reject_times: &'e RejectTimes,
    pub(crate) transactions: Transactions,
    pub(crate) outputs: Outputs,
    /// By number; those of other processes are absent.
    pub(crate) tasks: Vec<Option<OwnTask>>,
    /// What the open transaction will have done.
    pub(crate) tally: Tally,
    pub(crate) decisions: Vec<Decision<Payload>>,
    /// How far a mark must advance to be told before [`MARK_INTERVAL`] is over.
    pub(crate) mark_step_ms: i64,
}

/// A task that is ours.
pub(crate) struct OwnTask {
    pub(crate) join: Task<Payload>,
    pub(crate) changelog: Writer,
    /// Whether something came since its last delta.
    pub(crate) touched: bool,
    /// What the other tasks were told last, and when.
    told: Option<(Watermark, Instant)>,
}

/// Where the rows of the own tasks are (rule 2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Balance {
    /// Rows without a fate yet.
    pub(crate) open_rows: u64,
    /// Whether every other row has exactly one.
    pub(crate) is_balanced: bool,
}

/// Whether a record is dealt with.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    /// It must be offered again once this schema is known.
    NeedsSchema(SchemaId),
}

/// A mark that moved is told at least this often (rule 8).
const MARK_INTERVAL: Duration = Duration::from_secs(1);

impl OwnTask {
    pub(crate) fn new(restored: Restored, topology: &Topology) -> Self {
        let Restored { task: join, bytes } = restored;
        let changelog = Writer::new(&topology.changelog.name, join.layout().task(), bytes);
        Self { join, changelog, touched: false, told: None }
    }

    /// Whether the other tasks must hear of this one's mark now.
    fn mark_is_due(&self, step_ms: i64) -> bool {
        let mark = self.join.inputs_watermark();
        match self.told {
            None => mark.idle || mark.at > EventTime::MIN,
            Some((told, _)) if told == mark => false,
            Some((told, _)) if told.idle != mark.idle => true,
            Some((told, when)) => {
                mark.at.millis_since(told.at) >= step_ms || when.elapsed() >= MARK_INTERVAL
            }
        }
    }
}

impl Work<'_> {
    /// Deals with one record of `source`. `missing` is its schema, if the registry has said that there is none.
    pub(crate) fn process(
        &mut self,
        source: Source,
        incoming: &Incoming<'_>,
        missing: Option<SchemaId>,
        now: WallTime,
    ) -> Step {
        match source {
            Source::Input(side, _) => self.input(source, side, incoming, missing, now),
            Source::Repartition(_) => match repartition::read(incoming) {
                Forwarded::Row(side, place) => {
                    self.arrival(source, side, &place, incoming, missing, now)
                }
                Forwarded::Marks(marks) => self.marks(source, &marks, now),
                Forwarded::Stray(fault) => {
                    let place = repartition::place_of(incoming);
                    self.reject(None, incoming, &place, &fault);
                    Step::Done
                }
            },
        }
    }

    /// A row that was read from an input.
    fn input(
        &mut self,
        source: Source,
        side: Side,
        incoming: &Incoming<'_>,
        missing: Option<SchemaId>,
        now: WallTime,
    ) -> Step {
        let origin = join::RowOrigin { partition: incoming.partition, offset: incoming.offset };
        let row = match self.read(side, origin, incoming, missing) {
            Ok(Ok(row)) => row,
            Ok(Err(fault)) => {
                self.reject(Some(side), incoming, &repartition::place_of(incoming), &fault);
                return Step::Done;
            }
            Err(id) => return Step::NeedsSchema(id),
        };
        let tasks = self.topology.tasks();
        let home = partition_for(row.trip_id.as_str().as_bytes(), tasks);
        let own = source.task(tasks);
        let task = own_task(&mut self.tasks, own);
        if home as usize == own {
            let fate = task.join.on_row(row, now, &mut self.decisions);
            self.count(side, fate);
        } else if task.join.pass_on(row, now, &mut self.decisions).is_some() {
            self.tally.forwarded[side.index()] += 1;
            let record =
                |incoming| repartition::forward(&self.topology.repartition, home, side, incoming);
            // The join has no use for headers, and only they can be too large.
            let rest = Incoming { headers: None, ..*incoming };
            self.transactions.send_or(record(incoming), record(&rest));
        }
        self.write_decisions(Some((side, incoming, None)));
        Step::Done
    }

    /// A row that has come home through the repartition topic.
    fn arrival(
        &mut self,
        source: Source,
        side: Side,
        place: &Place,
        incoming: &Incoming<'_>,
        missing: Option<SchemaId>,
        now: WallTime,
    ) -> Step {
        let row = match self.read(side, repartition::join_origin(place), incoming, missing) {
            Ok(Ok(row)) => row,
            Ok(Err(fault)) => {
                self.tally.arrived += 1;
                self.reject(Some(side), incoming, place, &fault);
                return Step::Done;
            }
            Err(id) => return Step::NeedsSchema(id),
        };
        self.tally.arrived += 1;
        let task = own_task(&mut self.tasks, source.task(self.topology.tasks()));
        let fate = task.join.on_forwarded_row(row, now, &mut self.decisions);
        self.count(side, fate);
        self.write_decisions(Some((side, incoming, Some(place))));
        Step::Done
    }

    fn marks(&mut self, source: Source, marks: &[SourceMark], now: WallTime) -> Step {
        let task = own_task(&mut self.tasks, source.task(self.topology.tasks()));
        for &SourceMark { task: of, mark } in marks {
            task.join.on_watermark(of, mark, now, &mut self.decisions);
        }
        self.write_decisions(None);
        Step::Done
    }

    /// The partition is read to its end.
    pub(crate) fn end(&mut self, source: Source, now: WallTime) {
        let task = source.task(self.topology.tasks());
        let join = &mut own_task(&mut self.tasks, task).join;
        match source {
            Source::Input(side, partition) => {
                join.on_end_of_input(side, partition, now, &mut self.decisions);
            }
            Source::Repartition(_) => join.on_end_of_repartition(now, &mut self.decisions),
        }
        self.write_decisions(None);
    }

    /// Time has passed for all tasks. Says whether there is something to commit that no row has brought.
    pub(crate) fn advance(&mut self, now: WallTime) {
        for task in self.tasks.iter_mut().flatten() {
            task.join.advance(now, &mut self.decisions);
            task.touched |= !self.decisions.is_empty();
        }
        self.write_decisions(None);
        if self.marks_are_due() {
            self.transactions.open();
        }
    }

    fn marks_are_due(&self) -> bool {
        let mut own = self.tasks.iter().flatten();
        self.topology.tasks() > 1 && own.any(|task| task.mark_is_due(self.mark_step_ms))
    }

    /// Tells every task how far ours have come, behind the rows that were forwarded in this transaction.
    pub(crate) fn tell_marks(&mut self) {
        if !self.marks_are_due() {
            return;
        }
        let now = Instant::now();
        let mut marks = Vec::new();
        for task in self.tasks.iter_mut().flatten() {
            let mark = task.join.inputs_watermark();
            if mark.idle || mark.at > EventTime::MIN {
                task.told = Some((mark, now));
                marks.push(SourceMark { task: task.join.layout().task(), mark });
            }
        }
        let value = repartition::marks_value(&marks);
        for home in 0..self.topology.tasks() {
            let record = repartition::marks_record(&self.topology.repartition, home, &value);
            self.transactions.send(record);
        }
    }

    /// Whether every row that the tasks know of has one fate or is open.
    pub(crate) fn balance(&self) -> Balance {
        let tasks = || self.tasks.iter().flatten().map(|task| &task.join);
        Balance {
            open_rows: tasks().map(|task| task.open_rows() as u64).sum(),
            is_balanced: tasks().all(Task::is_balanced),
        }
    }

    /// The partition is left unread for now.
    pub(crate) fn paused(&mut self, source: Source, now: WallTime) {
        let task = &mut self.tasks[source.task(self.topology.tasks())];
        if let (Source::Input(side, partition), Some(task)) = (source, task) {
            task.join.on_paused_input(side, partition, now);
        }
    }

    /// Counts the idle times of a task, or of all, from now on: until now nothing could come.
    pub(crate) fn restart_idle(&mut self, task: Option<usize>, now: WallTime) {
        for (number, own) in self.tasks.iter_mut().enumerate() {
            if let Some(own) = own
                && task.is_none_or(|task| task == number)
            {
                own.join.restart_idle(now);
            }
        }
    }

    /// A row, or what is wrong with the record; or the schema that must be known to tell.
    fn read(
        &self,
        side: Side,
        origin: join::RowOrigin,
        incoming: &Incoming<'_>,
        missing: Option<SchemaId>,
    ) -> Result<Result<join::Row<Payload>, Fault>, SchemaId> {
        match rows::read(side, origin, incoming, self.schemas) {
            Reading::Row(row) => Ok(Ok(row)),
            Reading::Faulty(fault) => Ok(Err(fault)),
            Reading::NeedsSchema(id) if missing == Some(id) => Ok(Err(rows::missing_schema(id))),
            Reading::NeedsSchema(id) => Err(id),
        }
    }

    fn count(&mut self, side: Side, fate: RowFate) {
        match fate {
            RowFate::Open | RowFate::Joined => self.tally.taken[side.index()] += 1,
            RowFate::Duplicate => self.tally.duplicates[side.index()] += 1,
            // Counted where it is written.
            RowFate::Rejected(_) => {}
        }
    }

    /// Writes what was decided. A rejected row is always the one that was just read: `current`, with the place
    /// where it was first read if it was forwarded.
    fn write_decisions(&mut self, current: Option<(Side, &Incoming<'_>, Option<&Place>)>) {
        if self.decisions.is_empty() {
            return;
        }
        let mut decisions = std::mem::take(&mut self.decisions);
        for decision in decisions.drain(..) {
            match decision {
                Decision::Joined(joined) => {
                    self.tally.joined += 1;
                    self.outputs.joined(joined, |record| self.transactions.send(record));
                }
                Decision::Unmatched(unmatched) => {
                    let rows = unmatched.payloads.iter().flatten().count();
                    self.tally.unmatched(unmatched.reason, rows);
                    self.outputs.unmatched(unmatched, |record| self.transactions.send(record));
                }
                Decision::Rejected(rejected) => {
                    let (side, incoming, place) =
                        current.expect("only a row that came is rejected");
                    let fault = Fault::from(rejected.reason);
                    let here = || repartition::place_of(incoming);
                    let place = place.cloned().unwrap_or_else(here);
                    self.reject(Some(side), incoming, &place, &fault);
                }
            }
        }
        self.decisions = decisions;
    }

    fn reject(
        &mut self,
        side: Option<Side>,
        incoming: &Incoming<'_>,
        place: &Place,
        fault: &Fault,
    ) {
        self.tally.reject(side, fault.reason);
        let (rejects, connector) = (&self.topology.rejects, self.connector);
        let times = self.reject_times;
        let record =
            |incoming| times.allowed(rejects::record(rejects, connector, incoming, place, fault));
        let rest = rejects::without_content(incoming);
        self.transactions.send_or(record(incoming), record(&rest));
    }
}

fn own_task(tasks: &mut [Option<OwnTask>], number: usize) -> &mut OwnTask {
    let task = tasks[number].as_mut().expect("only partitions of own tasks are read");
    task.touched = true;
    task
}

/// Those of `sources` whose task is not among our `own`: with it, the group has given its repartition partition to
/// another member.
pub(crate) fn orphans(
    sources: impl Iterator<Item = Source>,
    own: &[Partition],
    tasks: Partition,
) -> Vec<Source> {
    sources.filter(|source| !own.contains(&(source.task(tasks) as Partition))).collect()
}
