use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::records::{Compression, Record as Written};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::batch::tests::{CODECS, decode, encode, record};
use crate::batch::{BatchHeader, BatchRules, InvalidBatch, Marker, control_batch, validate};
use crate::clock::Millis;
use crate::log::AbortedTransaction;
use crate::storage::{BatchOutline, Change, StoredBatch};

const LOG: u32 = 7;
const DAY: Millis = 86_400_000;
const RULES: BatchRules = BatchRules { requires_key: false, timestamps: 0..=Millis::MAX };

/// Both passes over the batches of a log that are in memory, from its start to its end.
fn compact(
    log: u32,
    batches: &[StoredBatch],
    scope: Scope<'_>,
) -> Result<Vec<Change>, InvalidBatch> {
    let mut compaction = Compaction::new(scope);
    for batch in batches {
        compaction.scan(batch)?;
    }
    let changes = batches.iter().map(|batch| compaction.clean(log, batch));
    changes.filter_map(Result::transpose).collect()
}

/// Ten bytes and ten offsets each, with these largest timestamps.
fn outline(timestamps: &[Millis]) -> Vec<BatchOutline> {
    let batches = (0..).step_by(10).zip(timestamps);
    let batch = |(base_offset, &max_timestamp)| BatchOutline {
        base_offset,
        last_offset: base_offset + 9,
        max_timestamp,
        size: 10,
    };
    batches.map(batch).collect()
}

#[test]
fn what_is_too_old_or_too_much_goes_from_the_start() {
    let all = i64::MAX;
    let now = 1_000;
    for (timestamps, ms, bytes, stable, expected) in [
        (&[][..], Some(0), Some(0), all, None),
        (&[100, 200, 300], None, None, all, None),
        // By age: older than, not as old as.
        (&[100, 200, 300], Some(799), None, all, Some(20)),
        (&[100, 200, 300], Some(800), None, all, Some(10)),
        (&[100, 200, 300], Some(0), None, all, Some(30)),
        (&[100, 999, 300], Some(500), None, all, Some(10)),
        (&[-1, 200, 300], Some(0), None, all, None),
        (&[2_000], Some(0), None, all, None),
        // By size: what stays is no less than asked for.
        (&[100, 200, 300], None, Some(31), all, None),
        (&[100, 200, 300], None, Some(21), all, None),
        (&[100, 200, 300], None, Some(20), all, Some(10)),
        (&[100, 200, 300], None, Some(0), all, Some(30)),
        // By both.
        (&[100, 200, 300], Some(850), Some(10), all, Some(20)),
        // Never past the last stable offset.
        (&[100, 200, 300], Some(0), Some(0), 20, Some(20)),
        (&[100, 200, 300], Some(0), Some(0), 19, Some(10)),
        (&[100, 200, 300], Some(0), Some(0), 0, None),
    ] {
        let start = retained_from(&outline(timestamps), Retention { ms, bytes }, stable, now);
        assert_eq!(start, expected, "{timestamps:?}, {ms:?} ms, {bytes:?} bytes, {stable}");
    }
}

#[test]
fn compaction_ends_at_what_is_unstable_or_young() {
    let batches = outline(&[100, 200, 300]);
    for (stable, min_lag, now, expected) in [
        (30, 0, 1_000, 30),
        (20, 0, 1_000, 20),
        (30, 700, 1_000, 30),
        (30, 700, 999, 20),
        (15, 701, 1_000, 15),
        (30, 1_000, 1_000, 0),
        (30, 0, 150, 30),
        (30, 1, 150, 10),
        (30, Millis::MAX, 0, 0),
    ] {
        let end = cleanable_end(&batches, stable, min_lag, now);
        assert_eq!(end, expected, "stable {stable}, lag {min_lag}, now {now}");
    }
}

/// A log that is being written.
#[derive(Debug, Clone, Default)]
struct Log {
    batches: Vec<StoredBatch>,
    aborted: Vec<AbortedTransaction>,
}

impl Log {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.last_offset + 1)
    }

    /// Adds one batch of records like "a=1", "a=" with an empty value, "a" a tombstone.
    fn append(&mut self, timestamp: Millis, records: &[&str]) {
        let written = (0..).zip(records).map(|(offset, text)| {
            let (key, value) = text.split_once('=').map_or((*text, None), |(k, v)| (k, Some(v)));
            record(offset, timestamp, Some(key.as_bytes()), value.map(str::as_bytes))
        });
        self.append_batch(&written.collect::<Vec<_>>(), Compression::Lz4);
    }

    fn append_batch(&mut self, records: &[Written], compression: Compression) {
        let batch = encode(records, compression);
        let header = validate(&batch, &RULES).unwrap();
        self.batches.push(header.place(batch, self.end(), None));
    }

    /// Adds a batch in a transaction, and its end.
    fn append_transaction(&mut self, producer_id: i64, records: &[Written], marker: Marker) {
        let mut records = records.to_vec();
        for record in &mut records {
            record.transactional = true;
            record.producer_id = producer_id;
            record.producer_epoch = 3;
            record.sequence = record.offset as i32;
        }
        let first_offset = self.end();
        self.append_batch(&records, Compression::None);
        let last_offset = self.end();
        if marker == Marker::Abort {
            self.aborted.push(AbortedTransaction { producer_id, first_offset, last_offset });
        }
        let now = self.batches.last().unwrap().max_timestamp;
        self.batches.push(control_batch(marker, last_offset, producer_id, 3, 0, now));
    }

    fn scope(&self, now: Millis) -> Scope<'_> {
        Scope {
            end: self.end(),
            log_end: self.end(),
            aborted: &self.aborted,
            delete_retention: DAY,
            now,
        }
    }

    /// The log after these changes.
    fn with(&self, changes: Vec<Change>) -> Self {
        let mut batches: BTreeMap<i64, StoredBatch> =
            self.batches.iter().map(|batch| (batch.base_offset, batch.clone())).collect();
        for change in changes {
            match change {
                Change::Append { log: LOG, batch } => {
                    let replaced = batches.insert(batch.base_offset, batch);
                    assert!(replaced.is_some(), "only what is there is rewritten");
                }
                Change::Remove { log: LOG, base_offset } => {
                    assert!(batches.remove(&base_offset).is_some(), "only what is there goes");
                }
                other => panic!("{other:?}"),
            }
        }
        Self { batches: batches.into_values().collect(), aborted: self.aborted.clone() }
    }

    fn compacted(&self, scope: Scope<'_>) -> Self {
        self.with(compact(LOG, &self.batches, scope).unwrap())
    }

    /// The records that a consumer with read_committed gets.
    fn records(&self) -> Vec<Written> {
        let is_aborted = |batch: &&StoredBatch| {
            let header = BatchHeader::parse(&batch.bytes).unwrap();
            header.is_control()
                || self.aborted.iter().any(|aborted| {
                    aborted.producer_id == header.producer_id
                        && (aborted.first_offset..aborted.last_offset).contains(&batch.base_offset)
                })
        };
        let read = self.batches.iter().filter(|batch| !is_aborted(batch));
        read.flat_map(|batch| decode(&batch.bytes)).collect()
    }

    /// Offsets and texts of those records.
    fn texts(&self) -> Vec<(i64, String)> {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let show = |record: Written| {
            let value = record.value.map_or(String::new(), |value| format!("={}", text(&value)));
            (record.offset, text(&record.key.unwrap()) + &value)
        };
        self.records().into_iter().map(show).collect()
    }

    /// What is known of each key in the end.
    fn state(&self) -> BTreeMap<Bytes, Bytes> {
        let mut state = BTreeMap::new();
        for record in self.records() {
            match (record.key, record.value) {
                (Some(key), Some(value)) => drop(state.insert(key, value)),
                (Some(key), None) => drop(state.remove(&key)),
                (None, _) => {}
            }
        }
        state
    }
}

fn texts(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|&(offset, text)| (offset, text.into())).collect()
}

fn abc(now: Millis) -> Log {
    let mut log = Log::default();
    log.append(now, &["a=1", "b=1", "a=2"]);
    log.append(now, &["a=3", "a=4"]);
    log.append(now, &["c=1", "b"]);
    log.append(now, &["c=2"]);
    log
}

#[test]
fn of_each_key_the_last_record_stays_at_its_offset() {
    let log = abc(1_000).compacted(abc(1_000).scope(1_000));
    // The last batch is left alone, and a young tombstone stays.
    assert_eq!(log.texts(), texts(&[(4, "a=4"), (6, "b"), (7, "c=2")]));
    let bases: Vec<i64> = log.batches.iter().map(|batch| batch.base_offset).collect();
    assert_eq!(bases, [3, 5, 7], "the first batch is gone");
}

#[test]
fn old_tombstones_go_with_what_they_deleted() {
    for (now, expected) in [
        (1_000 + DAY - 1, &[(4, "a=4"), (6, "b"), (7, "c=2")][..]),
        (1_000 + DAY, &[(4, "a=4"), (7, "c=2")]),
    ] {
        let log = abc(1_000);
        assert_eq!(log.compacted(log.scope(now)).texts(), texts(expected), "at {now}");
    }
    let mut log = Log::default();
    log.append(-1, &["a"]);
    log.append(-1, &["b=1"]);
    assert_eq!(log.compacted(log.scope(DAY * 9)).batches, log.batches, "it has no age");
}

#[test]
fn what_is_behind_the_end_is_as_if_it_was_not_there() {
    let log = abc(1_000);
    for (end, expected) in [
        (0, log.texts()),
        (
            4,
            texts(&[
                (1, "b=1"),
                (2, "a=2"),
                (3, "a=3"),
                (4, "a=4"),
                (5, "c=1"),
                (6, "b"),
                (7, "c=2"),
            ]),
        ),
        (5, texts(&[(1, "b=1"), (4, "a=4"), (5, "c=1"), (6, "b"), (7, "c=2")])),
        (7, texts(&[(4, "a=4"), (5, "c=1"), (6, "b"), (7, "c=2")])),
    ] {
        let scope = Scope { end, ..log.scope(1_000) };
        assert_eq!(log.compacted(scope).texts(), expected, "up to {end}");
    }
}

#[test]
fn records_without_key_go() {
    let mut log = Log::default();
    log.append_batch(&[record(0, 5, None, Some(b"1"))], Compression::None);
    log.append(5, &["a=1"]);
    assert_eq!(log.compacted(log.scope(5)).texts(), texts(&[(1, "a=1")]));
}

#[test]
fn aborted_records_go_and_never_stand_for_their_key() {
    let mut log = Log::default();
    log.append(1_000, &["a=1"]);
    log.append_transaction(50, &[record(0, 1_000, Some(b"a"), Some(b"2"))], Marker::Abort);
    log.append_transaction(50, &[record(0, 1_000, Some(b"b"), Some(b"1"))], Marker::Commit);
    log.append(1_000, &["c=1"]);
    let bases = |log: &Log| log.batches.iter().map(|batch| batch.base_offset).collect::<Vec<_>>();
    assert_eq!(bases(&log), [0, 1, 2, 3, 4, 5]);
    let young = log.compacted(log.scope(1_000));
    assert_eq!(young.texts(), texts(&[(0, "a=1"), (3, "b=1"), (5, "c=1")]));
    assert_eq!(bases(&young), [0, 2, 3, 4, 5], "both markers stay");
    let old = young.compacted(log.scope(1_000 + DAY));
    assert_eq!(bases(&old), [0, 2, 3, 5], "the marker of the abort stays");
}

#[test]
fn a_batch_keeps_its_producer_its_offsets_and_its_codec() {
    for (codec, compression) in CODECS {
        let mut log = Log::default();
        let records: Vec<Written> = (0..3)
            .map(|offset| Written {
                producer_id: 60,
                producer_epoch: 2,
                sequence: 10 + offset as i32,
                ..record(offset, 900 - offset, Some(b"a"), Some(b"x"))
            })
            .collect();
        log.append_batch(&records, compression);
        log.append(1_000, &["b=1"]);
        let compacted = log.compacted(log.scope(1_000));
        let (before, after) = (&log.batches[0], &compacted.batches[0]);
        assert_eq!((after.base_offset, after.last_offset, after.max_timestamp), (0, 2, 898));
        let before = BatchHeader::parse(&before.bytes).unwrap();
        let after = BatchHeader::parse(&after.bytes).unwrap();
        assert_eq!((after.record_count, after.max_timestamp), (1, 898));
        assert_eq!(after.codec(), Ok(codec));
        let mut same = after;
        same.record_count = before.record_count;
        same.max_timestamp = before.max_timestamp;
        same.crc = before.crc;
        assert_eq!(same, before);
        assert_eq!(compacted.records()[0], log.records()[2]);
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_an_error() {
    let mut log = abc(1_000);
    log.batches[1].bytes = Bytes::from_static(&[0; 100]);
    compact(LOG, &log.batches, log.scope(1_000)).unwrap_err();
}

/// Batches of keys and values, in a transaction or not.
fn log() -> impl Strategy<Value = Log> {
    let value = proptest::option::of(any::<u8>());
    let records = vec((proptest::option::weighted(0.95, 0..6_u8), value), 1..6);
    let end = proptest::option::of(prop_oneof![Just(Marker::Commit), Just(Marker::Abort)]);
    vec((records, end, 0..CODECS.len(), 0..3 * DAY), 1..12).prop_map(|batches| {
        let mut log = Log::default();
        for (producer_id, (fields, end, codec, timestamp)) in (0..).zip(batches) {
            let written = (0..).zip(&fields).map(|(offset, (key, value))| {
                let key = key.as_ref().map(std::slice::from_ref);
                record(offset, timestamp, key, value.as_ref().map(std::slice::from_ref))
            });
            let written: Vec<Written> = written.collect();
            match end {
                Some(marker) => log.append_transaction(producer_id % 3, &written, marker),
                None => log.append_batch(&written, CODECS[codec].1),
            }
        }
        log
    })
}

proptest! {
    #[test]
    fn a_compacted_log_says_the_same_of_each_key(
        log in log(),
        end in any::<prop::sample::Index>(),
        now in 0..5 * DAY,
    ) {
        let end = log.batches[end.index(log.batches.len())].base_offset;
        for end in [end, log.end()] {
            let scope = Scope { end, ..log.scope(now) };
            let compacted = log.compacted(scope.clone());
            prop_assert_eq!(compacted.state(), log.state());
            let before = log.records();
            for record in compacted.records() {
                let same = before.iter().find(|before| before.offset == record.offset);
                prop_assert_eq!(same, Some(&record));
            }
            let behind = |log: &Log| {
                let behind = log.batches.iter().filter(|batch| batch.last_offset >= end);
                behind.cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(behind(&compacted), behind(&log));
            prop_assert_eq!(compacted.end(), log.end());
            prop_assert_eq!(compact(LOG, &compacted.batches, scope).unwrap(), vec![], "all is done");
            if end == log.end() {
                let last = log.batches.last().unwrap().base_offset;
                let old = compacted.records().into_iter().filter(|record| record.offset < last);
                let mut keys: Vec<Option<Bytes>> = old.map(|record| record.key).collect();
                let all = keys.len();
                keys.sort();
                keys.dedup();
                prop_assert!(keys.len() == all && !keys.contains(&None), "one record a key");
            }
        }
    }
}
