//! Topics and their partitions: created, extended, emptied, deleted.

use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment;

use crate::rig::{topic, topic_with, unique};
use crate::wire::admin::creatable;
use crate::wire::batch::Batch;
use crate::wire::{Fetch, ResponseError, Wire, outcome};

#[test]
fn topic_that_cannot_be_is_not_created() {
    let taken = topic(1);
    let long = "x".repeat(250);
    let config = |name: &'static str, value: &'static str| vec![(name, value)];
    let fresh = unique("refused");
    let cases = [
        ("", 1, 1, vec![], ResponseError::InvalidTopicException),
        (".", 1, 1, vec![], ResponseError::InvalidTopicException),
        ("..", 1, 1, vec![], ResponseError::InvalidTopicException),
        ("a topic", 1, 1, vec![], ResponseError::InvalidTopicException),
        ("trips/2026", 1, 1, vec![], ResponseError::InvalidTopicException),
        ("tr\u{ef}ps", 1, 1, vec![], ResponseError::InvalidTopicException),
        (&long, 1, 1, vec![], ResponseError::InvalidTopicException),
        (&taken, 1, 1, vec![], ResponseError::TopicAlreadyExists),
        (&fresh, 0, 1, vec![], ResponseError::InvalidPartitions),
        (&fresh, -2, 1, vec![], ResponseError::InvalidPartitions),
        (&fresh, 1, 0, vec![], ResponseError::InvalidReplicationFactor),
        (&fresh, 1, 3, vec![], ResponseError::InvalidReplicationFactor),
        (&fresh, 1, 1, config("no.such.setting", "1"), ResponseError::InvalidConfig),
        (&fresh, 1, 1, config("retention.ms", "soon"), ResponseError::InvalidConfig),
        (&fresh, 1, 1, config("retention.ms", "-2"), ResponseError::InvalidConfig),
        (&fresh, 1, 1, config("cleanup.policy", "burn"), ResponseError::InvalidConfig),
        (&fresh, 1, 1, config("segment.bytes", "1"), ResponseError::InvalidConfig),
    ];
    let mut wire = Wire::connect();
    for (name, partitions, replicas, configs, error) in cases {
        let created = wire.create_topic(name, partitions, replicas, &configs);
        assert_eq!(created, Err(error), "{name:?} {partitions} {replicas} {configs:?}");
    }
    assert_ne!(wire.topic_metadata(&fresh).error_code, 0, "one of the refused was created");
}

#[test]
fn longest_name_is_taken() {
    let name = format!("{:x<249}", unique("long"));
    Wire::connect().create_topic(&name, 1, 1, &[]).unwrap();
    Wire::connect().delete_topic(&name).unwrap();
}

#[test]
fn names_that_differ_in_dot_and_underscore_collide() {
    let name = unique("a.b");
    let mut wire = Wire::connect();
    wire.create_topic(&name, 1, 1, &[]).unwrap();
    let other = name.replace('.', "_");
    assert_eq!(
        wire.create_topic(&other, 1, 1, &[]),
        Err(ResponseError::InvalidTopicException),
        "Kafka names metrics by topic and has only one name for these two"
    );
}

#[test]
fn topic_named_twice_in_one_request_is_not_created() {
    let name = unique("twice");
    let mut wire = Wire::connect();
    let twice = vec![creatable(&name, 1, 1, &[]), creatable(&name, 2, 1, &[])];
    assert_eq!(wire.create_topics(twice, false), Err(ResponseError::InvalidRequest));
    assert_ne!(wire.topic_metadata(&name).error_code, 0);
}

#[test]
fn request_that_only_validates_creates_nothing() {
    let name = unique("validated");
    let mut wire = Wire::connect();
    assert_eq!(wire.create_topics(vec![creatable(&name, 3, 1, &[])], true), Ok(()));
    assert_eq!(
        wire.create_topics(vec![creatable(&name, 0, 1, &[])], true),
        Err(ResponseError::InvalidPartitions)
    );
    assert_ne!(wire.topic_metadata(&name).error_code, 0);
}

#[test]
fn broker_chooses_partitions_and_replicas_if_asked_to() {
    let name = unique("chosen");
    let mut wire = Wire::connect();
    // KIP-464.
    wire.create_topic(&name, -1, -1, &[]).unwrap();
    wire.await_topic(&name, 1);
    let partitions = wire.topic_metadata(&name).partitions;
    assert!(!partitions.is_empty());
    assert!(partitions.iter().all(|partition| partition.replica_nodes.len() == 1));
}

#[test]
fn replicas_are_assigned_by_hand_only_to_brokers_that_exist() {
    let mut wire = Wire::connect();
    let broker = wire.metadata(Some(&[]), false).brokers[0].node_id;
    let assigned = |name: &str, brokers: &[BrokerId]| {
        let assignment = |(index, broker): (usize, &BrokerId)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index as i32)
                .with_broker_ids(vec![*broker])
        };
        let assignments = brokers.iter().enumerate().map(assignment).collect();
        vec![creatable(name, -1, -1, &[]).with_assignments(assignments)]
    };
    let name = unique("assigned");
    assert_eq!(
        wire.create_topics(assigned(&name, &[broker, BrokerId(4711)]), false),
        Err(ResponseError::InvalidReplicaAssignment)
    );
    wire.create_topics(assigned(&name, &[broker, broker]), false).unwrap();
    wire.await_topic(&name, 2);
    assert_eq!(wire.topic_metadata(&name).partitions.len(), 2);
}

#[test]
fn partitions_are_only_ever_added() {
    let topic = topic(2);
    let mut wire = Wire::connect();
    assert_eq!(wire.produce(&topic, 1, &Batch::of(&["kept"])), Ok(0));
    for count in [1, 2, 0, -1] {
        let created = wire.create_partitions(&topic, count);
        assert_eq!(created, Err(ResponseError::InvalidPartitions), "{count}");
    }
    assert_eq!(wire.create_partitions(&topic, 4), Ok(()));
    wire.await_topic(&topic, 4);
    assert_eq!(wire.topic_metadata(&topic).partitions.len(), 4);
    assert_eq!(wire.produce(&topic, 3, &Batch::of(&["new"])), Ok(0));
    assert_eq!(wire.fetch(&topic, 1, 0, &Fetch::default()).unwrap().values().len(), 1);
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(wire.create_partitions(&unique("unknown"), 2), unknown);
}

#[test]
fn topic_that_is_deleted_and_created_again_is_another_one() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let first = wire.topic_metadata(&topic).topic_id;
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["old"])), Ok(0));
    assert_eq!(wire.delete_topic(&topic), Ok(()));
    wire.await_topic_gone(&topic);
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(outcome(wire.topic_metadata(&topic).error_code), unknown);
    assert_eq!(wire.delete_topic(&topic), unknown);
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["lost"])).map(|_| ()), unknown);
    assert_eq!(wire.list_offset(&topic, 0, -1, false).map(|_| ()), unknown);
    wire.create_topic(&topic, 2, 1, &[]).unwrap();
    wire.await_topic(&topic, 2);
    assert_ne!(wire.topic_metadata(&topic).topic_id, first);
    let fetched = wire.fetch(&topic, 0, 0, &Fetch::default()).unwrap();
    assert_eq!((fetched.high_watermark, fetched.batches.len()), (0, 0));
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["new"])), Ok(0));
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    for _ in 0..2 {
        wire.produce(&topic, 0, &Batch::of(&["a", "b", "c", "d", "e"])).unwrap();
    }
    // In the middle of the first batch, then back, which changes nothing.
    assert_eq!(wire.delete_records(&topic, 0, 3), Ok(3));
    assert_eq!(wire.delete_records(&topic, 0, 1), Ok(3));
    assert_eq!(wire.list_offset(&topic, 0, -2, false), Ok((-1, 3)));
    let before = wire.fetch(&topic, 0, 2, &Fetch::default());
    assert_eq!(before.map(|_| ()), Err(ResponseError::OffsetOutOfRange));
    let fetched = wire.fetch(&topic, 0, 3, &Fetch::default()).unwrap();
    assert_eq!((fetched.log_start_offset, fetched.high_watermark), (3, 10));
    assert_eq!(fetched.records()[0].offset, 0, "the batch is given as it was stored");
    let beyond = Err(ResponseError::OffsetOutOfRange);
    assert_eq!(wire.delete_records(&topic, 0, 11), beyond);
    assert_eq!(wire.delete_records(&topic, 0, -2), beyond);
    // -1 is the high watermark.
    assert_eq!(wire.delete_records(&topic, 0, -1), Ok(10));
    let fetched = wire.fetch(&topic, 0, 10, &Fetch::default()).unwrap();
    assert_eq!((fetched.log_start_offset, fetched.high_watermark), (10, 10));
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["next"])), Ok(10));
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(wire.delete_records(&topic, 7, 0), unknown);
    assert_eq!(wire.delete_records(&unique("unknown"), 0, 0), unknown);
}

#[test]
fn records_of_a_topic_that_is_only_compacted_are_not_deleted() {
    let topic = topic_with(1, &[("cleanup.policy", "compact")]);
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::keyed("k", "v")).unwrap();
    assert_eq!(wire.delete_records(&topic, 0, 1), Err(ResponseError::PolicyViolation));
}
