//! From a Kafka record to a row of the join, or to the reason why it is none (rule 7).

use avro_schemas::{DecodeError, Decoded, SchemaId};
use join::{Row, RowOrigin};
use models::{EventTime, Partition, Side, TripId};
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders, OwnedMessage};

use crate::payload::Payload;
use crate::rejects::{Fault, Reason};
use crate::schemas::Schemas;

/// A record as it was read, whoever holds its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Incoming<'m> {
    pub(crate) topic: &'m str,
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    /// Milliseconds since the Unix epoch, if the record has a timestamp.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) headers: Option<&'m BorrowedHeaders>,
}

impl<'m> From<&'m BorrowedMessage<'_>> for Incoming<'m> {
    fn from(message: &'m BorrowedMessage<'_>) -> Self {
        Self::of(message, message.headers())
    }
}

impl<'m> From<&'m OwnedMessage> for Incoming<'m> {
    fn from(message: &'m OwnedMessage) -> Self {
        Self::of(message, message.headers().map(OwnedHeaders::as_borrowed))
    }
}

impl<'m> Incoming<'m> {
    fn of(message: &'m impl Message, headers: Option<&'m BorrowedHeaders>) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            timestamp_ms: message.timestamp().to_millis(),
            headers,
        }
    }
}

/// What a record is to the join.
pub(crate) enum Reading {
    /// A row.
    Row(Row<Payload>),
    /// Nobody can tell before the registry has said what this schema is.
    NeedsSchema(SchemaId),
    /// No row.
    Faulty(Fault),
}

/// How large a row may be, with its key. Three of them and their trip_id once more make a joined row, which must fit in the 4 MiB
/// that the outputs and the changelog take.
const MAX_ROW_BYTES: usize = 1_000_000;

/// Reads a record of `side`, first read at `origin`.
pub(crate) fn read(
    side: Side,
    origin: RowOrigin,
    incoming: &Incoming<'_>,
    schemas: &Schemas,
) -> Reading {
    let Some(value) = incoming.value else {
        let message = "the row has no value (a tombstone)".to_owned();
        return Reading::Faulty(Fault { reason: Reason::Tombstone, message });
    };
    let bytes = value.len() + incoming.key.map_or(0, <[u8]>::len);
    if bytes > MAX_ROW_BYTES {
        let message = format!("key and value have {bytes} bytes, more than {MAX_ROW_BYTES}");
        return Reading::Faulty(Fault { reason: Reason::TooLarge, message });
    }
    let row = match schemas.row(side, value) {
        Ok(Decoded::Record(row)) => row,
        Ok(Decoded::NeedsSchema(id)) => return Reading::NeedsSchema(id),
        Err(error) => return Reading::Faulty(fault(&error)),
    };
    let trip_id = match TripId::new(&*row.trip_id) {
        Ok(trip_id) => trip_id,
        Err(error) => {
            let message = error.to_string();
            return Reading::Faulty(Fault { reason: Reason::EmptyTripId, message });
        }
    };
    let payload = Payload::new(&row.datum);
    let ts = incoming.timestamp_ms.map(EventTime::from_millis);
    Reading::Row(Row { trip_id, side, ts, payload, origin })
}

/// The fault of a row whose schema the registry doesn't have.
pub(crate) fn missing_schema(id: SchemaId) -> Fault {
    fault(&DecodeError::UnknownSchema { id })
}

fn fault(error: &DecodeError) -> Fault {
    let reason = match error {
        DecodeError::UnknownSchema { .. } => Reason::UnknownSchema,
        DecodeError::WrongType { .. } => Reason::WrongType,
        _ => Reason::Undecodable,
    };
    Fault { reason, message: error.to_string() }
}
