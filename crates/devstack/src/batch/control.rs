//! Control batches: the marker that ends a transaction in a partition (KIP-98; Kafka's `EndTransactionMarker`).

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::records::put_record;
use super::{BatchHeader, CONTROL, InvalidBatch, NO_SEQUENCE, Records, TRANSACTIONAL};
use crate::clock::Millis;
use crate::storage::StoredBatch;

/// The version of the key and of the value.
const VERSION: i16 = 0;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Marker {
    /// Its records are not to be read.
    Abort,
    /// Its records are to be read.
    Commit,
}

impl Marker {
    /// Kafka's `ControlRecordType`.
    const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }

    /// The marker in a control batch, if it ends a transaction.
    pub(crate) fn of(batch: &Bytes) -> Result<Option<Self>, InvalidBatch> {
        let record = Records::of(batch)?.next().transpose()?;
        let key = record.and_then(|record| record.key());
        let id = key.and_then(|key| key.get(2..4).map(|id| i16::from_be_bytes([id[0], id[1]])));
        Ok([Self::Abort, Self::Commit].into_iter().find(|marker| Some(marker.id()) == id))
    }
}

/// The batch that ends the transaction of a producer in a partition.
pub(crate) fn control_batch(
    marker: Marker,
    base_offset: i64,
    producer_id: i64,
    producer_epoch: i16,
    coordinator_epoch: i32,
    now: Millis,
) -> StoredBatch {
    let mut key = Vec::with_capacity(4);
    key.put_i16(VERSION);
    key.put_i16(marker.id());
    let mut value = Vec::with_capacity(6);
    value.put_i16(VERSION);
    value.put_i32(coordinator_epoch);
    let mut records = Vec::new();
    put_record(&mut records, 0, 0, Some(&key), Some(&value));
    let header = BatchHeader {
        base_offset,
        crc: 0,
        attributes: TRANSACTIONAL | CONTROL,
        last_offset_delta: 0,
        base_timestamp: now,
        max_timestamp: now,
        producer_id,
        producer_epoch,
        base_sequence: NO_SEQUENCE,
        record_count: 1,
    };
    let bytes = header.with_records(&records);
    StoredBatch { base_offset, last_offset: base_offset, max_timestamp: now, bytes }
}
