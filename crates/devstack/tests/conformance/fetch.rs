//! Fetch: which batches, how many bytes, how long to wait, and sessions.

use std::time::{Duration, Instant};

use kafka_protocol::messages::{FetchRequest, TopicName};
use uuid::Uuid;

use crate::rig::{topic, unique};
use crate::wire::batch::Batch;
use crate::wire::log::{FETCH, fetched};
use crate::wire::{Fetch, ResponseError, Wire, outcome};

fn offsets(topic: &str, from: i64, how: &Fetch) -> Vec<i64> {
    let fetched = Wire::connect().fetch(topic, 0, from, how).unwrap();
    fetched.records().iter().map(|record| record.offset).collect()
}

fn produce(topic: &str, batches: usize, value_bytes: usize) {
    let mut wire = Wire::connect();
    for _ in 0..batches {
        wire.produce(topic, 0, &Batch::of(&["x".repeat(value_bytes)])).unwrap();
    }
}

#[test]
fn batch_that_contains_the_offset_is_returned_whole() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::of(&["a", "b", "c"])).unwrap();
    wire.produce(&topic, 0, &Batch::of(&["d", "e"])).unwrap();
    for (from, expected) in [
        (0, vec![0, 1, 2, 3, 4]),
        (1, vec![0, 1, 2, 3, 4]),
        (2, vec![0, 1, 2, 3, 4]),
        (3, vec![3, 4]),
        (4, vec![3, 4]),
        (5, vec![]),
    ] {
        assert_eq!(offsets(&topic, from, &Fetch::default()), expected, "from {from}");
    }
}

#[test]
fn offset_outside_of_the_log_is_refused() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::of(&["a", "b"])).unwrap();
    for offset in [3, 1_000, -1] {
        let fetched = wire.fetch(&topic, 0, offset, &Fetch::default());
        assert_eq!(fetched.map(|_| ()), Err(ResponseError::OffsetOutOfRange), "{offset}");
    }
}

#[test]
fn what_does_not_exist_is_unknown() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    for (topic, partition) in [(&*topic, 1), (&unique("unknown"), 0)] {
        let fetched = wire.fetch(topic, partition, 0, &Fetch::default());
        assert_eq!(fetched.map(|_| ()), unknown, "{topic} {partition}");
    }
}

#[test]
fn leader_epoch_of_the_client_is_checked() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let epoch = wire.topic_metadata(&topic).partitions[0].leader_epoch;
    let mut ask = |leader_epoch| {
        let how = Fetch { leader_epoch, ..Fetch::default() };
        wire.fetch(&topic, 0, 0, &how).map(|_| ())
    };
    assert_eq!(ask(epoch), Ok(()));
    assert_eq!(ask(epoch + 1), Err(ResponseError::UnknownLeaderEpoch));
}

#[test]
fn end_of_a_leader_epoch_is_the_end_of_the_log() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let epoch = wire.topic_metadata(&topic).partitions[0].leader_epoch;
    wire.produce(&topic, 0, &Batch::of(&["a", "b"])).unwrap();
    assert_eq!(wire.epoch_end(&topic, 0, epoch), Ok((epoch, 2)));
    assert_eq!(wire.epoch_end(&topic, 0, epoch + 5), Ok((-1, -1)));
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(wire.epoch_end(&topic, 1, 0), unknown);
}

#[test]
fn first_batch_is_returned_however_large_it_is() {
    let topic = topic(1);
    produce(&topic, 3, 1_000);
    let little = Fetch { partition_max_bytes: 10, ..Fetch::default() };
    assert_eq!(offsets(&topic, 1, &little), [1]);
    let little = Fetch { max_bytes: 10, ..Fetch::default() };
    assert_eq!(offsets(&topic, 0, &little), [0]);
}

#[test]
fn partition_gives_no_more_than_its_limit() {
    let topic = topic(1);
    produce(&topic, 10, 1_000);
    let limited = Fetch { partition_max_bytes: 3_500, ..Fetch::default() };
    assert_eq!(offsets(&topic, 2, &limited), [2, 3, 4]);
}

#[test]
fn answer_is_no_larger_than_its_limit_over_all_partitions() {
    let topic = topic(3);
    let mut wire = Wire::connect();
    for partition in 0..3 {
        wire.produce(&topic, partition, &Batch::of(&["x".repeat(1_000)])).unwrap();
    }
    let limited = Fetch { max_bytes: 1_500, ..Fetch::default() };
    let fetched = wire.fetch_all(&limited.request(&topic, &[(0, 0), (1, 0), (2, 0)]));
    let batches: Vec<usize> =
        fetched.iter().map(|(_, p)| p.as_ref().unwrap().batches.len()).collect();
    assert_eq!(batches, [1, 0, 0], "the first in the order of the request, cut off behind it");
    let next = wire.fetch_all(&limited.request(&topic, &[(2, 0), (0, 0), (1, 0)]));
    assert_eq!(next[0].0, 2);
    assert_eq!(next[0].1.as_ref().unwrap().batches.len(), 1);
}

#[test]
fn fetch_with_nothing_to_give_waits_as_long_as_it_may() {
    let topic = topic(1);
    let waits = Fetch { max_wait_ms: 700, min_bytes: 1, ..Fetch::default() };
    let begin = Instant::now();
    assert_eq!(offsets(&topic, 0, &waits), [0; 0]);
    assert!(begin.elapsed() >= Duration::from_millis(650), "{:?}", begin.elapsed());
}

#[test]
fn fetch_that_waits_for_no_bytes_returns_at_once() {
    let topic = topic(1);
    let impatient = Fetch { max_wait_ms: 20_000, min_bytes: 0, ..Fetch::default() };
    let begin = Instant::now();
    assert_eq!(offsets(&topic, 0, &impatient), [0; 0]);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn append_wakes_a_fetch_that_waits() {
    let topic = topic(2);
    let mut waiting = Wire::connect();
    let waits = Fetch { max_wait_ms: 25_000, min_bytes: 1, ..Fetch::default() };
    let begin = Instant::now();
    waiting.send(FETCH, &waits.request(&topic, &[(0, 0), (1, 0)]));
    Wire::connect().produce(&topic, 1, &Batch::of(&["wakes"])).unwrap();
    let answer = fetched(waiting.receive::<FetchRequest>(FETCH));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    let (_, partition) = answer.into_iter().find(|(index, _)| *index == 1).unwrap();
    assert_eq!(partition.unwrap().values(), [(0, "wakes".to_owned())]);
}

#[test]
fn fetch_waits_until_there_are_enough_bytes() {
    let topic = topic(1);
    produce(&topic, 1, 100);
    let mut waiting = Wire::connect();
    let waits = Fetch { max_wait_ms: 25_000, min_bytes: 2_000, ..Fetch::default() };
    waiting.send(FETCH, &waits.request(&topic, &[(0, 0)]));
    produce(&topic, 1, 500);
    produce(&topic, 1, 2_000);
    let answer = fetched(waiting.receive::<FetchRequest>(FETCH)).remove(0).1.unwrap();
    assert_eq!(answer.batches.len(), 3);
    let waits = Fetch { max_wait_ms: 300, min_bytes: 1_000_000, ..Fetch::default() };
    assert_eq!(offsets(&topic, 0, &waits), [0, 1, 2], "or as many as there are in time");
}

#[test]
fn error_in_one_partition_ends_the_waiting() {
    let topic = topic(2);
    let mut wire = Wire::connect();
    let waits = Fetch { max_wait_ms: 25_000, min_bytes: 1, ..Fetch::default() };
    let begin = Instant::now();
    let answer = wire.fetch_all(&waits.request(&topic, &[(0, 0), (1, 5)]));
    assert!(begin.elapsed() < Duration::from_secs(15));
    let error = answer.into_iter().find(|(index, _)| *index == 1).unwrap().1.map(|_| ());
    assert_eq!(error, Err(ResponseError::OffsetOutOfRange));
}

#[test]
fn topics_are_named_by_id_from_version_13_on() {
    let topic = topic(1);
    produce(&topic, 1, 10);
    let mut wire = Wire::connect();
    let id = wire.topic_metadata(&topic).topic_id;
    let mut ask = |id: Uuid| {
        let mut request = Fetch::default().request(&topic, &[(0, 0)]);
        request.topics[0].topic = TopicName::default();
        request.topics[0].topic_id = id;
        let answer = wire.ask(16, &request);
        outcome(answer.error_code).unwrap();
        let topic = &answer.responses[0];
        (
            topic.topic_id,
            outcome(topic.partitions[0].error_code),
            topic.partitions[0].high_watermark,
        )
    };
    assert_eq!(ask(id), (id, Ok(()), 1));
    let unknown = Uuid::from_u128(77);
    let (_, error, _) = ask(unknown);
    assert_eq!(error, Err(ResponseError::UnknownTopicId));
}

#[test]
fn session_that_does_not_exist_is_not_continued() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let how = Fetch { session_id: 4_711, session_epoch: 3, ..Fetch::default() };
    let answer = wire.ask(FETCH, &how.request(&topic, &[(0, 0)]));
    assert_eq!(outcome(answer.error_code), Err(ResponseError::FetchSessionIdNotFound));
    assert!(answer.responses.is_empty());
}

/// KIP-227. A broker may refuse a session by answering with session 0; then there is no more to it.
#[test]
fn session_returns_what_has_changed() {
    let topic = topic(2);
    let mut wire = Wire::connect();
    let opens = Fetch { session_epoch: 0, ..Fetch::default() };
    let answer = wire.ask(FETCH, &opens.request(&topic, &[(0, 0), (1, 0)]));
    outcome(answer.error_code).unwrap();
    assert_eq!(
        answer.responses[0].partitions.len(),
        2,
        "a full answer, whether or not there is a session"
    );
    let session_id = answer.session_id;
    if session_id == 0 {
        return;
    }
    wire.produce(&topic, 1, &Batch::of(&["new"])).unwrap();
    let continues = |session_epoch| {
        Fetch { session_id, session_epoch, ..Fetch::default() }.request(&topic, &[])
    };
    let answer = fetched(wire.ask(FETCH, &continues(1)));
    let [(1, Ok(partition))] = &answer[..] else { panic!("{answer:?}") };
    assert_eq!(partition.values(), [(0, "new".to_owned())]);
    let wrong = wire.ask(FETCH, &continues(7));
    assert_eq!(outcome(wrong.error_code), Err(ResponseError::InvalidFetchSessionEpoch));
    // -1 closes it.
    outcome(wire.ask(FETCH, &continues(-1)).error_code).unwrap();
    let closed = wire.ask(FETCH, &continues(2));
    assert_eq!(outcome(closed.error_code), Err(ResponseError::FetchSessionIdNotFound));
}
