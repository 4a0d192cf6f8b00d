//! The state of the tasks in a topic of its own, one partition a task (rule 10).

mod format;
mod restore;

use join::Task;
use kafka::transaction::{Record, TransactionError};
use models::Partition;

use crate::payload::Payload;
use crate::transaction::Transactions;

pub(crate) use restore::{RestoreFailure, Restored, Restorer};

/// How large a record may become: half of what Kafka takes by default (`max.message.bytes`).
const MAX_RECORD_BYTES: usize = 512 * 1024;

/// A state smaller than this is not worth a snapshot.
const LEAST_SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;

/// Writes what changed in one task, and from time to time all of it.
#[derive(Debug)]
pub(crate) struct Writer {
    topic: String,
    partition: Partition,
    /// Bytes that a restore would read.
    written: usize,
}

impl Writer {
    /// Goes on behind `written` bytes that are in the partition.
    pub(crate) fn new(topic: &str, partition: Partition, written: usize) -> Self {
        Self { topic: topic.to_owned(), partition, written }
    }

    /// Whether the deltas have outgrown the state, so that a snapshot is the shorter way to say it.
    pub(crate) fn snapshot_is_due(&self, task: &Task<Payload>) -> bool {
        self.written > LEAST_SNAPSHOT_BYTES.max(2 * task.state_bytes())
    }

    /// Appends what changed since the last call to the transaction.
    pub(crate) fn delta(
        &mut self,
        task: &mut Task<Payload>,
        transactions: &mut Transactions,
    ) -> Result<(), TransactionError> {
        let changes = task.take_delta().expect("the changelog is on");
        self.append(&format::encode(&changes, false, MAX_RECORD_BYTES), transactions)
    }

    /// Appends the whole state to the transaction; what was before it is of no use once that is committed.
    pub(crate) fn snapshot(
        &mut self,
        task: &mut Task<Payload>,
        transactions: &mut Transactions,
    ) -> Result<(), TransactionError> {
        self.written = 0;
        self.append(&format::encode(&task.take_snapshot(), true, MAX_RECORD_BYTES), transactions)
    }

    fn append(
        &mut self,
        records: &[Vec<u8>],
        transactions: &mut Transactions,
    ) -> Result<(), TransactionError> {
        for value in records {
            self.written += value.len();
            transactions.send(Record {
                topic: &self.topic,
                partition: self.partition,
                value: Some(value),
                ..Record::default()
            })?;
        }
        Ok(())
    }
}
