//! From a Kafka record to a row of the join, or to the reason why it is none (rule 7).

use avro_schemas::{DecodeError, Decoded, SchemaId};
use join::{Row, RowOrigin};
use models::{EventTime, Side, TripId};

use crate::avro_payload::AvroPayload;
use crate::consumer_record::ConsumerRecord;
use crate::rejects::{Reason, RowFault};
use crate::schemas::Schemas;

/// What a record is to the join.
pub(crate) enum ParsedRow {
    /// A row.
    Row(Row<AvroPayload>),
    /// It can't be told before the registry has answered what this schema is.
    NeedsSchema(SchemaId),
    /// Not a row. It must be rejected.
    Faulty(RowFault),
}

/// How large a row may be, in bytes of key and value. A joined row consists of three rows and repeats their trip_id.
/// It must fit in the 4 MiB that the outputs and the changelog take.
const MAX_ROW_BYTES: usize = 1_000_000;

/// Parses a record of `side` that was first read at `origin`.
pub(crate) fn parse(
    side: Side,
    origin: RowOrigin,
    record: &ConsumerRecord<'_>,
    schemas: &Schemas,
) -> ParsedRow {
    let Some(value) = record.value else {
        let message = "the row has no value (a tombstone)".to_owned();
        return ParsedRow::Faulty(RowFault { reason: Reason::Tombstone, message });
    };
    let bytes = value.len() + record.key.map_or(0, <[u8]>::len);
    if bytes > MAX_ROW_BYTES {
        let message = format!("key and value have {bytes} bytes, more than {MAX_ROW_BYTES}");
        return ParsedRow::Faulty(RowFault { reason: Reason::TooLarge, message });
    }
    let row = match schemas.row(side, value) {
        Ok(Decoded::Record(row)) => row,
        Ok(Decoded::NeedsSchema(id)) => return ParsedRow::NeedsSchema(id),
        Err(error) => return ParsedRow::Faulty(fault(&error)),
    };
    let trip_id = match TripId::new(&*row.trip_id) {
        Ok(trip_id) => trip_id,
        Err(error) => {
            let message = error.to_string();
            return ParsedRow::Faulty(RowFault { reason: Reason::EmptyTripId, message });
        }
    };
    let payload = AvroPayload::new(&row.datum);
    let ts = record.timestamp_ms.map(EventTime::from_millis);
    ParsedRow::Row(Row { trip_id, side, ts, payload, origin })
}

fn fault(error: &DecodeError) -> RowFault {
    let reason = match error {
        DecodeError::UnknownSchema { .. } => Reason::UnknownSchema,
        DecodeError::WrongType { .. } => Reason::WrongType,
        _ => Reason::Undecodable,
    };
    RowFault { reason, message: error.to_string() }
}
