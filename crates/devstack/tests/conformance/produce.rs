//! Produce: what is appended, what is refused, and how.

use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::rig::{eventually, now_ms, topic, topic_with, unique};
use crate::wire::batch::{Batch, CRC, MAGIC, RECORD_COUNT, append_time, seal};
use crate::wire::log::produce_request;
use crate::wire::{Fetch, ResponseError, Wire, outcome, text};

#[test]
fn offsets_are_given_in_order() {
    let topic = topic(2);
    let mut wire = Wire::connect();
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["a", "b", "c"])), Ok(0));
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["d"])), Ok(3));
    assert_eq!(wire.produce(&topic, 1, &Batch::of(&["e"])), Ok(0));
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["f"])), Ok(4));
    let values = wire.fetch(&topic, 0, 0, &Fetch::default()).unwrap().values();
    let expected = ["a", "b", "c", "d", "f"].iter().enumerate();
    assert_eq!(values, expected.map(|(n, v)| (n as i64, (*v).to_owned())).collect::<Vec<_>>());
}

#[test]
fn answer_tells_of_the_log() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::of(&["a", "b"])).unwrap();
    wire.delete_records(&topic, 0, 1).unwrap();
    let request = produce_request(&topic, None, vec![(0, Batch::of(&["c"]).encode().freeze())]);
    let answer = wire.produce_all(&request).remove(0);
    assert_eq!((answer.base_offset, answer.log_start_offset), (2, 1));
    assert_eq!(answer.log_append_time_ms, -1, "the records have their producer's time");
}

#[test]
fn producer_that_wants_no_answer_gets_none() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let batch = Batch::of(&["unanswered"]).encode().freeze();
    wire.send_produce(&produce_request(&topic, None, vec![(0, batch)]).with_acks(0));
    // What comes is the answer to the request behind it.
    let next = ApiVersionsRequest::default()
        .with_client_software_name(text("conformance"))
        .with_client_software_version(text("1"));
    outcome(wire.ask(3, &next).error_code).unwrap();
    eventually("the record is there", || {
        (wire.list_offset(&topic, 0, -1, false) == Ok((-1, 1))).then_some(())
    });
}

#[test]
fn failure_of_a_producer_that_wants_no_answer_closes_its_connection() {
    let mut wire = Wire::connect();
    let batch = Batch::of(&["lost"]).encode().freeze();
    let request = produce_request(&unique("unknown"), None, vec![(0, batch)]);
    wire.send_produce(&request.with_acks(0));
    assert!(wire.receive_frame().is_none());
}

#[test]
fn number_of_acknowledgements_is_all_one_or_none() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let request = |acks| -> ProduceRequest {
        let batch = Batch::of(&["x"]).encode().freeze();
        produce_request(&topic, None, vec![(0, batch)]).with_acks(acks)
    };
    for (acks, expected) in [
        (-1, Ok(())),
        (1, Ok(())),
        (2, Err(ResponseError::InvalidRequiredAcks)),
        (-2, Err(ResponseError::InvalidRequiredAcks)),
    ] {
        let answer = wire.produce_all(&request(acks)).remove(0);
        assert_eq!(outcome(answer.error_code), expected, "acks={acks}");
    }
}

#[test]
fn damaged_batches_are_refused_and_leave_no_trace() {
    let topic = topic(1);
    let good = Batch::of(&["value"]).encode();
    let changed = |change: &dyn Fn(&mut bytes::BytesMut)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch.freeze()
    };
    let cases = [
        ("wrong checksum", changed(&|b| b[CRC] ^= 1), ResponseError::CorruptMessage),
        ("changed byte", changed(&|b| *b.last_mut().unwrap() ^= 1), ResponseError::CorruptMessage),
        (
            "more records announced than there are",
            changed(&|b| {
                b[RECORD_COUNT + 3] = 2;
                seal(b);
            }),
            ResponseError::InvalidRecord,
        ),
        ("message format 1", changed(&|b| b[MAGIC] = 1), ResponseError::InvalidRecord),
        (
            "a marker",
            Batch::of(&["value"]).control().encode().freeze(),
            ResponseError::InvalidRecord,
        ),
        ("two batches", [&good[..], &good[..]].concat().into(), ResponseError::InvalidRecord),
    ];
    let mut wire = Wire::connect();
    for (case, bytes, error) in cases {
        let produced = wire.produce_bytes(&topic, 0, bytes);
        assert_eq!(produced, Err(error), "{case}");
    }
    assert_eq!(wire.list_offset(&topic, 0, -1, false), Ok((-1, 0)));
    assert_eq!(wire.produce_bytes(&topic, 0, good.freeze()), Ok(0));
}

#[test]
fn partitions_of_one_request_fail_one_by_one() {
    let topic = topic(3);
    let mut wire = Wire::connect();
    let good = || Batch::of(&["good"]).encode();
    let mut bad = good();
    bad[CRC] ^= 1;
    let partitions =
        vec![(0, good().freeze()), (1, bad.freeze()), (2, good().freeze()), (9, good().freeze())];
    let answers = wire.produce_all(&produce_request(&topic, None, partitions));
    let mut errors: Vec<_> =
        answers.iter().map(|answer| (answer.index, outcome(answer.error_code))).collect();
    errors.sort_by_key(|(index, _)| *index);
    let expected = [
        (0, Ok(())),
        (1, Err(ResponseError::CorruptMessage)),
        (2, Ok(())),
        (9, Err(ResponseError::UnknownTopicOrPartition)),
    ];
    assert_eq!(errors, expected);
}

#[test]
fn record_without_key_is_refused_where_keys_are_compacted() {
    let topic = topic_with(1, &[("cleanup.policy", "compact")]);
    let mut wire = Wire::connect();
    let batch = Batch::of(&["no key"]).encode().freeze();
    let answer = wire.produce_all(&produce_request(&topic, None, vec![(0, batch)])).remove(0);
    assert_eq!(outcome(answer.error_code), Err(ResponseError::InvalidRecord));
    let indexes: Vec<i32> = answer.record_errors.iter().map(|e| e.batch_index).collect();
    assert_eq!(indexes, [0], "KIP-467 names the records");
    assert_eq!(wire.produce(&topic, 0, &Batch::keyed("key", "value")), Ok(0));
}

#[test]
fn batch_as_large_as_allowed_is_taken_and_not_one_byte_more() {
    let size = |value: usize| Batch::of(&["x".repeat(value)]).encode().len();
    let limit = 5_000;
    let value = (1..limit).rev().find(|value| size(*value) <= limit).unwrap();
    assert_eq!(size(value), limit);
    let topic = topic_with(1, &[("max.message.bytes", &limit.to_string())]);
    let mut wire = Wire::connect();
    assert_eq!(wire.produce(&topic, 0, &Batch::of(&["x".repeat(value)])), Ok(0));
    let larger = wire.produce(&topic, 0, &Batch::of(&["x".repeat(value + 1)]));
    assert_eq!(larger, Err(ResponseError::MessageTooLarge));
}

#[test]
fn topic_can_ask_for_the_time_of_appending() {
    let topic = topic_with(1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut wire = Wire::connect();
    let before = now_ms();
    let bytes = Batch::at(&[1_000, 2_000]).encode().freeze();
    let answer = wire.produce_all(&produce_request(&topic, None, vec![(0, bytes)])).remove(0);
    assert_eq!(answer.error_code, 0);
    // Clocks of one machine may still be read a little apart.
    let appended = answer.log_append_time_ms;
    assert!((before - 1_000..=now_ms() + 1_000).contains(&appended), "{appended}");
    let fetched = wire.fetch(&topic, 0, 0, &Fetch::default()).unwrap();
    // The header says that its largest timestamp holds for all records; those keep their own bytes.
    assert_eq!(append_time(&fetched.batches[0]), Some(appended));
}

#[test]
fn time_further_from_the_clock_than_the_topic_allows_is_refused() {
    type Configs = &'static [(&'static str, &'static str)];
    const HOUR: i64 = 3_600_000;
    const ANY: &str = "9223372036854775807";
    let refused = Err(ResponseError::InvalidTimestamp);
    let cases: [(Configs, i64, Result<(), ResponseError>); 7] = [
        // What Kafka 4 has where neither the topic nor the broker is told otherwise (KIP-1030).
        (&[("message.timestamp.after.max.ms", "3600000")], HOUR / 2, Ok(())),
        (&[("message.timestamp.after.max.ms", "3600000")], 2 * HOUR, refused),
        (&[("message.timestamp.after.max.ms", "3600000")], -1_000 * HOUR, Ok(())),
        (&[("message.timestamp.after.max.ms", ANY)], 1_000 * HOUR, Ok(())),
        (&[("message.timestamp.before.max.ms", "3600000")], -2 * HOUR, refused),
        (&[("message.timestamp.before.max.ms", "3600000")], -HOUR / 2, Ok(())),
        (&[("message.timestamp.type", "LogAppendTime")], 2 * HOUR, Ok(())),
    ];
    let mut wire = Wire::connect();
    for (configs, ahead, expected) in cases {
        let topic = topic_with(1, configs);
        let now = now_ms();
        let bytes = Batch::at(&[now, now + ahead, now]).encode().freeze();
        let answer = wire.produce_all(&produce_request(&topic, None, vec![(0, bytes)])).remove(0);
        assert_eq!(outcome(answer.error_code), expected, "{configs:?}, {ahead} ms ahead");
        let indexes: Vec<i32> = answer.record_errors.iter().map(|e| e.batch_index).collect();
        let at_fault: &[i32] = if expected.is_ok() { &[] } else { &[1] };
        assert_eq!(indexes, at_fault, "KIP-467 names the records");
    }
}

#[test]
fn version_3_of_produce_is_still_taken() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let batch = Batch::of(&["old client"]).encode().freeze();
    let answer = wire.ask(3, &produce_request(&topic, None, vec![(0, batch)]));
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 0));
}
