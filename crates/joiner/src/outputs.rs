//! Decisions of the join as records of the output topics.

use avro_schemas::{Encoder, Record as AvroRecord, RecordType, RegistryError, SchemaCache};
use join::{Joined, Unmatched};
use kafka::partitioner::partition_for;
use kafka::transaction::Record;
use models::records::{JoinedStream, UnmatchedTrip};
use models::topics::Topics;
use models::{EventTime, Side, TripId};

use crate::payload::{Payload, owned};
use crate::topology::{Stream, Topology};

/// The schema ids under which the outputs' values are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoders {
    joined: Encoder<JoinedStream>,
    unmatched: Encoder<UnmatchedTrip>,
}

impl Encoders {
    /// Registers both schemas, or finds them registered.
    pub(crate) async fn register(
        cache: &SchemaCache,
        topics: &Topics,
    ) -> Result<Self, RegistryError> {
        let joined = topics.joined_streams.value_subject();
        let unmatched = topics.unmatched.value_subject();
        Ok(Self {
            joined: Encoder::new(cache.register(&joined, RecordType::JoinedStream).await?),
            unmatched: Encoder::new(cache.register(&unmatched, RecordType::UnmatchedTrip).await?),
        })
    }
}

/// Encodes what the join decided.
pub(crate) struct Outputs {
    encoders: Encoders,
    joined: Stream,
    unmatched: Stream,
    value: Vec<u8>,
}

impl Outputs {
    pub(crate) fn new(encoders: Encoders, topology: &Topology) -> Self {
        let (joined, unmatched) = (topology.joined.clone(), topology.unmatched.clone());
        Self { encoders, joined, unmatched, value: Vec::new() }
    }

    /// Passes the record of a joined trip to `send`.
    pub(crate) fn joined<R>(
        &mut self,
        joined: Joined<Payload>,
        send: impl FnOnce(Record<'_>) -> R,
    ) -> R {
        let Joined { trip_id, ts, payloads } = joined;
        let record = match payloads {
            [Payload::Trip(trip), Payload::Driver(driver), Payload::Rider(rider)] => {
                JoinedStream::new(owned(trip), owned(driver), owned(rider))
            }
            _ => unreachable!("payloads are in the order of Side::ALL, each of its own side"),
        };
        self.value.clear();
        encode(self.encoders.joined, &record, &mut self.value);
        send(output(&self.joined, &trip_id, ts, &self.value))
    }

    /// Passes the record of an unmatched trip to `send`.
    pub(crate) fn unmatched<R>(
        &mut self,
        unmatched: Unmatched<Payload>,
        send: impl FnOnce(Record<'_>) -> R,
    ) -> R {
        let missing = unmatched.missing().map(|side: Side| side.as_str().to_owned()).collect();
        let Unmatched { trip_id, ts, payloads, reason, watermark } = unmatched;
        let mut record = UnmatchedTrip {
            trip_id: trip_id.as_str().to_owned(),
            missing,
            reason: reason.as_str().to_owned(),
            watermark: watermark.as_millis(),
            ..UnmatchedTrip::default()
        };
        for payload in payloads.into_iter().flatten() {
            match payload {
                Payload::Trip(trip) => record.trip = Some(owned(trip)),
                Payload::Driver(driver) => record.driver_earning = Some(owned(driver)),
                Payload::Rider(rider) => record.rider = Some(owned(rider)),
            }
        }
        self.value.clear();
        encode(self.encoders.unmatched, &record, &mut self.value);
        send(output(&self.unmatched, &trip_id, ts, &self.value))
    }
}

fn encode<T: AvroRecord>(encoder: Encoder<T>, record: &T, value: &mut Vec<u8>) {
    encoder.encode(record, value).expect("our records can be written with our schemas");
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
