//! Decisions of the join as records of the output topics.

use avro_schemas::{RecordType, RegistryError, SchemaCache, SchemaId, splice};
use join::{JoinedRows, UnmatchedRows};
use kafka::partitioner::partition_for;
use kafka::transaction::Record;
use models::topics::Topics;
use models::{EventTime, TripId};

use crate::avro_payload::AvroPayload;
use crate::topology::{Stream, Topology};

/// The schema ids in the frames of the outputs' values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputSchemas {
    joined: SchemaId,
    unmatched: SchemaId,
}

impl OutputSchemas {
    /// Registers both schemas, or finds them registered.
    pub(crate) async fn register(
        cache: &SchemaCache,
        topics: &Topics,
    ) -> Result<Self, RegistryError> {
        let joined = topics.joined_streams.value_subject();
        let unmatched = topics.unmatched.value_subject();
        Ok(Self {
            joined: cache.register(&joined, RecordType::JoinedStream).await?,
            unmatched: cache.register(&unmatched, RecordType::UnmatchedTrip).await?,
        })
    }
}

/// Encodes what the join has decided.
pub(crate) struct Outputs {
    schemas: OutputSchemas,
    joined: Stream,
    unmatched: Stream,
    value: Vec<u8>,
}

impl Outputs {
    pub(crate) fn new(schemas: OutputSchemas, topology: &Topology) -> Self {
        let (joined, unmatched) = (topology.joined.clone(), topology.unmatched.clone());
        Self { schemas, joined, unmatched, value: Vec::new() }
    }

    /// Passes the record of a joined trip to `send`.
    pub(crate) fn joined<R>(
        &mut self,
        joined: JoinedRows<AvroPayload>,
        send: impl FnOnce(Record<'_>) -> R,
    ) -> R {
        let JoinedRows { trip_id, ts, payloads } = joined;
        self.value.clear();
        splice::joined(
            self.schemas.joined,
            payloads.each_ref().map(AvroPayload::datum),
            &mut self.value,
        );
        send(output(&self.joined, &trip_id, ts, &self.value))
    }

    /// Passes the record of an unmatched trip to `send`.
    pub(crate) fn unmatched<R>(
        &mut self,
        unmatched: UnmatchedRows<AvroPayload>,
        send: impl FnOnce(Record<'_>) -> R,
    ) -> R {
        let UnmatchedRows { trip_id, ts, payloads, reason, watermark } = unmatched;
        let rows = payloads.each_ref().map(|row| row.as_ref().map(AvroPayload::datum));
        let (trip, reason) = (trip_id.as_str(), reason.as_str());
        let about = splice::Unmatched { trip_id: trip, reason, watermark };
        self.value.clear();
        splice::unmatched(self.schemas.unmatched, about, rows, &mut self.value);
        send(output(&self.unmatched, &trip_id, ts, &self.value))
    }
}

fn output<'r>(
    stream: &'r Stream,
    trip_id: &'r TripId,
    ts: EventTime,
    value: &'r [u8],
) -> Record<'r> {
    let key = trip_id.as_str().as_bytes();
    Record {
        topic: &stream.name,
        partition: partition_for(key, stream.partitions),
        key: Some(key),
        value: Some(value),
        timestamp_ms: Some(ts.as_millis()),
        headers: None,
    }
}
