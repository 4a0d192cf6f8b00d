//! Validates batches of clients (Kafka's `ProduceRequest.validateRecords`, `UnifiedLog`
//! and `LogValidator`).

use std::ops::RangeInclusive;

use bytes::{Buf, Bytes};
use kafka_protocol::error::ResponseError;

use super::{
    BatchHeader, InvalidBatch, MAGIC_AT, NO_SEQUENCE, NO_TIMESTAMP, PREFIX, Records, checksum,
};
use crate::clock::Millis;

/// The rules that a topic has for its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchRules {
    /// Every record must have a key: `cleanup.policy` contains `compact`.
    pub(crate) requires_key: bool,
    /// The allowed timestamps, from `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`. All, in a
    /// topic with `message.timestamp.type=LogAppendTime`.
    pub(crate) timestamps: RangeInclusive<Millis>,
}

/// Splits the records of a request into batches.
pub(crate) fn split(mut records: Bytes) -> Result<Vec<Bytes>, InvalidBatch> {
    let mut batches = Vec::new();
    while !records.is_empty() {
        let size = records[..]
            .get(PREFIX - size_of::<i32>()..PREFIX)
            .and_then(|mut length| usize::try_from(length.get_i32()).ok())
            .map(|length| length + PREFIX)
            .filter(|size| (MAGIC_AT..=records.len()).contains(size));
        let Some(size) = size else {
            // Kafka silently drops incomplete bytes at the end. An error is more useful to their sender.
            return Err(InvalidBatch::corrupt(format!(
                "{} bytes behind {} record batches are not a whole one",
                records.len(),
                batches.len()
            )));
        };
        batches.push(records.split_to(size));
    }
    Ok(batches)
}

/// The one batch that a produce request of version 3 or later holds for a partition.
pub(crate) fn produced(records: Option<Bytes>) -> Result<Bytes, InvalidBatch> {
    let mut batches = split(records.unwrap_or_default())?;
    match (batches.pop(), batches.len()) {
        (Some(batch), 0) => Ok(batch),
        (_, before) => Err(InvalidBatch::invalid(format!(
            "a produce request holds exactly one record batch per partition, this one {}",
            if before == 0 { 0 } else { before + 1 }
        ))),
    }
}

/// Validates a batch of a client and all its records. Returns its header, with the actual largest timestamp of its
/// records.
///
/// Decompresses the records, which may take long, so it must not be called under a lock.
pub(crate) fn validate(batch: &Bytes, rules: &BatchRules) -> Result<BatchHeader, InvalidBatch> {
    let mut header = BatchHeader::parse(batch)?;
    let crc = checksum(batch);
    if crc != header.crc {
        return Err(InvalidBatch::corrupt(format!(
            "a record batch has the checksum {crc:#010x}, not {:#010x}, which it says",
            header.crc
        )));
    }
    check_header(&header).map_err(InvalidBatch::invalid)?;
    if header.is_log_append_time() {
        return Err(InvalidBatch {
            error: ResponseError::InvalidTimestamp,
            text: "a producer must not set the timestamp type to LogAppendTime".into(),
            record: None,
        });
    }
    let mut max_timestamp = NO_TIMESTAMP;
    for (index, record) in (0..).zip(Records::new(&header, batch)?) {
        let record = record?;
        if record.offset != index {
            return Err(InvalidBatch::invalid(format!(
                "record {index} of a batch has the offset {}",
                record.offset
            )));
        }
        if rules.requires_key && !record.has_key() {
            return Err(InvalidBatch {
                error: ResponseError::InvalidRecord,
                text: format!(
                    "a compacted topic can't take a record without a key: record {index} of a batch"
                ),
                record: Some(index as i32),
            });
        }
        let timestamp = record.timestamp;
        if timestamp != NO_TIMESTAMP && !rules.timestamps.contains(&timestamp) {
            return Err(InvalidBatch {
                error: ResponseError::InvalidTimestamp,
                text: format!(
                    "the timestamp {timestamp} of record {index} of a batch is not within {} and {}",
                    rules.timestamps.start(),
                    rules.timestamps.end()
                ),
                record: Some(index as i32),
            });
        }
        max_timestamp = max_timestamp.max(timestamp);
    }
    header.max_timestamp = max_timestamp;
    Ok(header)
}

fn check_header(header: &BatchHeader) -> Result<(), String> {
    let BatchHeader { base_offset, last_offset_delta, record_count, .. } = *header;
    if base_offset != 0 {
        return Err(format!("a produced record batch begins with offset {base_offset}, not 0"));
    }
    if record_count < 1 || i64::from(record_count) != i64::from(last_offset_delta) + 1 {
        return Err(format!(
            "a record batch of {record_count} records has offsets up to {last_offset_delta}"
        ));
    }
    if header.is_control() {
        return Err("clients must not write control records".into());
    }
    let BatchHeader { producer_id, base_sequence, .. } = *header;
    if header.has_producer_id() && base_sequence <= NO_SEQUENCE {
        return Err(format!(
            "a record batch of producer id {producer_id} has the sequence number {base_sequence}"
        ));
    }
    if header.is_transactional() && !header.has_producer_id() {
        return Err("a record batch of a transaction has no producer id".into());
    }
    Ok(())
}
