//! From records of the changelog to changes of a state.

use avro_schemas::{DecodeError, WriterSchema, frame, record_of};
use join::{Changes, EntryState, OpenRow, Span, TripState};
use models::{EmptyTripId, EventTime, Side, TripId};

use super::{FORM, JOINED, MORE, OPEN, OWN_SCHEMA, UNMATCHED};
use crate::avro_payload::AvroPayload;

/// Why a changelog record can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// It was written by another release, or by somebody else.
    #[error("form {0} is not known, this release reads form {FORM}")]
    UnknownForm(u8),
    /// It ends too early.
    #[error("the record is truncated")]
    Truncated,
    /// The task's state is not the JSON that it must be.
    #[error("the task's standing: {0}")]
    TaskState(#[from] serde_json::Error),
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
    /// The next record does not have the other entries of a trip.
    #[error("trip {0} is not followed by its other entries")]
    Unfinished(TripId),
}

/// Reads records in the order in which they were written.
#[derive(Debug, Default)]
pub(in crate::changelog) struct RecordReader {
    /// A trip whose other entries are in the next record.
    unfinished: Option<TripState<AvroPayload>>,
}

impl RecordReader {
    /// Reads one record: whether all older records are void, and the changes of the trips that are complete with it.
    pub(in crate::changelog) fn read(
        &mut self,
        record: &[u8],
    ) -> Result<(bool, Changes<AvroPayload>), FormatError> {
        let mut rest = record;
        let form = take(&mut rest, 1)?[0];
        if form != FORM {
            return Err(FormatError::UnknownForm(form));
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

    /// After the last record: an error if a trip is incomplete.
    pub(in crate::changelog) fn finish(self) -> Result<(), FormatError> {
        self.unfinished.map_or(Ok(()), |trip| Err(FormatError::Unfinished(trip.trip_id)))
    }
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

/// A trip, and whether more of its entries are in the next record.
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
