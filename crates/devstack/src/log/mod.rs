//! One partition: its offsets, its producers, its aborted transactions. The batches themselves are in the storage.

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

/// The last offset that can be stored, and some room for markers.
const LAST_OFFSET: i64 = (1 << 40) - (1 << 20);

/// A transaction that was aborted, as a read_committed consumer must know it to skip its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    /// Offset of its first record in this log.
    pub(crate) first_offset: i64,
    /// Offset of its marker.
    pub(crate) last_offset: i64,
}

/// What is stored of a log beside its batches.
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

/// Where a produced batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacedBatch {
    pub(crate) base_offset: i64,
    /// The broker's time, if the topic's timestamps are the time of appending.
    pub(crate) log_append_time: Option<Millis>,
}

impl Log {
    /// A log without records.
    pub(crate) fn create(id: LogId, changes: &mut Vec<Change>) -> Self {
        let log = Self::new(id, 0, 0);
        log.store_start(changes);
        log
    }

    fn new(id: LogId, start: i64, end: i64) -> Self {
        let (producers, aborted, waiting) = (Producers::default(), Vec::new(), Vec::new());
        Self { id, start, end, producers, aborted, waiting }
    }

    /// A log as it was stored: its entry, and the end of its last batch, if it has one.
    pub(crate) fn restore(id: LogId, json: &str, end: Option<i64>) -> serde_json::Result<Self> {
        let StoredLog { start } = serde_json::from_str(json)?;
        Ok(Self::new(id, start, end.unwrap_or(start).max(start)))
    }

    /// Puts back a producer that was stored.
    pub(crate) fn restore_producer(&mut self, producer_id: i64, producer: Producer) {
        self.producers.restore(producer_id, producer);
    }

    /// Puts back an aborted transaction that was stored.
    pub(crate) fn restore_aborted(&mut self, transaction: AbortedTransaction) {
        self.aborted.push(transaction);
    }

    /// What names it in the storage.
    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// Offset of the first record that is not deleted.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// Offset of the next record. There is one replica, so this is the high watermark, too.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Where a read_committed reader must stop: at the first record of an open transaction.
    pub(crate) fn last_stable(&self) -> i64 {
        self.producers.first_open().unwrap_or(self.end)
    }

    /// Who writes to it.
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

    /// Appends a batch that was validated, unless it is here already.
    ///
    /// # Errors
    ///
    /// Those of [`Producers::check`]; `KAFKA_STORAGE_ERROR` if the storage has no such high offsets.
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

    /// Ends a producer's transaction in this log with a marker, which takes an offset of its own.
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

    /// Deletes all records below `offset`, and with them what is known of transactions that ended there.
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

    /// Forgets producers that have not written since `oldest`.
    pub(crate) fn expire_producers(&mut self, oldest: Millis, changes: &mut Vec<Change>) {
        for producer_id in self.producers.expire(oldest) {
            changes.push(Change::delete(Table::Producers, key(self.id, producer_id)));
        }
    }

    /// Deletes all that is stored of it.
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

    /// Lets `reader` know when something is appended next, or the last stable offset moves.
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

/// `<log>/<number>`, as [`Table::Producers`] and [`Table::Aborted`] have it.
fn key(log: LogId, number: i64) -> String {
    format!("{log}/{number}")
}

/// The two numbers of a key.
pub(crate) fn parse_key(key: &str) -> Option<(LogId, i64)> {
    let (log, number) = key.split_once('/')?;
    Some((log.parse().ok()?, number.parse().ok()?))
}
