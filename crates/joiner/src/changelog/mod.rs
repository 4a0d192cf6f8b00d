//! Keeps the state of the tasks in a topic of its own, with one partition for each task (rule 10).

mod format;
mod restore;

use join::{Task, TripRef};
use kafka::transaction::Record;
use models::Partition;

use crate::avro_payload::AvroPayload;
use crate::transaction::TransactionPipeline;

use format::RecordWriter;
pub(crate) use restore::{RestoreFailure, Restored, Restorer};

/// How large a record may become: half of what Kafka takes by default (`max.message.bytes`).
const MAX_RECORD_BYTES: usize = 512 * 1024;

/// While a restore would read less than this, no snapshot is due.
const LEAST_SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;

/// Writes the changes of one task, and from time to time a snapshot of it.
#[derive(Debug)]
pub(crate) struct ChangelogWriter {
    topic: String,
    partition: Partition,
    /// Bytes that a restore would read.
    written: usize,
    records: RecordWriter,
}

impl ChangelogWriter {
    /// Goes on after a restore that has read `written` bytes.
    pub(crate) fn new(topic: &str, partition: Partition, written: usize) -> Self {
        let records = RecordWriter::new(MAX_RECORD_BYTES);
        Self { topic: topic.to_owned(), partition, written, records }
    }

    /// Whether the changes since the last snapshot take much more than a snapshot would.
    pub(crate) fn snapshot_is_due(&self, task: &Task<AvroPayload>) -> bool {
        self.written > LEAST_SNAPSHOT_BYTES.max(2 * task.state_bytes())
    }

    /// Appends to the transaction what changed since the last call.
    pub(crate) fn delta(
        &mut self,
        task: &mut Task<AvroPayload>,
        transactions: &mut TransactionPipeline,
    ) {
        self.records.begin(&task.task_state(), false);
        let drained = task.drain_delta(|trip| self.append(&trip, transactions));
        drained.expect("the changelog is on");
        self.finish(transactions);
    }

    /// Appends the whole state to the transaction. Once that is committed, older records are obsolete.
    pub(crate) fn snapshot(
        &mut self,
        task: &mut Task<AvroPayload>,
        transactions: &mut TransactionPipeline,
    ) {
        self.written = 0;
        task.forget_delta();
        self.records.begin(&task.task_state(), true);
        for trip in task.trips() {
            self.append(&trip, transactions);
        }
        self.finish(transactions);
    }

    fn append(&mut self, trip: &TripRef<'_, AvroPayload>, transactions: &mut TransactionPipeline) {
        let Self { topic, partition, written, records } = self;
        records.trip(trip, |record| {
            *written += record.len();
            transactions.send(changelog_record(topic, *partition, record));
        });
    }

    fn finish(&mut self, transactions: &mut TransactionPipeline) {
        let record = self.records.last();
        self.written += record.len();
        transactions.send(changelog_record(&self.topic, self.partition, record));
    }
}

fn changelog_record<'r>(topic: &'r str, partition: Partition, value: &'r [u8]) -> Record<'r> {
    Record { topic, partition, value: Some(value), ..Record::default() }
}
