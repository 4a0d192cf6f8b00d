//! Record batches (message format 2, KIP-98) as producers build them and consumers read them.

use std::iter;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::Producer;
use crate::rig::now_ms;

/// Where a batch's fields are, of those that tests tamper with.
pub const MAGIC: usize = 16;
pub const CRC: usize = 17;
const CRC_END: usize = 21;
/// Length of base offset and batch length, which the batch length doesn't count.
const LOG_OVERHEAD: usize = 12;
const ATTRIBUTES: usize = 21;
const MAX_TIMESTAMP: usize = 35;
pub const RECORD_COUNT: usize = 57;

/// A batch that is to be produced.
#[derive(Clone)]
pub struct Batch {
    rows: Vec<(Option<Bytes>, Option<Bytes>)>,
    timestamps: Vec<i64>,
    producer: Producer,
    sequence: i32,
    is_transactional: bool,
    is_control: bool,
}

impl Batch {
    /// Records with these values and without keys, of the present time, of no particular producer.
    pub fn of<V: AsRef<[u8]>>(values: &[V]) -> Self {
        let value = |value: &V| Some(Bytes::copy_from_slice(value.as_ref()));
        Self {
            rows: values.iter().map(|v| (None, value(v))).collect(),
            timestamps: vec![now_ms(); values.len()],
            producer: Producer { id: -1, epoch: -1 },
            sequence: -1,
            is_transactional: false,
            is_control: false,
        }
    }

    /// One record with a key.
    pub fn keyed(key: &str, value: &str) -> Self {
        let mut batch = Self::of(&[value]);
        batch.rows[0].0 = Some(Bytes::copy_from_slice(key.as_bytes()));
        batch
    }

    /// One record with a timestamp for each of `timestamps`.
    pub fn at(timestamps: &[i64]) -> Self {
        let values: Vec<String> = timestamps.iter().map(i64::to_string).collect();
        Self { timestamps: timestamps.to_vec(), ..Self::of(&values) }
    }

    /// Of an idempotent producer, `sequence` being the number of its first record.
    pub fn by(self, producer: Producer, sequence: i32) -> Self {
        Self { producer, sequence, ..self }
    }

    pub fn in_transaction(self) -> Self {
        Self { is_transactional: true, ..self }
    }

    /// Says that its records are markers, as only a broker may.
    pub fn control(self) -> Self {
        Self { is_control: true, ..self }
    }

    pub fn encode(&self) -> BytesMut {
        let records: Vec<Record> = (0..self.rows.len()).map(|n| self.record(n)).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
        bytes
    }

    fn record(&self, n: usize) -> Record {
        let (key, value) = self.rows[n].clone();
        Record {
            transactional: self.is_transactional,
            control: self.is_control,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            timestamp_type: TimestampType::Creation,
            offset: n as i64,
            sequence: self.sequence.wrapping_add(n as i32),
            timestamp: self.timestamps[n],
            key,
            value,
            headers: iter::empty().collect(),
        }
    }
}

/// Makes the checksum right again after other bytes were changed.
pub fn seal(batch: &mut BytesMut) {
    let crc = crc32c::crc32c(&batch[CRC_END..]);
    batch[CRC..CRC_END].copy_from_slice(&crc.to_be_bytes());
}

/// The batches in an answer, each by itself. What is cut off at the end, as Kafka does it, is left out.
pub fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut batches = Vec::new();
    while bytes.len() >= LOG_OVERHEAD {
        let length = i32::from_be_bytes(bytes[8..LOG_OVERHEAD].try_into().unwrap());
        let whole = LOG_OVERHEAD + usize::try_from(length).unwrap();
        if bytes.len() < whole {
            break;
        }
        batches.push(bytes.split_to(whole));
    }
    batches
}

/// The one time of all of a batch's records, if it is that of their appending.
pub fn append_time(batch: &[u8]) -> Option<i64> {
    let is_append_time = batch[ATTRIBUTES + 1] & 8 != 0;
    let max_timestamp = batch[MAX_TIMESTAMP..MAX_TIMESTAMP + 8].try_into().unwrap();
    is_append_time.then(|| i64::from_be_bytes(max_timestamp))
}

/// The records of an uncompressed batch.
pub fn records(mut batch: Bytes) -> Vec<Record> {
    assert_eq!(batch[ATTRIBUTES + 1] & 7, 0, "the batch is compressed");
    RecordBatchDecoder::decode(&mut batch).unwrap().records
}
