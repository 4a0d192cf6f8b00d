//! The log of a partition: its offsets, producers and aborted transactions. The batches are in the storage.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::batch::{BatchHeader, Marker, control_batch};
use crate::clock::Millis;
use crate::storage::{Change, LogId, StoredBatch, Table};

pub(crate) mod producers;

use producers::{AppendVerdict, Producer, Producers};

/// The last offset that clients can write. The storage has room for some markers after it.
const LAST_OFFSET: i64 = (1 << 40) - (1 << 20);

/// An aborted transaction, whose records a read_committed consumer must skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    /// Offset of its first record in this log.
    pub(crate) first_offset: i64,
    /// Offset of its marker.
    pub(crate) last_offset: i64,
}

/// A log without its batches, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredLog {
    start: i64,
}

/// One partition of a topic.
#[derive(Debug)]
pub(crate) struct Log {
    id: LogId,
    start: i64,
    end: i64,
    producers: Producers,
    aborted: Vec<AbortedTransaction>,
    waiting: Vec<Weak<Notify>>,
}

/// The place of a produced batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacedBatch {
    pub(crate) base_offset: i64,
    /// The time of appending, in a topic with `message.timestamp.type=LogAppendTime`.
    pub(crate) log_append_time: Option<Millis>,
}

impl Log {
    /// Creates an empty log.
    pub(crate) fn create(id: LogId, changes: &mut Vec<Change>) -> Self {
        let log = Self::new(id, 0, 0);
        log.store_start(changes);
        log
    }

    fn new(id: LogId, start: i64, end: i64) -> Self {
        let (producers, aborted, waiting) = (Producers::default(), Vec::new(), Vec::new());
        Self { id, start, end, producers, aborted, waiting }
    }

    /// Loads a log from its entry and the offset after its last batch, if it has one.
    pub(crate) fn restore(id: LogId, json: &str, end: Option<i64>) -> serde_json::Result<Self> {
        let StoredLog { start } = serde_json::from_str(json)?;
        Ok(Self::new(id, start, end.unwrap_or(start).max(start)))
    }

    /// Adds a stored producer.
    pub(crate) fn restore_producer(&mut self, producer_id: i64, producer: Producer) {
        self.producers.restore(producer_id, producer);
    }

    /// Adds a stored aborted transaction.
    pub(crate) fn restore_aborted(&mut self, transaction: AbortedTransaction) {
        self.aborted.push(transaction);
    }

    /// Its id in the storage.
    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// Offset of the first record that is not deleted.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// Offset of the next record. With one replica this is also the high watermark.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// The last stable offset: the first record of an open transaction, or the end. A read_committed reader stops
    /// there.
    pub(crate) fn last_stable(&self) -> i64 {
        self.producers.first_open().unwrap_or(self.end)
    }

    /// The producers that write to it.
    pub(crate) fn producers(&self) -> &Producers {
        &self.producers
    }

    /// The aborted transactions that have records from `from` to before `to`.
    pub(crate) fn aborted_between(
        &self,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = &AbortedTransaction> {
        self.aborted
            .iter()
            .filter(move |aborted| aborted.last_offset >= from && aborted.first_offset < to)
    }

    /// Appends a validated batch, unless it is a duplicate.
    ///
    /// # Errors
    ///
    /// Those of [`Producers::check`], and `KAFKA_STORAGE_ERROR` if the log has reached the last offset.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        bytes: Bytes,
        log_append_time: Option<Millis>,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Result<PlacedBatch, ResponseError> {
        match self.producers.check(header)? {
            AppendVerdict::Duplicate { base_offset, timestamp } => {
                let log_append_time = log_append_time.map(|_| timestamp);
                return Ok(PlacedBatch { base_offset, log_append_time });
            }
            AppendVerdict::Append => {}
        }
        let base_offset = self.end;
        if base_offset > LAST_OFFSET - i64::from(header.record_count) {
            return Err(ResponseError::KafkaStorageError);
        }
        let batch = header.place(bytes, base_offset, log_append_time);
        let max_timestamp = batch.max_timestamp;
        self.add(batch, changes);
        if let Some((producer_id, producer)) =
            self.producers.appended(header, base_offset, max_timestamp, now)
        {
            changes.push(Change::put(Table::Producers, key(self.id, producer_id), producer));
        }
        Ok(PlacedBatch { base_offset, log_append_time })
    }

    /// Ends a producer's transaction in this log with a marker, which has its own offset.
    pub(crate) fn end_transaction(
        &mut self,
        end: Marker,
        producer_id: i64,
        epoch: i16,
        now: Millis,
        changes: &mut Vec<Change>,
    ) {
        let marker = self.end;
        self.add(control_batch(end, marker, producer_id, epoch, 0, now), changes);
        let (open_since, producer) = self.producers.end_transaction(producer_id, epoch, now);
        changes.push(Change::put(Table::Producers, key(self.id, producer_id), producer));
        if let (Marker::Abort, Some(first_offset)) = (end, open_since) {
            let aborted = AbortedTransaction { producer_id, first_offset, last_offset: marker };
            changes.push(Change::put(Table::Aborted, key(self.id, marker), &aborted));
            self.aborted.push(aborted);
        }
    }

    fn add(&mut self, batch: StoredBatch, changes: &mut Vec<Change>) {
        self.end = batch.last_offset + 1;
        changes.push(Change::Append { log: self.id, batch });
        self.wake();
    }

    /// Deletes all records below `offset`, and the aborted transactions that ended there.
    pub(crate) fn delete_below(&mut self, offset: i64, changes: &mut Vec<Change>) {
        if offset <= self.start {
            return;
        }
        self.start = offset;
        self.store_start(changes);
        changes.push(Change::Trim { log: self.id, offset });
        let id = self.id;
        self.aborted.retain(|aborted| {
            let stays = aborted.last_offset >= offset;
            if !stays {
                changes.push(Change::delete(Table::Aborted, key(id, aborted.last_offset)));
            }
            stays
        });
    }

    /// Removes producers that have not written since `oldest`.
    pub(crate) fn expire_producers(&mut self, oldest: Millis, changes: &mut Vec<Change>) {
        for producer_id in self.producers.expire(oldest) {
            changes.push(Change::delete(Table::Producers, key(self.id, producer_id)));
        }
    }

    /// Deletes the log from the storage.
    pub(crate) fn delete(self, changes: &mut Vec<Change>) {
        changes.push(Change::Drop { log: self.id });
        changes.push(Change::delete(Table::Logs, self.id.to_string()));
        for producer_id in self.producers.ids() {
            changes.push(Change::delete(Table::Producers, key(self.id, producer_id)));
        }
        for aborted in &self.aborted {
            changes.push(Change::delete(Table::Aborted, key(self.id, aborted.last_offset)));
        }
        for reader in self.waiting.iter().filter_map(Weak::upgrade) {
            reader.notify_one();
        }
    }

    /// Notifies `reader` at the next append, or when the last stable offset moves.
    pub(crate) fn wait(&mut self, reader: &Arc<Notify>) {
        let new = Arc::downgrade(reader);
        self.waiting.retain(|waiting| waiting.strong_count() > 0 && !waiting.ptr_eq(&new));
        self.waiting.push(new);
    }

    fn wake(&mut self) {
        for reader in self.waiting.drain(..).filter_map(|waiting| waiting.upgrade()) {
            reader.notify_one();
        }
    }

    fn store_start(&self, changes: &mut Vec<Change>) {
        let entry = StoredLog { start: self.start };
        changes.push(Change::put(Table::Logs, self.id.to_string(), &entry));
    }
}

/// `<log>/<number>`: a key of [`Table::Producers`] or [`Table::Aborted`].
fn key(log: LogId, number: i64) -> String {
    format!("{log}/{number}")
}

/// The two numbers of a key.
pub(crate) fn parse_key(key: &str) -> Option<(LogId, i64)> {
    let (log, number) = key.split_once('/')?;
    Some((log.parse().ok()?, number.parse().ok()?))
}
