//! ListOffsets: the ends of a log, and times.

use crate::rig::{topic, topic_with, unique};
use crate::wire::batch::Batch;
use crate::wire::{ResponseError, Wire};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// KIP-734.
const MAX_TIMESTAMP: i64 = -3;

/// A new topic that keeps records of any age: those here are of 1970.
fn lasting_topic() -> String {
    topic_with(1, &[("retention.ms", "-1")])
}

#[test]
fn ends_of_a_log_are_its_first_and_next_offset() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    assert_eq!(wire.list_offset(&topic, 0, EARLIEST, false), Ok((-1, 0)));
    assert_eq!(wire.list_offset(&topic, 0, LATEST, false), Ok((-1, 0)));
    wire.produce(&topic, 0, &Batch::of(&["a", "b", "c"])).unwrap();
    wire.delete_records(&topic, 0, 2).unwrap();
    assert_eq!(wire.list_offset(&topic, 0, EARLIEST, false), Ok((-1, 2)));
    assert_eq!(wire.list_offset(&topic, 0, LATEST, false), Ok((-1, 3)));
}

#[test]
fn offset_for_a_time_is_that_of_the_first_record_at_or_after_it() {
    let topic = lasting_topic();
    let mut wire = Wire::connect();
    // Times go back within and between batches.
    wire.produce(&topic, 0, &Batch::at(&[1_000, 3_000, 2_000])).unwrap();
    wire.produce(&topic, 0, &Batch::at(&[2_500, 5_000])).unwrap();
    wire.produce(&topic, 0, &Batch::at(&[4_000])).unwrap();
    for (time, expected) in [
        (0, (1_000, 0)),
        (1_000, (1_000, 0)),
        (1_001, (3_000, 1)),
        (2_000, (3_000, 1)),
        (3_000, (3_000, 1)),
        (3_001, (5_000, 4)),
        (4_000, (5_000, 4)),
        (5_000, (5_000, 4)),
        (5_001, (-1, -1)),
    ] {
        assert_eq!(wire.list_offset(&topic, 0, time, false), Ok(expected), "{time}");
    }
}

#[test]
fn offset_for_a_time_is_not_before_the_log_starts() {
    let topic = lasting_topic();
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::at(&[1_000, 2_000, 3_000])).unwrap();
    wire.delete_records(&topic, 0, 1).unwrap();
    assert_eq!(wire.list_offset(&topic, 0, 500, false), Ok((2_000, 1)));
}

#[test]
fn offset_for_a_time_is_looked_for_behind_a_batch_that_is_partly_deleted() {
    let topic = lasting_topic();
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::at(&[2_000, 1_000, 1_000])).unwrap();
    wire.produce(&topic, 0, &Batch::at(&[3_000])).unwrap();
    wire.delete_records(&topic, 0, 1).unwrap();
    assert_eq!(wire.list_offset(&topic, 0, 1_500, false), Ok((3_000, 3)));
}

#[test]
fn offset_of_the_latest_time_is_that_of_the_first_record_with_it() {
    let topic = lasting_topic();
    let mut wire = Wire::connect();
    assert_eq!(wire.list_offset(&topic, 0, MAX_TIMESTAMP, false), Ok((-1, -1)));
    wire.produce(&topic, 0, &Batch::at(&[1_000, 7_000, 2_000, 7_000])).unwrap();
    wire.produce(&topic, 0, &Batch::at(&[7_000, 3_000])).unwrap();
    assert_eq!(wire.list_offset(&topic, 0, MAX_TIMESTAMP, false), Ok((7_000, 1)));
}

#[test]
fn what_does_not_exist_is_unknown() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(wire.list_offset(&topic, 1, LATEST, false), unknown);
    assert_eq!(wire.list_offset(&topic, -1, LATEST, false), unknown);
    assert_eq!(wire.list_offset(&unique("unknown"), 0, LATEST, false), unknown);
}
