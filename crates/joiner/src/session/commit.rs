//! What goes with a commit, and what is done when it has succeeded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use models::Partition;
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

use super::{Session, SessionError, wall_time};
use crate::group::{Feed, Source};
use crate::metrics::Standing;
use crate::tally::Tally;
use crate::work::Balance;

const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What was committed, for those who want to hear of it.
pub(super) struct Receipt {
    asked: Instant,
    tally: Tally,
    balance: Balance,
    /// Where the tasks stand with it.
    standings: Vec<Standing>,
    /// Up to where the repartition partitions are read.
    read: Vec<(Partition, i64)>,
    /// Up to where the changelog's partitions are obsolete.
    obsolete: Vec<(Partition, i64)>,
}

impl Session<'_> {
    /// Asks for a commit of the open transaction, if there is one: marks, changelog and offsets go with it.
    pub(super) fn commit(&mut self) {
        if !self.work.transactions.is_open() {
            return;
        }
        let asked = Instant::now();
        self.work.advance(wall_time());
        self.work.tell_marks();
        let obsolete = self.write_changelog();
        let membership =
            self.membership.as_ref().expect("what is written belongs to an assignment");
        self.work.transactions.commit(offsets(&self.feeds), Arc::clone(membership));
        let mut read = Vec::new();
        for feed in &mut self.feeds {
            if std::mem::take(&mut feed.uncommitted)
                && let Source::Repartition(partition) = feed.source
            {
                read.push((partition, feed.next));
            }
        }
        let tally = std::mem::take(&mut self.work.tally);
        let balance = self.work.balance();
        let tasks = self.work.tasks.iter().flatten();
        let standings = tasks.map(|task| Standing::from(&task.join)).collect();
        self.committing = Some(Receipt { asked, tally, balance, standings, read, obsolete });
    }

    /// Commits what there is, and returns when Kafka has it.
    pub(super) fn commit_and_wait(&mut self) -> Result<(), SessionError> {
        self.settle()?;
        self.commit();
        self.settle()
    }

    fn settle(&mut self) -> Result<(), SessionError> {
        if self.work.transactions.settle()? {
            self.committed();
        }
        Ok(())
    }

    /// The commit that was asked for has succeeded.
    pub(super) fn committed(&mut self) {
        let receipt = self.committing.take().expect("only what was asked for is committed");
        let Receipt { asked, tally, balance, standings, read, obsolete } = receipt;
        self.commits += 1;
        for (partition, next) in read {
            self.env.cleaner.read_up_to(partition, next);
        }
        for (partition, end) in obsolete {
            self.env.cleaner.snapshot_at(partition, end);
        }
        let now = wall_time();
        for standing in &standings {
            self.env.metrics.standing(standing, now);
        }
        self.env.metrics.committed(&tally, asked.elapsed());
        self.env.report.committed(&tally, balance);
    }

    /// Appends what changed in the tasks. Where that is all there is, what lies before the given ends is obsolete.
    fn write_changelog(&mut self) -> Vec<(Partition, i64)> {
        let mut obsolete = Vec::new();
        let topic = &self.env.topology.changelog.name;
        for task in self.work.tasks.iter_mut().flatten().filter(|task| task.touched) {
            let transactions = &mut self.work.transactions;
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

/// What a transaction says of the partitions: where those have come to that were read from, and in any case that of
/// each task's repartition partition. It is by these that Kafka tells a task's owner from a former one, and that
/// a new owner waits for us; and a transaction may have nothing but what time has decided.
fn offsets(feeds: &[Feed]) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::new();
    for feed in feeds {
        if feed.uncommitted || matches!(feed.source, Source::Repartition(_)) {
            offsets
                .add_partition_offset(&feed.topic, feed.partition, Offset::Offset(feed.next))
                .expect("an offset is not negative");
        }
    }
    offsets
}
