//! The records of one request, encoded, until their transaction takes them.

use std::sync::Arc;

use avro_schemas::EncodeError;
use kafka::partitioner::partition_for;
use kafka::transaction::Record;
use models::records::CompleteTrip;
use models::{Partition, Side};
use rdkafka::message::OwnedHeaders;

use crate::publisher::{Publisher, Routed, Target};
use crate::trace::Trace;

/// Keys and values in one piece, and where each begins.
#[derive(Debug)]
pub(crate) struct EncodedRecords {
    trace: Arc<Trace>,
    /// Of each record.
    headers: Option<OwnedHeaders>,
    targets: Arc<[Target; 3]>,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    side: Side,
    partition: Partition,
    key: usize,
    value: usize,
}

impl EncodedRecords {
    /// No records yet, for `publisher`'s topics.
    pub(crate) fn new(publisher: &Publisher, records: u32, trace: Arc<Trace>) -> Self {
        Self {
            headers: trace.record_headers(),
            trace,
            targets: Arc::clone(publisher.targets()),
            bytes: Vec::new(),
            slots: Vec::with_capacity(records as usize),
        }
    }

    /// Whose records they are.
    pub(crate) const fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// What each row carries.
    pub(crate) fn headers(&self) -> Option<OwnedHeaders> {
        self.headers.clone()
    }

    pub(crate) fn push<T: Routed>(
        &mut self,
        publisher: &Publisher,
        record: &T,
    ) -> Result<(), EncodeError> {
        let trip_id = record.trip_id().as_bytes();
        let partitions = self.targets[T::SIDE.index()].partitions;
        let key = self.bytes.len();
        self.bytes.extend_from_slice(trip_id);
        let value = self.bytes.len();
        T::encoder(publisher).encode(record, &mut self.bytes)?;
        let partition = partition_for(trip_id, partitions);
        self.slots.push(Slot { side: T::SIDE, partition, key, value });
        Ok(())
    }

    /// The three records of a trip.
    pub(crate) fn push_trip(
        &mut self,
        publisher: &Publisher,
        trip: &CompleteTrip,
    ) -> Result<(), EncodeError> {
        self.push(publisher, &trip.trip_data)?;
        self.push(publisher, &trip.driver_earning_data)?;
        self.push(publisher, &trip.rider_data)
    }

    /// The records, to be sent.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let ends = self.slots.iter().skip(1).map(|slot| slot.key).chain([self.bytes.len()]);
        self.slots.iter().zip(ends).map(|(slot, end)| Record {
            topic: &self.targets[slot.side.index()].topic,
            partition: slot.partition,
            key: Some(&self.bytes[slot.key..slot.value]),
            value: Some(&self.bytes[slot.value..end]),
            headers: self.headers(),
            ..Record::default()
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many records each side has, by [`Side::index`].
    pub(crate) fn by_side(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for slot in &self.slots {
            counts[slot.side.index()] += 1;
        }
        counts
    }
}
