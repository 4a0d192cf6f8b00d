//! Transactional ids: epochs, fencing, and how a transaction begins and ends.

use std::time::Instant;

use crate::rig::{DEADLINE, eventually, topic, transactional_id, unique};
use crate::wire::batch::Batch;
use crate::wire::transaction::TRANSACTION_TIMEOUT_MS;
use crate::wire::{Fetch, Producer, ResponseError, Wire, settled};

/// No producer id and no epoch, as a new producer sends them.
const NONE: Producer = Producer { id: -1, epoch: -1 };

/// A time-out that a test waits for, and longer than it takes to write a record.
const SHORT_MS: i32 = 5_000;

fn stale(producer: Producer) -> Producer {
    Producer { epoch: producer.epoch - 1, ..producer }
}

#[test]
fn each_start_of_a_transactional_producer_gets_the_next_epoch() {
    let id = transactional_id();
    let mut wire = Wire::connect();
    let first = wire.transactional_producer(&id);
    assert_eq!(first.epoch, 0);
    for epoch in 1..4 {
        assert_eq!(wire.transactional_producer(&id), Producer { epoch, ..first });
    }
    assert_ne!(wire.transactional_producer(&transactional_id()).id, first.id);
}

#[test]
fn start_of_a_producer_aborts_the_transaction_of_the_one_before() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let old = wire.transactional_producer(&id);
    wire.add_partition(&id, old, &topic).unwrap();
    assert_eq!(wire.produce_in(&id, &topic, Batch::of(&["lost"]).by(old, 0)), Ok(0));
    let new = wire.transactional_producer(&id);
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    let fetched = wire.fetch(&topic, 0, 0, &Fetch::committed()).unwrap();
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (2, 2), "with a marker");
    assert_eq!(fetched.aborted, [(old.id, 0)]);
}

#[test]
fn producer_with_an_older_epoch_is_fenced() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let old = wire.transactional_producer(&id);
    wire.transact(&id, old, &topic, Batch::of(&["before"]).by(old, 0), true);
    let new = wire.transactional_producer(&id);
    wire.transact(&id, new, &topic, Batch::of(&["now"]).by(new, 0), true);
    // Old clients know only the one name for it, newer ones two (KIP-588).
    for (version, error) in
        [(1, ResponseError::InvalidProducerEpoch), (2, ResponseError::ProducerFenced)]
    {
        assert_eq!(wire.end_transaction_by(version, &id, old, true), Err(error));
        let added = wire.add_partitions(version, &id, old, &[(&topic, 0)]);
        assert_eq!(added, [Err(error)], "version {version}");
    }
    let produced = wire.produce_in(&id, &topic, Batch::of(&["zombie"]).by(old, 1));
    assert_eq!(produced, Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn producer_that_knows_its_epoch_gets_the_next_one() {
    let id = transactional_id();
    let mut wire = Wire::connect();
    let first = wire.transactional_producer(&id);
    let mut init = |known| wire.init_producer(Some(&id), TRANSACTION_TIMEOUT_MS, known);
    let second = init(first).unwrap();
    assert_eq!(second, Producer { epoch: first.epoch + 1, ..first });
    // The same request again, as after a lost answer.
    assert_eq!(init(first), Ok(second));
    let third = init(second).unwrap();
    assert_eq!(third.epoch, second.epoch + 1);
    assert_eq!(init(first), Err(ResponseError::ProducerFenced));
    let other = Producer { id: first.id + 1_000_000, epoch: 0 };
    assert_eq!(init(other), Err(ResponseError::ProducerFenced));
}

#[test]
fn timeout_of_a_transaction_has_limits() {
    let id = transactional_id();
    let mut wire = Wire::connect();
    for timeout_ms in [0, -1, i32::MAX] {
        let refused = wire.init_producer(Some(&id), timeout_ms, NONE);
        assert_eq!(refused, Err(ResponseError::InvalidTransactionTimeout), "{timeout_ms} ms");
    }
    let empty = wire.init_producer(Some(""), TRANSACTION_TIMEOUT_MS, NONE);
    assert_eq!(empty, Err(ResponseError::InvalidRequest));
}

#[test]
fn transactional_id_belongs_to_one_producer_id() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.transactional_producer(&id);
    let mapping = Err(ResponseError::InvalidProducerIdMapping);
    let other = Producer { id: producer.id + 1_000_000, ..producer };
    assert_eq!(wire.add_partition(&id, other, &topic), mapping);
    assert_eq!(wire.end_transaction(&id, other, true), mapping);
    let unknown = unique("unknown");
    assert_eq!(wire.add_partition(&unknown, producer, &topic), mapping);
    assert_eq!(wire.end_transaction(&unknown, producer, true), mapping);
}

#[test]
fn partition_of_an_unknown_topic_keeps_the_others_out_too() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.transactional_producer(&id);
    let added = wire.add_partitions(0, &id, producer, &[(&unique("unknown"), 0), (&topic, 0)]);
    let expected =
        [Err(ResponseError::UnknownTopicOrPartition), Err(ResponseError::OperationNotAttempted)];
    assert_eq!(added, expected);
    let produced = wire.produce_in(&id, &topic, Batch::of(&["x"]).by(producer, 0));
    assert_eq!(produced, Err(ResponseError::InvalidTxnState), "it was not added");
}

#[test]
fn batch_outside_of_any_transaction_is_refused() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.transactional_producer(&id);
    let batch = || Batch::of(&["x"]).by(producer, 0);
    let refused = Err(ResponseError::InvalidTxnState);
    assert_eq!(wire.produce_in(&id, &topic, batch()), refused);
    wire.transact(&id, producer, &topic, batch(), true);
    // Until its marker is written the partition takes the transaction for open.
    eventually("the marker is there", || {
        (wire.list_offset(&topic, 0, -1, true) == Ok((-1, 2))).then_some(())
    });
    let batch = Batch::of(&["x"]).by(producer, 1);
    assert_eq!(wire.produce_in(&id, &topic, batch), refused, "it has ended");
    assert_eq!(wire.list_offset(&topic, 0, -1, false), Ok((-1, 2)));
}

#[test]
fn end_of_a_transaction_can_be_asked_for_again_but_not_changed() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.transactional_producer(&id);
    assert_eq!(
        wire.end_transaction(&id, producer, true),
        Err(ResponseError::InvalidTxnState),
        "none has begun"
    );
    for (sequence, commit) in [(0, true), (1, false)] {
        let batch = Batch::of(&["x"]).by(producer, sequence);
        wire.transact(&id, producer, &topic, batch, commit);
        assert_eq!(wire.end_transaction(&id, producer, commit), Ok(()));
        let changed = wire.end_transaction(&id, producer, !commit);
        assert_eq!(changed, Err(ResponseError::InvalidTxnState));
    }
    assert_eq!(wire.list_offset(&topic, 0, -1, false), Ok((-1, 4)), "two markers, not more");
}

#[test]
fn transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.init_producer(Some(&id), SHORT_MS, NONE).unwrap();
    wire.add_partition(&id, producer, &topic).unwrap();
    wire.produce_in(&id, &topic, Batch::of(&["late"]).by(producer, 0)).unwrap();
    let begin = Instant::now();
    eventually("the transaction is aborted", || {
        (wire.list_offset(&topic, 0, -1, true) == Ok((-1, 2))).then_some(())
    });
    assert!(begin.elapsed() < DEADLINE);
    let fenced = Err(ResponseError::ProducerFenced);
    assert_eq!(wire.end_transaction_by(2, &id, producer, true), fenced);
    let aborted = wire.fetch(&topic, 0, 0, &Fetch::committed()).unwrap().aborted;
    assert_eq!(aborted, [(producer.id, 0)]);
    // Its producer, if it is alive, may go on with a new epoch (KIP-360).
    let renewed = wire.init_producer(Some(&id), SHORT_MS, producer).unwrap();
    assert!(renewed.epoch > producer.epoch);
}

#[test]
fn idle_producer_is_not_timed_out() {
    let (id, topic) = (transactional_id(), topic(1));
    let mut wire = Wire::connect();
    let producer = wire.init_producer(Some(&id), SHORT_MS, NONE).unwrap();
    // When another transaction with the same time-out is aborted, the broker has checked this one, too.
    let other = transactional_id();
    let hasty = wire.init_producer(Some(&other), SHORT_MS, NONE).unwrap();
    wire.add_partition(&other, hasty, &topic).unwrap();
    wire.produce_in(&other, &topic, Batch::of(&["late"]).by(hasty, 0)).unwrap();
    eventually("the other transaction is aborted", || {
        (wire.list_offset(&topic, 0, -1, true) == Ok((-1, 2))).then_some(())
    });
    let added = settled(|| wire.add_partition(&id, producer, &topic));
    assert_eq!(added, Ok(()));
}

#[test]
fn old_epochs_stay_fenced_whatever_they_ask() {
    let id = transactional_id();
    let mut wire = Wire::connect();
    wire.transactional_producer(&id);
    let producer = wire.transactional_producer(&id);
    let group = unique("group");
    let fenced = wire.add_offsets(&id, stale(producer), &group);
    assert_eq!(fenced, Err(ResponseError::InvalidProducerEpoch));
    assert_eq!(wire.add_offsets(&id, producer, &group), Ok(()));
    assert_eq!(wire.end_transaction(&id, producer, false), Ok(()));
}
