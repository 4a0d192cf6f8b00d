//! The bytes of the changelog (rule 10).
//!
//! A record is: the form (1 byte), whether the state before it is void (1 byte), then the task's standing as JSON
//! behind its length, then trips up to the end. A trip is its id behind its length, the number of its
//! entries, and the entries, each with a kind in front. The highest bit of the number says that the first trip of the
//! next record is the same one, with more of its entries. Lengths are 4 bytes, times 8, big-endian like all of
//! Kafka. Rows are framed Avro of our own schemas: a release that changes those must raise [`FORM`] and still
//! read the older one.

use avro_schemas::{DecodeError, SchemaId, WriterSchema, frame, record_of};
use join::{Changes, EntryRef, EntryState, OpenRow, Span, TaskState, TripRef, TripState};
use models::{EmptyTripId, EventTime, Side, TripId};

use crate::avro_payload::AvroPayload;

const FORM: u8 = 2;
/// As [`FORM`], but every trip is whole.
const FORM_OF_WHOLE_TRIPS: u8 = 1;
/// Where it stands whether the state before is void.
const RESETS: usize = 1;

const OPEN: u8 = 0;
const JOINED: u8 = 1;
const UNMATCHED: u8 = 2;

/// In the number of a trip's entries: more of them are in the next record.
const MORE: u32 = 1 << 31;

/// Stands where an id would: the form says which schema it is.
const OWN_SCHEMA: SchemaId = SchemaId::new(0);

/// Why a changelog record can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// It was written by another release, or by somebody else.
    #[error("form {0} is not known, this release reads forms {FORM_OF_WHOLE_TRIPS} to {FORM}")]
    UnknownForm(u8),
    /// It ends too early.
    #[error("the record is truncated")]
    Truncated,
    /// The standing is not what it has to be.
    #[error("the task's standing: {0}")]
    Standing(#[from] serde_json::Error),
    /// A trip_id is not UTF-8.
    #[error("a trip_id: {0}")]
    Text(#[from] std::str::Utf8Error),
    /// A trip_id is empty.
    #[error(transparent)]
    TripId(#[from] EmptyTripId),
    /// A row can't be decoded.
    #[error("a row: {0}")]
    Row(#[from] DecodeError),
    /// An entry is of a kind that doesn't exist.
    #[error("an entry of unknown kind {0}")]
    UnknownKind(u8),
    /// The next record does not go on with the trip.
    #[error("trip {0} is not followed by its other entries")]
    Unfinished(TripId),
}

/// Makes records of a state or of what changed in it.
///
/// The standing goes in front of each record, so it must be known before the first trip.
#[derive(Debug, Default)]
pub(super) struct RecordWriter {
    max_bytes: usize,
    /// The form and the standing, as they stand in front.
    front: Vec<u8>,
    record: Vec<u8>,
}

impl RecordWriter {
    /// Records of about `max_bytes` at most; only an entry that is larger alone makes a larger one.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }

    /// Begins the first record. With `resets`, it says that the state before it is void.
    pub(super) fn begin(&mut self, task_state: &TaskState, resets: bool) {
        let standing = serde_json::to_vec(task_state).expect("plain values are JSON");
        self.front.clear();
        self.front.extend_from_slice(&[FORM, u8::from(false)]);
        put_bytes(&mut self.front, &standing);
        self.record.clear();
        self.record.extend_from_slice(&self.front);
        self.record[RESETS] = u8::from(resets);
    }

    /// Appends a trip; gives records to `full` when there is no room for it.
    pub(super) fn trip(&mut self, trip: &TripRef<'_, AvroPayload>, full: impl FnMut(&[u8])) {
        self.entries(trip.trip_id(), trip.entries(), full);
    }

    fn entries<'p>(
        &mut self,
        trip_id: &TripId,
        entries: impl ExactSizeIterator<Item = EntryRef<'p, AvroPayload>> + Clone,
        mut full: impl FnMut(&[u8]),
    ) {
        let before = self.record.len();
        put_trip(&mut self.record, trip_id, entries.clone());
        if self.record.len() > self.max_bytes && before > self.front.len() {
            full(&self.record[..before]);
            let front = self.front.len();
            // Makes the trip the first one of the next record.
            self.record.drain(front..before);
            self.record[RESETS] = u8::from(false);
        }
        if self.record.len() > self.max_bytes && entries.len() > 1 {
            self.spread(trip_id, entries, full);
        }
    }

    /// Replaces the trip, which is the only one of the record, by a record for each of its entries.
    fn spread<'p>(
        &mut self,
        trip_id: &TripId,
        entries: impl ExactSizeIterator<Item = EntryRef<'p, AvroPayload>>,
        mut full: impl FnMut(&[u8]),
    ) {
        self.record.truncate(self.front.len());
        let mut left = entries.len();
        for entry in entries {
            left -= 1;
            put_bytes(&mut self.record, trip_id.as_str().as_bytes());
            put_number(&mut self.record, 1 | if left > 0 { MORE } else { 0 });
            put_entry(&mut self.record, &entry);
            if left > 0 {
                full(&self.record);
                self.record.truncate(self.front.len());
                self.record[RESETS] = u8::from(false);
            }
        }
    }

    /// The last record. There is always one.
    pub(super) fn last(&self) -> &[u8] {
        &self.record
    }
}

/// Reads records in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct RecordReader {
    /// The entries of a trip of which more are in the next record.
    unfinished: Option<TripState<AvroPayload>>,
}

impl RecordReader {
    /// Reads one record: whether the state before it is void, and what it says of trips that end in it.
    pub(super) fn read(
        &mut self,
        record: &[u8],
    ) -> Result<(bool, Changes<AvroPayload>), FormatError> {
        let mut rest = record;
        match take(&mut rest, 1)?[0] {
            FORM | FORM_OF_WHOLE_TRIPS => {}
            other => return Err(FormatError::UnknownForm(other)),
        }
        let resets = take(&mut rest, 1)?[0] != 0;
        let task_state = serde_json::from_slice(take_bytes(&mut rest)?)?;
        let mut trips = Vec::new();
        let mut begun = self.unfinished.take();
        while !rest.is_empty() {
            let (mut trip, more) = take_trip(&mut rest)?;
            if let Some(mut begun) = begun.take() {
                if resets || begun.trip_id != trip.trip_id {
                    return Err(FormatError::Unfinished(begun.trip_id));
                }
                begun.entries.append(&mut trip.entries);
                trip = begun;
            }
            if !more {
                trips.push(trip);
            } else if rest.is_empty() {
                self.unfinished = Some(trip);
            } else {
                return Err(FormatError::Unfinished(trip.trip_id));
            }
        }
        match begun {
            Some(begun) => Err(FormatError::Unfinished(begun.trip_id)),
            None => Ok((resets, Changes { task_state, trips })),
        }
    }

    /// Whether a trip is whole up to here.
    pub(super) fn finish(self) -> Result<(), FormatError> {
        self.unfinished.map_or(Ok(()), |trip| Err(FormatError::Unfinished(trip.trip_id)))
    }
}

fn put_number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_number(out, u32::try_from(len).expect("a record of Kafka is far below 4 GiB"));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_time(out: &mut Vec<u8>, ts: EventTime) {
    out.extend_from_slice(&ts.as_millis().to_be_bytes());
}

fn put_trip<'p>(
    out: &mut Vec<u8>,
    trip_id: &TripId,
    entries: impl ExactSizeIterator<Item = EntryRef<'p, AvroPayload>>,
) {
    put_bytes(out, trip_id.as_str().as_bytes());
    put_len(out, entries.len());
    for entry in entries {
        put_entry(out, &entry);
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &EntryRef<'_, AvroPayload>) {
    match *entry {
        EntryRef::Open(rows) => {
            out.push(OPEN);
            for row in rows {
                put_row(out, row);
            }
        }
        EntryRef::Joined(span) => put_span(out, JOINED, span),
        EntryRef::Unmatched(span) => put_span(out, UNMATCHED, span),
    }
}

fn put_span(out: &mut Vec<u8>, kind: u8, span: Span) {
    out.push(kind);
    put_time(out, span.first);
    put_time(out, span.last);
}

fn put_row(out: &mut Vec<u8>, row: Option<&OpenRow<AvroPayload>>) {
    let Some(OpenRow { ts, payload }) = row else { return out.push(0) };
    out.push(1);
    put_time(out, *ts);
    let header = OWN_SCHEMA.header();
    put_len(out, header.len() + payload.datum().len());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload.datum());
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Result<&'b [u8], FormatError> {
    let (taken, left) = rest.split_at_checked(count).ok_or(FormatError::Truncated)?;
    *rest = left;
    Ok(taken)
}

fn take_number(rest: &mut &[u8]) -> Result<u32, FormatError> {
    let bytes = take(rest, 4)?.first_chunk().expect("four bytes were taken");
    Ok(u32::from_be_bytes(*bytes))
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], FormatError> {
    let len = take_number(rest)?;
    take(rest, len as usize)
}

fn take_time(rest: &mut &[u8]) -> Result<EventTime, FormatError> {
    let bytes = take(rest, 8)?.first_chunk().expect("eight bytes were taken");
    Ok(EventTime::from_millis(i64::from_be_bytes(*bytes)))
}

fn take_span(rest: &mut &[u8]) -> Result<Span, FormatError> {
    Ok(Span { first: take_time(rest)?, last: take_time(rest)? })
}

/// The trip, and whether more of its entries are in the next record.
fn take_trip(rest: &mut &[u8]) -> Result<(TripState<AvroPayload>, bool), FormatError> {
    let trip_id = TripId::new(std::str::from_utf8(take_bytes(rest)?)?)?;
    let number = take_number(rest)?;
    let mut entries = Vec::new();
    for _ in 0..number & !MORE {
        entries.push(match take(rest, 1)?[0] {
            OPEN => {
                let mut rows = [const { None }; 3];
                for side in Side::ALL {
                    rows[side.index()] = take_row(rest, side)?;
                }
                EntryState::Open(rows)
            }
            JOINED => EntryState::Joined(take_span(rest)?),
            UNMATCHED => EntryState::Unmatched(take_span(rest)?),
            other => return Err(FormatError::UnknownKind(other)),
        });
    }
    Ok((TripState { trip_id, entries }, number & MORE != 0))
}

fn take_row(rest: &mut &[u8], side: Side) -> Result<Option<OpenRow<AvroPayload>>, FormatError> {
    if take(rest, 1)?[0] == 0 {
        return Ok(None);
    }
    let ts = take_time(rest)?;
    let (_, datum) = frame(take_bytes(rest)?).map_err(DecodeError::from)?;
    let row = WriterSchema::own(OWN_SCHEMA, record_of(side)).row(side, datum)?;
    Ok(Some(OpenRow { ts, payload: AvroPayload::new(&row.datum) }))
}

#[cfg(test)]
mod tests {
    use avro_schemas::{Encoder, Record};
    use join::{Counters, InputWatermark, Watermark};
    use models::records::{DriverEarning, Rider, Trip};

    use super::*;

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
        let unknown = RecordReader::default().read(&[9, 0]);
        assert!(matches!(unknown, Err(FormatError::UnknownForm(9))));
    }
}
