//! Processes each record: asks the join, and writes its decisions in the open transaction.

mod own_task;

use std::time::Instant;

use avro_schemas::SchemaId;
use join::{Decision, RowFate, RowOrigin, Task, WallTime};
use kafka::headers::Origin;
use kafka::partitioner::partition_for;
use models::Side;

use crate::avro_payload::AvroPayload;
use crate::consumer_record::ConsumerRecord;
use crate::fate_counts::{Balance, FateCounts};
use crate::outputs::Outputs;
use crate::rejects::{self, RejectTimes, RowFault};
use crate::repartition::{self, RepartitionRecord, SentWatermark};
use crate::rows::{self, ParsedRow};
use crate::schemas::Schemas;
use crate::source_partition::SourcePartition;
use crate::topology::Topology;
use crate::transaction::TransactionPipeline;

pub(crate) use own_task::OwnTask;

/// The tasks of this process, and the transaction that their decisions are written in.
pub(crate) struct Processor<'e> {
    pub(crate) topology: &'e Topology,
    pub(crate) schemas: &'e Schemas,
    /// The name of the joiner in the headers of a reject.
    pub(crate) connector: &'e str,
    pub(crate) reject_times: &'e RejectTimes,
    pub(crate) transactions: TransactionPipeline,
    pub(crate) outputs: Outputs,
    /// By number. A task of another process is `None`.
    pub(crate) tasks: Vec<Option<OwnTask>>,
    /// What the open transaction contains.
    pub(crate) counts: FateCounts,
    /// Used again from record to record.
    pub(crate) decisions: Vec<Decision<AvroPayload>>,
    /// A watermark that has moved by so much since it was last sent is sent at once.
    pub(crate) watermark_step_ms: i64,
}

/// Whether a record is processed.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processed {
    Done,
    /// It must be processed again once this schema is known. Nothing was done with it.
    NeedsSchema(SchemaId),
}

impl Processor<'_> {
    /// Processes one record of `source`.
    pub(crate) fn process(
        &mut self,
        source: SourcePartition,
        record: &ConsumerRecord<'_>,
        now: WallTime,
    ) -> Processed {
        match source {
            SourcePartition::Input(side, _) => self.input(source, side, record, now),
            SourcePartition::Repartition(_) => match repartition::read(record) {
                RepartitionRecord::Row(side, origin) => {
                    self.forwarded(source, side, &origin, record, now)
                }
                RepartitionRecord::Watermarks(watermarks) => {
                    self.watermarks(source, &watermarks, now)
                }
                RepartitionRecord::Stray(fault) => {
                    self.reject(None, record, None, &fault);
                    Processed::Done
                }
            },
        }
    }

    /// A row of an input. It belongs to this task, or is forwarded to its home task.
    fn input(
        &mut self,
        source: SourcePartition,
        side: Side,
        record: &ConsumerRecord<'_>,
        now: WallTime,
    ) -> Processed {
        let row_origin = RowOrigin { partition: record.partition, offset: record.offset };
        let row = match rows::parse(side, row_origin, record, self.schemas) {
            ParsedRow::Row(row) => row,
            ParsedRow::NeedsSchema(id) => return Processed::NeedsSchema(id),
            ParsedRow::Faulty(fault) => {
                self.reject(Some(side), record, None, &fault);
                return Processed::Done;
            }
        };
        let tasks = self.topology.tasks();
        let home = partition_for(row.trip_id.as_str().as_bytes(), tasks);
        let own = source.task(tasks);
        let task = own_task(&mut self.tasks, own);
        if home as usize == own {
            let fate = task.join.on_row(row, now, &mut self.decisions);
            self.count(side, fate);
        } else if task.join.pass_on(row, now, &mut self.decisions).is_some() {
            self.counts.forwarded[side.index()] += 1;
            let forward =
                |record| repartition::forward(&self.topology.repartition, home, side, record);
            // The join has no use for headers, and only they can be too large.
            let without_headers = ConsumerRecord { headers: None, ..*record };
            self.transactions.send_or(forward(record), forward(&without_headers));
        }
        self.write_decisions(Some((side, record, None)));
        Processed::Done
    }

    /// A row that another task, or this one, has forwarded to its home: this task. It was first read at `origin`.
    fn forwarded(
        &mut self,
        source: SourcePartition,
        side: Side,
        origin: &Origin,
        record: &ConsumerRecord<'_>,
        now: WallTime,
    ) -> Processed {
        let row_origin = repartition::row_origin(origin);
        let row = match rows::parse(side, row_origin, record, self.schemas) {
            ParsedRow::Row(row) => row,
            ParsedRow::NeedsSchema(id) => return Processed::NeedsSchema(id),
            ParsedRow::Faulty(fault) => {
                self.counts.arrived += 1;
                self.reject(Some(side), record, Some(origin), &fault);
                return Processed::Done;
            }
        };
        self.counts.arrived += 1;
        let task = own_task(&mut self.tasks, source.task(self.topology.tasks()));
        let fate = task.join.on_forwarded_row(row, now, &mut self.decisions);
        self.count(side, fate);
        self.write_decisions(Some((side, record, Some(origin))));
        Processed::Done
    }

    /// The watermarks of other tasks.
    fn watermarks(
        &mut self,
        source: SourcePartition,
        watermarks: &[SentWatermark],
        now: WallTime,
    ) -> Processed {
        let task = own_task(&mut self.tasks, source.task(self.topology.tasks()));
        for &SentWatermark { task: of, watermark } in watermarks {
            task.join.on_watermark(of, watermark, now, &mut self.decisions);
        }
        self.write_decisions(None);
        Processed::Done
    }

    /// The partition is read to its end.
    pub(crate) fn end(&mut self, source: SourcePartition, now: WallTime) {
        let task = source.task(self.topology.tasks());
        let join = &mut own_task(&mut self.tasks, task).join;
        match source {
            SourcePartition::Input(side, partition) => {
                join.on_end_of_input(side, partition, now, &mut self.decisions);
            }
            SourcePartition::Repartition(_) => {
                join.on_end_of_repartition(now, &mut self.decisions);
            }
        }
        self.write_decisions(None);
    }

    /// The partition is not read in this round.
    pub(crate) fn paused(&mut self, source: SourcePartition, now: WallTime) {
        let task = &mut self.tasks[source.task(self.topology.tasks())];
        if let (SourcePartition::Input(side, partition), Some(task)) = (source, task) {
            task.join.on_paused_input(side, partition, now);
        }
    }

    /// Counts the idle times of a task, or of all tasks, from now on: until now no row could come.
    pub(crate) fn restart_idle(&mut self, task: Option<usize>, now: WallTime) {
        for (number, own) in self.tasks.iter_mut().enumerate() {
            if let Some(own) = own
                && task.is_none_or(|task| task == number)
            {
                own.join.restart_idle(now);
            }
        }
    }

    /// Time has passed for all tasks. Opens a transaction if a watermark must be sent: no row may come that would open
    /// one.
    pub(crate) fn advance(&mut self, now: WallTime) {
        for task in self.tasks.iter_mut().flatten() {
            task.join.advance(now, &mut self.decisions);
            task.touched |= !self.decisions.is_empty();
        }
        self.write_decisions(None);
        if self.watermarks_are_due() {
            self.transactions.open();
        }
    }

    fn watermarks_are_due(&self) -> bool {
        let mut own = self.tasks.iter().flatten();
        self.topology.tasks() > 1 && own.any(|task| task.watermark_is_due(self.watermark_step_ms))
    }

    /// Sends the watermarks of our tasks to every task, behind the rows that were forwarded in this transaction.
    pub(crate) fn send_watermarks(&mut self) {
        if !self.watermarks_are_due() {
            return;
        }
        let now = Instant::now();
        let mut watermarks = Vec::new();
        for task in self.tasks.iter_mut().flatten() {
            if let Some(watermark) = task.watermark_to_send(now) {
                watermarks.push(SentWatermark { task: task.join.layout().task(), watermark });
            }
        }
        let value = repartition::watermarks_value(&watermarks);
        for home in 0..self.topology.tasks() {
            let record = repartition::watermarks_record(&self.topology.repartition, home, &value);
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

    fn count(&mut self, side: Side, fate: RowFate) {
        match fate {
            RowFate::Open | RowFate::Joined => self.counts.taken[side.index()] += 1,
            RowFate::Duplicate => self.counts.duplicates[side.index()] += 1,
            // Counted where it is written.
            RowFate::Rejected(_) => {}
        }
    }

    /// Writes what was decided. Only the row that was just processed can be rejected: `current`, with the origin
    /// where it was first read if it was forwarded.
    fn write_decisions(&mut self, current: Option<(Side, &ConsumerRecord<'_>, Option<&Origin>)>) {
        if self.decisions.is_empty() {
            return;
        }
        let mut decisions = std::mem::take(&mut self.decisions);
        for decision in decisions.drain(..) {
            match decision {
                Decision::Joined(joined) => {
                    self.counts.joined += 1;
                    self.outputs.joined(joined, |record| self.transactions.send(record));
                }
                Decision::Unmatched(unmatched) => {
                    let rows = unmatched.payloads.iter().flatten().count();
                    self.counts.unmatched(unmatched.reason, rows);
                    self.outputs.unmatched(unmatched, |record| self.transactions.send(record));
                }
                Decision::Rejected(rejected) => {
                    let (side, record, origin) = current.expect("only a row that came is rejected");
                    let fault = RowFault::from(rejected.reason);
                    self.reject(Some(side), record, origin, &fault);
                }
            }
        }
        self.decisions = decisions;
    }

    /// Writes a reject. `origin` is where the row was first read, if it was forwarded.
    fn reject(
        &mut self,
        side: Option<Side>,
        record: &ConsumerRecord<'_>,
        origin: Option<&Origin>,
        fault: &RowFault,
    ) {
        let here;
        let origin = if let Some(origin) = origin {
            origin
        } else {
            here = repartition::origin_of(record);
            &here
        };
        self.counts.reject(side, fault.reason);
        let (rejects, connector) = (&self.topology.rejects, self.connector);
        let times = self.reject_times;
        let reject =
            |record| times.allowed(rejects::record(rejects, connector, record, origin, fault));
        let without_content = rejects::without_content(record);
        self.transactions.send_or(reject(record), reject(&without_content));
    }
}

fn own_task(tasks: &mut [Option<OwnTask>], number: usize) -> &mut OwnTask {
    let task = tasks[number].as_mut().expect("only partitions of own tasks are read");
    task.touched = true;
    task
}
