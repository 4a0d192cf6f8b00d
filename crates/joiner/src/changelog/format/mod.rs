//! The bytes of the changelog (rule 10).
//!
//! A record consists of:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the form, [`FORM`] |
//! | 1 | 1 if all older records are void (a snapshot begins here), else 0 |
//! | 4 + n | the length of the task's state without its trips ([`join::TaskState`]), and that state as JSON |
//! | the rest | trips |
//!
//! A trip consists of the length of its id (4), the id, the number of its entries (4), and the entries. If the highest
//! bit of the number is set, the trip goes on: the first trip of the next record is the same one, with more of its
//! entries. An entry starts with its kind (1): an open one has three rows, or a 0 in place of each that is missing; a
//! closed one has its first and its last time. A row is a 1, its time, its length (4), and framed Avro. Times have 8
//! bytes; all numbers are big-endian, like those of Kafka.
//!
//! Rows are written with our own schemas. A release that changes those must raise [`FORM`], and still read this one.

mod decode;
mod encode;

use avro_schemas::SchemaId;

pub(super) use decode::{FormatError, RecordReader};
pub(super) use encode::RecordWriter;

const FORM: u8 = 2;
/// The position of the byte that says whether all older records are void.
const RESETS: usize = 1;

const OPEN: u8 = 0;
const JOINED: u8 = 1;
const UNMATCHED: u8 = 2;

/// In the number of a trip's entries: more of them are in the next record.
const MORE: u32 = 1 << 31;

/// In place of a schema id. The form says which schema it is.
const OWN_SCHEMA: SchemaId = SchemaId::new(0);

#[cfg(test)]
mod tests {
    use avro_schemas::{Encoder, Record, frame};
    use join::{
        Changes, Counters, EntryRef, EntryState, InputWatermark, OpenRow, Span, TaskState,
        TripState, Watermark,
    };
    use models::records::{DriverEarning, Rider, Trip};
    use models::{EventTime, Side, TripId};

    use super::*;
    use crate::avro_payload::AvroPayload;

    fn time(ms: i64) -> EventTime {
        EventTime::from_millis(ms)
    }

    /// `changes` as records.
    fn encode(changes: &Changes<AvroPayload>, resets: bool, max_bytes: usize) -> Vec<Vec<u8>> {
        let mut writer = RecordWriter::new(max_bytes);
        let mut records = Vec::new();
        writer.begin(&changes.task_state, resets);
        for TripState { trip_id, entries } in &changes.trips {
            let entries = entries.iter().map(|entry| match entry {
                EntryState::Open(rows) => EntryRef::Open(rows.each_ref().map(Option::as_ref)),
                EntryState::Joined(span) => EntryRef::Joined(*span),
                EntryState::Unmatched(span) => EntryRef::Unmatched(*span),
            });
            writer.entries(trip_id, entries, |record| records.push(record.to_vec()));
        }
        records.push(writer.last().to_vec());
        records
    }

    /// What all records say together; the state before the first one is void, or not, and that of no other.
    fn read(records: &[Vec<u8>]) -> Changes<AvroPayload> {
        let mut reader = RecordReader::default();
        let read = records.iter().map(|record| reader.read(record).expect("readable"));
        let (resets, read): (Vec<bool>, Vec<Changes<AvroPayload>>) = read.unzip();
        reader.finish().expect("whole");
        assert!(!resets[1..].contains(&true));
        let task_state = read[0].task_state.clone();
        Changes { task_state, trips: read.into_iter().flat_map(|changes| changes.trips).collect() }
    }

    fn payload<T: Record>(record: &T) -> AvroPayload {
        let mut value = Vec::new();
        Encoder::new(OWN_SCHEMA).encode(record, &mut value).expect("valid");
        AvroPayload::new(frame(&value).expect("framed").1)
    }

    fn changes(trips: usize) -> Changes<AvroPayload> {
        let trip =
            Trip { trip_id: "t".to_owned(), start_time: Some("now".to_owned()), ..Trip::default() };
        let rider = Rider { rating_to_driver: 4, ..Rider::default() };
        let driver = DriverEarning { earnings_from_trip: 1.5, ..DriverEarning::default() };
        let held = |ms, payload| Some(OpenRow { ts: time(ms), payload });
        let entries = vec![
            EntryState::Open([held(5, payload(&trip)), None, None]),
            EntryState::Joined(Span { first: time(1), last: time(2) }),
            EntryState::Open([None, held(6, payload(&driver)), held(7, payload(&rider))]),
            EntryState::Unmatched(Span { first: EventTime::MIN, last: time(3) }),
        ];
        let state = |n| TripState {
            trip_id: TripId::new(format!("trip-{n}")).expect("not empty"),
            entries: if n == 1 { Vec::new() } else { entries.clone() },
        };
        let task_state = TaskState {
            task: 1,
            tasks: 2,
            watermark: EventTime::MIN,
            inputs: vec![InputWatermark { side: Side::Rider, partition: 1, at: time(9) }],
            heard: vec![Some(Watermark { at: time(8), idle: true }), None],
            counters: Counters { rows_in: 12, ..Counters::default() },
        };
        Changes { task_state, trips: (0..trips).map(state).collect() }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for resets in [false, true] {
            let written = changes(3);
            let records = encode(&written, resets, usize::MAX);
            assert_eq!(records.len(), 1);
            let mut reader = RecordReader::default();
            let (read_resets, read) = reader.read(&records[0]).expect("readable");
            assert_eq!((read_resets, read), (resets, written));
            reader.finish().expect("whole");
        }
    }

    #[test]
    fn a_large_state_is_spread_over_records_and_only_the_first_resets() {
        let written = changes(300);
        let records = encode(&written, true, 2_000);
        assert!(records.len() > 10, "{} records", records.len());
        assert!(records.iter().all(|record| record.len() <= 2_000));
        assert_eq!(read(&records), written);
    }

    #[test]
    fn a_trip_that_is_too_large_is_spread_over_records() {
        let written = changes(3);
        for max_bytes in [1, 300, 500] {
            let records = encode(&written, true, max_bytes);
            assert!(records.len() > written.trips.len(), "{} records", records.len());
            assert_eq!(read(&records), written);
        }
        // One for each entry, and for the trip that has none.
        assert_eq!(encode(&written, true, 1).len(), 9);
    }

    #[test]
    fn a_trip_that_does_not_go_on_is_an_error() {
        let begun = encode(&changes(1), false, 1);
        assert_eq!(begun.len(), 4);
        let read = |records: &[&[u8]]| {
            let mut reader = RecordReader::default();
            records.iter().try_for_each(|record| reader.read(record).map(drop))?;
            reader.finish()
        };
        let others = encode(
            &Changes { trips: changes(3).trips.split_off(2), ..changes(0) },
            false,
            usize::MAX,
        );
        let nothing = encode(&changes(0), false, usize::MAX);
        let anew = encode(&changes(1), true, usize::MAX);
        for next in [&others, &nothing, &anew] {
            let outcome = read(&[&begun[0], &next[0]]);
            assert!(matches!(outcome, Err(FormatError::Unfinished(_))), "{outcome:?}");
        }
        assert!(matches!(read(&[&begun[0], &begun[1]]), Err(FormatError::Unfinished(_))));
        read(&[&begun[0], &begun[1], &begun[2], &begun[3]]).expect("whole");
    }

    #[test]
    fn nothing_changed_is_still_one_record() {
        assert_eq!(encode(&changes(0), false, 10).len(), 1);
    }

    #[test]
    fn every_truncation_is_noticed_and_none_panics() {
        let record = encode(&changes(1), false, usize::MAX).remove(0);
        let whole = changes(1);
        for len in 0..record.len() {
            // Cut exactly between two trips, it is a shorter record; anything else is an error.
            let read = RecordReader::default().read(&record[..len]);
            assert!(
                read.is_err() || read.is_ok_and(|(_, read)| read.trips.len() < whole.trips.len())
            );
        }
        for form in [0, 1, 9] {
            let unknown = RecordReader::default().read(&[form, 0]);
            assert!(matches!(unknown, Err(FormatError::UnknownForm(found)) if found == form));
        }
    }
}
