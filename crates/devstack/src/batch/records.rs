//! The records of a batch (Kafka's `DefaultRecord`), compressed or not.

use std::io::{BufRead, BufReader, Read};
use std::iter::FusedIterator;
use std::ops::Range;

use bytes::{Buf, Bytes};

use super::compression::MAX_DECOMPRESSED;
use super::{BatchHeader, CompressionCodec, HEADER, InvalidBatch};
use crate::clock::Millis;

/// A record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its offset in the log.
    pub(crate) offset: i64,
    /// The timestamp that consumers see.
    pub(crate) timestamp: Millis,
    /// The range of its key in `body`.
    key: Option<Range<usize>>,
    /// Whether it has no value, which deletes its key from a compacted topic.
    pub(crate) is_tombstone: bool,
    /// The encoded record without its length. Its offset and timestamp are relative to those of the batch.
    body: Bytes,
}

impl Record {
    /// Its key.
    pub(crate) fn key(&self) -> Option<Bytes> {
        self.key.clone().map(|key| self.body.slice(key))
    }

    /// Whether it has a key.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Adds it to the records of another batch with the same base offset and base timestamp.
    pub(super) fn put(&self, records: &mut Vec<u8>) {
        put_varlong(records, self.body.len() as i64);
        records.extend_from_slice(&self.body);
    }
}

/// Iterates over the records of a batch in order. Ends after the first error.
pub(crate) struct Records {
    base_offset: i64,
    base_timestamp: Millis,
    log_append_time: Option<Millis>,
    source: RecordSource,
    /// The number of records that are left. `None` after the end or an error.
    left: Option<u32>,
}

impl Records {
    /// The records of a whole batch.
    pub(crate) fn of(batch: &Bytes) -> Result<Self, InvalidBatch> {
        Self::new(&BatchHeader::parse(batch)?, batch)
    }

    /// The records of a whole batch with this header.
    pub(crate) fn new(header: &BatchHeader, batch: &Bytes) -> Result<Self, InvalidBatch> {
        let records = batch.slice(HEADER..);
        let source = match header.codec()? {
            CompressionCodec::None => RecordSource::Plain(records),
            codec => {
                let reader = codec.decompress(records).map_err(|error| unreadable(&error))?;
                let reader = BufReader::new(reader);
                RecordSource::Compressed(Unpacking { reader, left: MAX_DECOMPRESSED })
            }
        };
        let count = u32::try_from(header.record_count).map_err(|_| {
            InvalidBatch::invalid(format!("a record count of {} is invalid", header.record_count))
        })?;
        Ok(Self {
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            log_append_time: header.is_log_append_time().then_some(header.max_timestamp),
            source,
            left: Some(count),
        })
    }

    fn read(&mut self) -> Result<Record, InvalidBatch> {
        let size = self.source.size()?;
        let body = self.source.take(size)?;
        let mut fields = RecordFields { bytes: &body, at: 0 };
        let _attributes = fields.skip(1)?;
        let timestamp_delta = fields.varlong()?;
        let offset_delta = fields.varint()?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let headers = fields.varint()?;
        if headers < 0 {
            return Err(InvalidBatch::invalid(format!("a record with {headers} headers")));
        }
        // Each header takes at least two bytes, so a wrong count soon meets the end of the record.
        for _ in 0..headers {
            if fields.nullable()?.is_none() {
                return Err(InvalidBatch::invalid("a header of a record without a key"));
            }
            fields.nullable()?;
        }
        if fields.at != body.len() {
            return Err(InvalidBatch::invalid(format!(
                "a record of {size} bytes ends after {}",
                fields.at
            )));
        }
        Ok(Record {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp: self
                .log_append_time
                .unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            is_tombstone: value.is_none(),
            body,
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, InvalidBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.left?;
        let record = if left > 0 { Some(self.read()) } else { self.source.end().err().map(Err) };
        self.left = match record {
            Some(Ok(_)) => Some(left - 1),
            _ => None,
        };
        record
    }
}

impl FusedIterator for Records {}

/// Offset and timestamp of the first record from offset `start` on that is not older than `timestamp`.
pub(crate) fn at_time(
    batch: &Bytes,
    timestamp: Millis,
    start: i64,
) -> Result<Option<(i64, Millis)>, InvalidBatch> {
    for record in Records::of(batch)? {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= start {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}

/// Offset and timestamp of the record with the largest timestamp, the first one if there are several.
pub(crate) fn latest(batch: &Bytes) -> Result<Option<(i64, Millis)>, InvalidBatch> {
    let mut latest: Option<(i64, Millis)> = None;
    for record in Records::of(batch)? {
        let record = record?;
        if latest.is_none_or(|(_, timestamp)| record.timestamp > timestamp) {
            latest = Some((record.offset, record.timestamp));
        }
    }
    Ok(latest)
}

/// The records in plain or compressed form.
enum RecordSource {
    Plain(Bytes),
    Compressed(Unpacking),
}

impl RecordSource {
    /// Reads the length of the next record.
    fn size(&mut self) -> Result<usize, InvalidBatch> {
        let size = match self {
            Self::Plain(bytes) => {
                let mut fields = RecordFields { bytes, at: 0 };
                let size = fields.varint()?;
                let read = fields.at;
                bytes.advance(read);
                size
            }
            Self::Compressed(unpacking) => varint(|| unpacking.byte())?,
        };
        usize::try_from(size)
            .map_err(|_| InvalidBatch::invalid(format!("a record of {size} bytes is invalid")))
    }

    fn take(&mut self, size: usize) -> Result<Bytes, InvalidBatch> {
        match self {
            Self::Plain(bytes) if size <= bytes.len() => Ok(bytes.split_to(size)),
            Self::Plain(_) => Err(premature()),
            Self::Compressed(unpacking) => unpacking.take(size),
        }
    }

    /// Checks that there are no more bytes.
    fn end(&mut self) -> Result<(), InvalidBatch> {
        let ended = match self {
            Self::Plain(bytes) => bytes.is_empty(),
            Self::Compressed(unpacking) => unpacking.ended()?,
        };
        if ended {
            Ok(())
        } else {
            Err(InvalidBatch::invalid("a record batch goes on behind its last record"))
        }
    }
}

/// Records that are decompressed while they are read.
struct Unpacking {
    reader: BufReader<Box<dyn Read + Send>>,
    /// The number of bytes that may still be decompressed.
    left: u64,
}

impl Unpacking {
    fn count(&mut self, size: usize) -> Result<(), InvalidBatch> {
        let left = self.left.checked_sub(size as u64);
        self.left = left.ok_or_else(|| {
            let limit = MAX_DECOMPRESSED / (1024 * 1024);
            InvalidBatch::invalid(format!("a record batch unpacks to more than {limit} MiB"))
        })?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, InvalidBatch> {
        self.count(1)?;
        let mut byte = [0];
        self.reader.read_exact(&mut byte).map_err(|error| unreadable(&error))?;
        Ok(byte[0])
    }

    fn take(&mut self, size: usize) -> Result<Bytes, InvalidBatch> {
        self.count(size)?;
        // Grows with the bytes that are there, whatever size the record claims.
        let mut bytes = Vec::with_capacity(size.min(FIRST_ALLOCATION));
        let mut part = self.reader.by_ref().take(size as u64);
        part.read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() == size { Ok(bytes.into()) } else { Err(premature()) }
    }

    fn ended(&mut self) -> Result<bool, InvalidBatch> {
        Ok(self.reader.fill_buf().map_err(|error| unreadable(&error))?.is_empty())
    }
}

const FIRST_ALLOCATION: usize = 64 * 1024;

/// The fields of a record.
struct RecordFields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl RecordFields<'_> {
    fn byte(&mut self) -> Result<u8, InvalidBatch> {
        let byte = *self.bytes.get(self.at).ok_or_else(premature)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<i32, InvalidBatch> {
        varint(|| self.byte())
    }

    fn varlong(&mut self) -> Result<i64, InvalidBatch> {
        varlong(|| self.byte())
    }

    fn skip(&mut self, size: usize) -> Result<Range<usize>, InvalidBatch> {
        if size > self.bytes.len() - self.at {
            return Err(premature());
        }
        let field = self.at..self.at + size;
        self.at = field.end;
        Ok(field)
    }

    /// The range of a field that follows its length. The length -1 stands for none.
    fn nullable(&mut self) -> Result<Option<Range<usize>>, InvalidBatch> {
        match self.varint()? {
            // Kafka takes any negative length for none.
            ..0 => Ok(None),
            size => self.skip(size as usize).map(Some),
        }
    }
}

/// Reads a zigzag number of 32 bits in at most 5 bytes (Kafka's `ByteUtils.readVarint`).
fn varint(byte: impl FnMut() -> Result<u8, InvalidBatch>) -> Result<i32, InvalidBatch> {
    let bits = unsigned(5, byte)? as u32;
    Ok((bits >> 1) as i32 ^ -((bits & 1) as i32))
}

/// Reads a zigzag number of 64 bits in at most 10 bytes (Kafka's `ByteUtils.readVarlong`).
fn varlong(byte: impl FnMut() -> Result<u8, InvalidBatch>) -> Result<i64, InvalidBatch> {
    let bits = unsigned(10, byte)?;
    Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
}

fn unsigned(
    max_bytes: u32,
    mut byte: impl FnMut() -> Result<u8, InvalidBatch>,
) -> Result<u64, InvalidBatch> {
    let mut bits = 0;
    for n in 0..max_bytes {
        let byte = byte()?;
        bits |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(bits);
        }
    }
    Err(InvalidBatch::invalid(format!("a number in a record takes more than {max_bytes} bytes")))
}

fn put_varlong(bytes: &mut Vec<u8>, number: i64) {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    while bits >= 0x80 {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
}

/// Adds a record without headers.
pub(super) fn put_record(
    records: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) {
    let mut body = vec![0];
    put_varlong(&mut body, timestamp_delta);
    put_varlong(&mut body, i64::from(offset_delta));
    for field in [key, value] {
        put_varlong(&mut body, field.map_or(-1, |field| field.len() as i64));
        body.extend(field.unwrap_or_default());
    }
    put_varlong(&mut body, 0);
    put_varlong(records, body.len() as i64);
    records.extend(body);
}

fn premature() -> InvalidBatch {
    InvalidBatch::invalid("a record batch ends in the middle of a record")
}

fn unreadable(error: &std::io::Error) -> InvalidBatch {
    InvalidBatch::invalid(format!("the records of a batch can't be decompressed: {error}"))
}
