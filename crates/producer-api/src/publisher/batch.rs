//! The records of one request: enqueued, and waited for.

use std::collections::HashMap;
use std::sync::Arc;

use avro_schemas::EncodeError;
use kafka::partitioner::partition_for;
use models::Side;
use models::records::CompleteTrip;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseRecord;

use super::known::{Permit, SidePartition};
use super::tally::DeliveryTally;
use super::{Publisher, Routed};
use crate::capacity::Room;
use crate::trace::Trace;
use crate::undelivered::Undelivered;

/// The records of one request, on their way.
pub(crate) struct Batch<'a> {
    publisher: &'a Publisher,
    tally: Arc<DeliveryTally>,
    trace: Arc<Trace>,
    /// Of each record.
    headers: Option<OwnedHeaders>,
    /// Reused from record to record.
    value: Vec<u8>,
    /// Records that may have to wait for others; none once Kafka knows the producer everywhere.
    held: Option<Vec<HeldRecord>>,
}

/// A record that waits.
struct HeldRecord {
    place: SidePartition,
    trip_id: String,
    value: Vec<u8>,
}

impl<'a> Batch<'a> {
    /// A batch without records, which takes up `room`.
    pub(super) fn new(publisher: &'a Publisher, room: Room, trace: Arc<Trace>) -> Self {
        let headers = trace.record_headers();
        let tally = DeliveryTally::new(room, publisher.metrics.clone(), Arc::clone(&trace));
        let held = (!publisher.known.all()).then(Vec::new);
        Self { publisher, tally, trace, headers, value: Vec::new(), held }
    }

    /// Encodes and enqueues the three records of a trip.
    pub(crate) fn send_trip(&mut self, trip: &CompleteTrip) -> Result<(), EncodeError> {
        self.send(&trip.trip_data)?;
        self.send(&trip.driver_earning_data)?;
        self.send(&trip.rider_data)
    }

    fn send<T: Routed>(&mut self, record: &T) -> Result<(), EncodeError> {
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        T::encoder(self.publisher).encode(record, &mut value)?;
        self.enqueue(T::SIDE, record.trip_id(), &value);
        self.value = value;
        Ok(())
    }

    pub(super) fn enqueue(&mut self, side: Side, trip_id: &str, value: &[u8]) {
        let partitions = self.publisher.targets[side.index()].partitions;
        let partition = partition_for(trip_id.as_bytes(), partitions);
        let place = SidePartition { side, partition };
        if let Some(held) = &mut self.held {
            held.push(HeldRecord { place, trip_id: trip_id.to_owned(), value: value.to_vec() });
        } else {
            self.tally.expect(side);
            self.hand_over(place, trip_id, value, &self.tally);
        }
    }

    /// Gives a record to librdkafka, which will report to `tally`.
    fn hand_over(
        &self,
        SidePartition { side, partition }: SidePartition,
        trip_id: &str,
        value: &[u8],
        tally: &Arc<DeliveryTally>,
    ) {
        let topic = self.topic(side);
        let record = BaseRecord {
            topic,
            partition: Some(partition),
            payload: Some(value),
            key: Some(trip_id),
            timestamp: None,
            headers: self.headers.clone(),
            delivery_opaque: Arc::clone(tally),
        };
        if let Err(error) = self.publisher.hand_over(record) {
            tally.fail(side, trip_id, topic, &error);
            tally.settle();
        }
    }

    fn topic(&self, side: Side) -> &str {
        &self.publisher.targets[side.index()].topic
    }

    /// Sends what was held back, first records first. Returns those, each with a tally of its own.
    ///
    /// What waits for a first record of ours that is refused is refused with it; what waits for longer than a delivery may
    /// take has timed out.
    async fn introduce(&self, mut held: Vec<HeldRecord>) -> Vec<Arc<DeliveryTally>> {
        let known = &self.publisher.known;
        let mut firsts: HashMap<SidePartition, Arc<DeliveryTally>> = HashMap::new();
        let mut all_firsts = Vec::new();
        let deadline = tokio::time::Instant::now() + self.publisher.delivery_timeout;
        while !held.is_empty() {
            let changed = known.changed();
            held.retain(|HeldRecord { place, trip_id, value }| {
                if let Some(error) = firsts.get(place).and_then(|first| first.failure()) {
                    self.refuse(*place, trip_id, &error);
                    return false;
                }
                match known.ask(*place) {
                    Permit::Wait => return true,
                    Permit::Send => {
                        self.tally.expect(place.side);
                        self.hand_over(*place, trip_id, value, &self.tally);
                    }
                    Permit::SendFirst => {
                        let (metrics, trace) =
                            (self.publisher.metrics.clone(), Arc::clone(&self.trace));
                        let first =
                            DeliveryTally::of_first(Arc::clone(known), *place, metrics, trace);
                        self.hand_over(*place, trip_id, value, &first);
                        all_firsts.push(Arc::clone(&first));
                        firsts.insert(*place, first);
                    }
                }
                false
            });
            if !held.is_empty() && tokio::time::timeout_at(deadline, changed).await.is_err() {
                let error = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
                for HeldRecord { place, trip_id, .. } in held.drain(..) {
                    self.refuse(place, &trip_id, &error);
                }
            }
        }
        all_firsts
    }

    /// Counts a record as failed that is not sent.
    fn refuse(&self, SidePartition { side, .. }: SidePartition, trip_id: &str, error: &KafkaError) {
        self.tally.expect(side);
        self.tally.fail(side, trip_id, self.topic(side), error);
        self.tally.settle();
    }

    /// Waits until Kafka has acknowledged every record, or has not within the delivery time-out.
    pub(crate) async fn delivered(mut self) -> Result<(), Undelivered> {
        let firsts = match self.held.take() {
            Some(held) => self.introduce(held).await,
            None => Vec::new(),
        };
        let tally = Arc::clone(&self.tally);
        drop(self);
        let mut outcome = tally.outcome().await;
        for first in firsts {
            outcome = Undelivered::together(outcome, first.outcome().await);
        }
        outcome.map(|_| ())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // Nothing more will be sent; the tally is complete when the reports are.
        self.tally.settle();
    }
}
