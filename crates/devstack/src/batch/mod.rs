//! Record batches (message format 2, KIP-98; Kafka's `DefaultRecordBatch`): parsing headers, validating batches of
//! clients, and assigning offsets.
//!
//! A batch is stored as it was received. Only its base offset, its leader epoch and, if the topic asks for it, its
//! timestamps are changed.

mod compression;
mod control;
mod records;
mod validate;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

pub(crate) use compression::CompressionCodec;
pub(crate) use control::{Marker, control_batch};
use records::Record;
pub(crate) use records::{Records, at_time, latest};
pub(crate) use validate::{BatchRules, produced, validate};

use crate::clock::Millis;
use crate::storage::StoredBatch;

/// The only batch format in produce requests of version 3 and later.
const MAGIC: i8 = 2;
/// The size of the base offset and the length, which the length does not include.
const PREFIX: usize = 12;
const HEADER: usize = 61;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const CODEC: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// The leader epoch of every batch: the only broker has led every partition since its creation.
const LEADER_EPOCH: i32 = 0;
/// The producer id of a batch from a producer that is not idempotent.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// The sequence number of control batches and of batches from a producer that is not idempotent.
pub(crate) const NO_SEQUENCE: i32 = -1;
const NO_TIMESTAMP: Millis = -1;

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct InvalidBatch {
    /// The error that Kafka answers.
    pub(crate) error: ResponseError,
    /// A text for people.
    pub(crate) text: String,
    /// The index of the invalid record, counted from 0, if one is the reason (KIP-467).
    pub(crate) record: Option<i32>,
}

impl InvalidBatch {
    fn corrupt(text: impl Into<String>) -> Self {
        Self { error: ResponseError::CorruptMessage, text: text.into(), record: None }
    }

    fn invalid(text: impl Into<String>) -> Self {
        Self { error: ResponseError::InvalidRecord, text: text.into(), record: None }
    }
}

/// The header of a record batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Offset of its first record. Compaction may have removed that record.
    pub(crate) base_offset: i64,
    /// CRC-32C of everything from the attributes on.
    pub(crate) crc: u32,
    attributes: i16,
    /// Offset of its last record, counted from the base offset.
    pub(crate) last_offset_delta: i32,
    /// The timestamps of its records are relative to this.
    pub(crate) base_timestamp: Millis,
    /// The largest timestamp of its records.
    pub(crate) max_timestamp: Millis,
    /// [`NO_PRODUCER_ID`] if it is not produced idempotently.
    pub(crate) producer_id: i64,
    /// Epoch of that producer id.
    pub(crate) producer_epoch: i16,
    /// Sequence number of its first record; [`NO_SEQUENCE`] if it has none.
    pub(crate) base_sequence: i32,
    /// The number of its records.
    pub(crate) record_count: i32,
}

impl BatchHeader {
    /// Reads the header of one whole batch.
    pub(crate) fn parse(batch: &[u8]) -> Result<Self, InvalidBatch> {
        let magic = batch.get(MAGIC_AT).map(|&byte| byte as i8);
        if magic.is_some_and(|magic| magic != MAGIC) {
            // Kafka's ProduceRequest.validateRecords.
            return Err(InvalidBatch::invalid(format!(
                "only record batches of magic version {MAGIC} are allowed, this one has {}",
                magic.unwrap_or_default()
            )));
        }
        if batch.len() < HEADER {
            return Err(InvalidBatch::corrupt(format!(
                "a record batch of {} bytes is shorter than its header",
                batch.len()
            )));
        }
        let mut fields = batch;
        let base_offset = fields.get_i64();
        let length = fields.get_i32();
        if usize::try_from(length).ok() != Some(batch.len() - PREFIX) {
            return Err(InvalidBatch::corrupt(format!(
                "a record batch of {} bytes says that its length is {length}",
                batch.len() - PREFIX
            )));
        }
        let _leader_epoch = fields.get_i32();
        let _magic = fields.get_i8();
        Ok(Self {
            base_offset,
            crc: fields.get_u32(),
            attributes: fields.get_i16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            record_count: fields.get_i32(),
        })
    }

    /// The codec of its records.
    pub(crate) fn codec(&self) -> Result<CompressionCodec, InvalidBatch> {
        CompressionCodec::from_id(self.attributes & CODEC)
    }

    /// Whether its records are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.attributes & CODEC != 0
    }

    /// Whether its timestamps are the broker's time of appending.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether it is part of a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it is a control batch: the end of a transaction.
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether it is produced idempotently.
    pub(crate) fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Offset of its last record, even if compaction has removed that record.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Sequence number of its last record. After the largest number follows 0 (Kafka's
    /// `DefaultRecordBatch.incrementSequence`).
    pub(crate) fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        (self.base_sequence.wrapping_add(self.last_offset_delta)) & i32::MAX
    }

    /// Writes the base offset into a validated batch with this header and, in a topic with
    /// `message.timestamp.type=LogAppendTime`, the time.
    ///
    /// Copies the batch only if its bytes are shared.
    pub(crate) fn place(
        &self,
        batch: Bytes,
        base_offset: i64,
        log_append_time: Option<Millis>,
    ) -> StoredBatch {
        let mut bytes = batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        put(&mut bytes, 0, &base_offset.to_be_bytes());
        put(&mut bytes, LEADER_EPOCH_AT, &LEADER_EPOCH.to_be_bytes());
        let attributes = match log_append_time {
            Some(_) => self.attributes | LOG_APPEND_TIME,
            None => self.attributes,
        };
        let max_timestamp = log_append_time.unwrap_or(self.max_timestamp);
        let times = (attributes.to_be_bytes(), max_timestamp.to_be_bytes());
        if (&times.0[..], &times.1[..])
            != (&bytes[ATTRIBUTES_AT..][..2], &bytes[MAX_TIMESTAMP_AT..][..8])
        {
            put(&mut bytes, ATTRIBUTES_AT, &times.0);
            put(&mut bytes, MAX_TIMESTAMP_AT, &times.1);
            seal(&mut bytes);
        }
        let last_offset = base_offset + i64::from(self.last_offset_delta);
        StoredBatch { base_offset, last_offset, max_timestamp, bytes: bytes.freeze() }
    }

    /// The same batch with another compression.
    pub(crate) fn in_codec(
        &self,
        batch: &Bytes,
        codec: CompressionCodec,
    ) -> Result<Bytes, InvalidBatch> {
        let records: Vec<Record> = Records::new(self, batch)?.collect::<Result<_, _>>()?;
        let attributes = (self.attributes & !CODEC) | codec.id();
        Ok(Self { attributes, ..self.clone() }.keep(&records)?.bytes)
    }

    /// The batch that is left when compaction keeps only `records` of it.
    ///
    /// Its offsets and its producer's fields stay, so the last offset may be that of a removed record.
    pub(crate) fn keep(&self, records: &[Record]) -> Result<StoredBatch, InvalidBatch> {
        let mut plain = Vec::new();
        for record in records {
            record.put(&mut plain);
        }
        let packed = self.codec()?.compress(plain).map_err(|error| {
            InvalidBatch::invalid(format!("the records of a batch can't be compressed: {error}"))
        })?;
        let latest = records.iter().map(|record| record.timestamp).max();
        let header = Self {
            max_timestamp: latest.unwrap_or(self.max_timestamp),
            record_count: records.len() as i32,
            ..self.clone()
        };
        Ok(StoredBatch {
            base_offset: self.base_offset,
            last_offset: self.last_offset(),
            max_timestamp: header.max_timestamp,
            bytes: header.with_records(&packed),
        })
    }

    /// Encodes the batch with this header and these compressed records, and computes its CRC.
    fn with_records(&self, records: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER + records.len());
        bytes.put_i64(self.base_offset);
        bytes.put_i32((HEADER - PREFIX + records.len()) as i32);
        bytes.put_i32(LEADER_EPOCH);
        bytes.put_i8(MAGIC);
        bytes.put_u32(0);
        bytes.put_i16(self.attributes);
        bytes.put_i32(self.last_offset_delta);
        bytes.put_i64(self.base_timestamp);
        bytes.put_i64(self.max_timestamp);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.producer_epoch);
        bytes.put_i32(self.base_sequence);
        bytes.put_i32(self.record_count);
        bytes.put_slice(records);
        seal(&mut bytes);
        bytes.freeze()
    }
}

fn put(bytes: &mut BytesMut, at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[ATTRIBUTES_AT..])
}

fn seal(batch: &mut BytesMut) {
    let crc = checksum(batch);
    put(batch, CRC_AT, &crc.to_be_bytes());
}

#[cfg(test)]
pub(crate) mod tests;
