//! Producer ids, epochs and sequence numbers without transactions (KIP-98).

use crate::rig::topic;
use crate::wire::batch::Batch;
use crate::wire::{Answer, Producer, ResponseError, Wire};

struct Idempotent {
    wire: Wire,
    topic: String,
    producer: Producer,
}

impl Idempotent {
    fn new() -> Self {
        let mut wire = Wire::connect();
        let producer = wire.idempotent_producer();
        Self { wire, topic: topic(1), producer }
    }

    /// `count` records, the first of which has this sequence number.
    fn send(&mut self, sequence: i32, count: usize) -> Answer<i64> {
        self.send_as(self.producer, sequence, count)
    }

    fn send_as(&mut self, producer: Producer, sequence: i32, count: usize) -> Answer<i64> {
        let batch = Batch::of(&vec!["x"; count]).by(producer, sequence);
        self.wire.produce(&self.topic, 0, &batch)
    }

    fn end(&mut self) -> i64 {
        self.wire.list_offset(&self.topic, 0, -1, false).unwrap().1
    }
}

#[test]
fn each_producer_gets_an_id_of_its_own() {
    let mut wire = Wire::connect();
    let [a, b] = [(); 2].map(|()| wire.idempotent_producer());
    assert_ne!(a.id, b.id);
    assert_eq!((a.epoch, b.epoch), (0, 0));
}

#[test]
fn batch_that_was_appended_before_is_answered_with_its_offset_and_not_appended_again() {
    let mut producer = Idempotent::new();
    assert_eq!(producer.send(0, 3), Ok(0));
    assert_eq!(producer.send(3, 2), Ok(3));
    assert_eq!(producer.send(3, 2), Ok(3));
    assert_eq!(producer.send(0, 3), Ok(0));
    assert_eq!(producer.end(), 5);
    assert_eq!(producer.send(5, 1), Ok(5));
}

#[test]
fn last_five_batches_are_known_again() {
    let mut producer = Idempotent::new();
    for sequence in 0..6 {
        assert_eq!(producer.send(sequence, 1), Ok(i64::from(sequence)));
    }
    for sequence in 1..6 {
        assert_eq!(producer.send(sequence, 1), Ok(i64::from(sequence)), "again {sequence}");
    }
    assert_eq!(producer.send(0, 1), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(producer.end(), 6);
}

#[test]
fn sequence_with_a_gap_is_refused() {
    let mut producer = Idempotent::new();
    assert_eq!(producer.send(0, 2), Ok(0));
    for sequence in [3, 1, 100] {
        let sent = producer.send(sequence, 1);
        assert_eq!(sent, Err(ResponseError::OutOfOrderSequenceNumber), "{sequence}");
    }
    // Begins like one that is known, but is longer.
    assert_eq!(producer.send(0, 3), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(producer.send(2, 1), Ok(2));
}

/// The broker may have forgotten a producer, whose batches must still be taken (KIP-360).
#[test]
fn producer_that_the_partition_does_not_know_begins_anywhere() {
    let mut producer = Idempotent::new();
    assert_eq!(producer.send(17, 1), Ok(0));
    assert_eq!(producer.send(18, 1), Ok(1));
    assert_eq!(producer.send(0, 1), Err(ResponseError::OutOfOrderSequenceNumber));
}

#[test]
fn sequences_begin_again_behind_the_largest() {
    let mut producer = Idempotent::new();
    assert_eq!(producer.send(i32::MAX - 1, 1), Ok(0));
    assert_eq!(producer.send(i32::MAX, 1), Ok(1));
    assert_eq!(producer.send(0, 1), Ok(2));
    assert_eq!(producer.send(1, 1), Ok(3));
}

#[test]
fn newer_epoch_begins_at_zero_and_shuts_the_older_one_out() {
    let mut producer = Idempotent::new();
    let old = producer.producer;
    let new = Producer { epoch: old.epoch + 1, ..old };
    assert_eq!(producer.send_as(old, 0, 1), Ok(0));
    let refused = producer.send_as(new, 1, 1);
    assert_eq!(refused, Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(producer.send_as(new, 0, 1), Ok(1));
    assert_eq!(producer.send_as(old, 1, 1), Err(ResponseError::InvalidProducerEpoch));
    assert_eq!(producer.end(), 2);
}

#[test]
fn partitions_count_each_for_itself() {
    let topic = topic(2);
    let mut wire = Wire::connect();
    let producer = wire.idempotent_producer();
    let batch = Batch::of(&["x"]).by(producer, 0);
    assert_eq!(wire.produce(&topic, 0, &batch), Ok(0));
    assert_eq!(wire.produce(&topic, 1, &batch), Ok(0));
    assert_eq!(wire.produce(&topic, 1, &Batch::of(&["x"]).by(producer, 1)), Ok(1));
}
