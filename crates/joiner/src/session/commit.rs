//! What is part of a commit, and what is done once it has succeeded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use models::Partition;
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

use super::error::SessionError;
use super::{Session, wall_time};
use crate::fate_counts::{Balance, FateCounts};
use crate::group::AssignedPartition;
use crate::metrics::TaskStatus;
use crate::source_partition::SourcePartition;

const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A commit that was asked for: what is done once it has succeeded.
pub(super) struct PendingCommit {
    asked: Instant,
    counts: FateCounts,
    balance: Balance,
    /// The tasks with what is committed.
    tasks: Vec<TaskStatus>,
    /// Up to which offset the repartition partitions are read.
    read: Vec<(Partition, i64)>,
    /// Up to which offset the changelog's partitions may be deleted.
    obsolete: Vec<(Partition, i64)>,
}

impl Session<'_> {
    /// Asks for a commit of the open transaction, if there is one. Watermarks, changelog and offsets are part of it.
    pub(super) fn commit(&mut self) {
        if !self.processor.transactions.is_open() {
            return;
        }
        let asked = Instant::now();
        self.processor.advance(wall_time());
        self.processor.send_watermarks();
        let obsolete = self.write_changelog();
        let membership =
            self.membership.as_ref().expect("what is written belongs to an assignment");
        self.processor.transactions.commit(offsets(&self.partitions), Arc::clone(membership));
        let mut read = Vec::new();
        for assigned in &mut self.partitions {
            if std::mem::take(&mut assigned.uncommitted)
                && let SourcePartition::Repartition(partition) = assigned.source
            {
                read.push((partition, assigned.next_offset));
            }
        }
        let counts = std::mem::take(&mut self.processor.counts);
        let balance = self.processor.balance();
        let tasks = self.processor.tasks.iter().flatten();
        let tasks = tasks.map(|task| TaskStatus::from(&task.join)).collect();
        self.committing = Some(PendingCommit { asked, counts, balance, tasks, read, obsolete });
    }

    /// Commits what was processed, and returns once Kafka has committed it.
    pub(super) fn commit_and_wait(&mut self) -> Result<(), SessionError> {
        self.settle()?;
        self.commit();
        self.settle()
    }

    fn settle(&mut self) -> Result<(), SessionError> {
        if self.processor.transactions.settle()? {
            self.committed();
        }
        Ok(())
    }

    /// The commit that was asked for has succeeded.
    pub(super) fn committed(&mut self) {
        let pending = self.committing.take().expect("only what was asked for is committed");
        let PendingCommit { asked, counts, balance, tasks, read, obsolete } = pending;
        self.commits += 1;
        for (partition, next_offset) in read {
            self.env.purger.read_up_to(partition, next_offset);
        }
        for (partition, end) in obsolete {
            self.env.purger.snapshot_at(partition, end);
        }
        let now = wall_time();
        for task in &tasks {
            self.env.metrics.task(task, now);
        }
        self.env.metrics.committed(&counts, asked.elapsed());
        self.env.summary.committed(&counts, balance);
    }

    /// Appends to the changelog what changed in the tasks, or a snapshot where one is due. After a snapshot, older
    /// records may be deleted: returns the partitions that got one, with the offset at which they ended before it.
    fn write_changelog(&mut self) -> Vec<(Partition, i64)> {
        let mut obsolete = Vec::new();
        let topic = &self.env.topology.changelog.name;
        for task in self.processor.tasks.iter_mut().flatten().filter(|task| task.touched) {
            let transactions = &mut self.processor.transactions;
            task.touched = false;
            if task.changelog.snapshot_is_due(&task.join) {
                let partition = task.join.layout().task();
                let end = self.group.end_of(topic, partition, END_TIMEOUT);
                task.changelog.snapshot(&mut task.join, transactions);
                match end {
                    Ok(end) => obsolete.push((partition, end)),
                    Err(error) => debug!(%error, partition, "the changelog is not shortened"),
                }
            } else {
                task.changelog.delta(&mut task.join, transactions);
            }
        }
        obsolete
    }
}

/// The offsets that go with a transaction: those of all partitions that were read from, and in any case that of
/// each task's repartition partition. By these Kafka refuses a commit of a former owner, and a new owner waits for
/// us. A transaction without a row may still contain what time has decided.
fn offsets(partitions: &[AssignedPartition]) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::new();
    for assigned in partitions {
        if assigned.uncommitted || matches!(assigned.source, SourcePartition::Repartition(_)) {
            offsets
                .add_partition_offset(
                    &assigned.topic,
                    assigned.partition,
                    Offset::Offset(assigned.next_offset),
                )
                .expect("an offset is not negative");
        }
    }
    offsets
}
