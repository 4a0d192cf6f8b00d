//! From a state to records of the changelog.

use join::{EntryRef, OpenRow, Span, TaskState, TripRef};
use models::{EventTime, TripId};

use super::{FORM, JOINED, MORE, OPEN, OWN_SCHEMA, RESETS, UNMATCHED};
use crate::avro_payload::AvroPayload;

/// Makes records of a state, or of what changed in it.
///
/// Each record starts with the state of the whole task, so that must be known before the first trip.
#[derive(Debug, Default)]
pub(in crate::changelog) struct RecordWriter {
    max_bytes: usize,
    /// How each record starts: the form and the task's state.
    front: Vec<u8>,
    record: Vec<u8>,
}

impl RecordWriter {
    /// Records of about `max_bytes` at most. Only a single entry that is larger makes a larger record.
    pub(in crate::changelog) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }

    /// Begins the first record. With `resets`, the record says that all older records are void.
    pub(in crate::changelog) fn begin(&mut self, task_state: &TaskState, resets: bool) {
        let task_state = serde_json::to_vec(task_state).expect("plain values are JSON");
        self.front.clear();
        self.front.extend_from_slice(&[FORM, u8::from(false)]);
        put_bytes(&mut self.front, &task_state);
        self.record.clear();
        self.record.extend_from_slice(&self.front);
        self.record[RESETS] = u8::from(resets);
    }

    /// Appends a trip. Passes each record to `full` that has no room for more.
    pub(in crate::changelog) fn trip(
        &mut self,
        trip: &TripRef<'_, AvroPayload>,
        full: impl FnMut(&[u8]),
    ) {
        self.entries(trip.trip_id(), trip.entries(), full);
    }

    pub(super) fn entries<'p>(
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
            // The trip becomes the first one of the next record.
            self.record.drain(front..before);
            self.record[RESETS] = u8::from(false);
        }
        if self.record.len() > self.max_bytes && entries.len() > 1 {
            self.spread(trip_id, entries, full);
        }
    }

    /// The trip is the only one of the record, and too large. Makes a record for each of its entries instead.
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
    pub(in crate::changelog) fn last(&self) -> &[u8] {
        &self.record
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
