//! Rule 7: what can't be joined ends on the rejects topic with its reason; all else joins.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::pipeline::Pipeline;
use e2e::rows::{Row, Writer, now_millis, trips};
use e2e::stack::Stack;

const HOUR_MS: i64 = 3_600_000;
/// 2099-01-01T00:00:00Z.
const YEAR_2099_MS: i64 = 4_070_908_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_poison_is_rejected_with_its_reason_and_all_else_joins() {
    let pipeline = Pipeline::new(&Stack::shared(), "poison");
    pipeline.create_inputs().await;
    let writer = Writer::new(&pipeline.stack, &pipeline.topics).await;
    let joiner = pipeline.start_joiner().await;

    let good = trips(7, 60);
    let now = now_millis();
    for trip in &good[..30] {
        writer.foreign_trip(trip, now).await;
    }
    // What shall be an hour late is so only once the watermark says so.
    joiner.watermarks_reach(3, now - HOUR_MS / 2).await;

    let mut nameless = trips(8, 1).remove(0);
    nameless.trip_data.trip_id.clear();
    let late = trips(9, 1).remove(0);
    let future = trips(10, 1).remove(0);
    let [trip_value, driver_value, rider_value] = writer.values(&trips(11, 1)[0]);
    let topics = &pipeline.topics;
    let at = |timestamp, value: Vec<u8>| Row {
        key: Some(b"k".to_vec()),
        value: Some(value),
        timestamp: Some(timestamp),
    };
    let value = |value| at(now, value);
    let truncated = trip_value[..trip_value.len() / 2].to_vec();
    let trailing = [driver_value.clone(), vec![0]].concat();
    let unknown_schema = [&[0, 0x7f, 0xff, 0xff, 0xff][..], &rider_value[5..]].concat();
    let impossible_schema = [&[0, 0xff, 0xff, 0xff, 0xff][..], &rider_value[5..]].concat();
    let poison = [
        (&topics.trips, value(b"not avro at all".to_vec())),
        (&topics.trips, value(Vec::new())),
        (&topics.trips, value(truncated)),
        (&topics.drivers, value(trailing)),
        (&topics.riders, value(unknown_schema)),
        (&topics.riders, value(impossible_schema)),
        (&topics.trips, value(writer.values(&nameless)[0].clone())),
        (&topics.drivers, Row { key: Some(b"k".to_vec()), value: None, timestamp: Some(now) }),
        (&topics.riders, value(driver_value)),
        (&topics.trips, at(now - HOUR_MS, writer.values(&late)[0].clone())),
        (&topics.trips, at(YEAR_2099_MS, writer.values(&future)[0].clone())),
    ];
    let count = poison.len() as u64;
    for (topic, row) in poison {
        writer.row(topic, row).await;
    }
    for trip in &good[30..] {
        writer.foreign_trip(trip, now_millis()).await;
    }

    let report = pipeline.verify_all_decided(Duration::from_secs(60)).await;
    assert_eq!(report.verdict.joined, 60);
    let reasons: BTreeMap<&str, u64> =
        report.verdict.rejects.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    assert_eq!(report.verdict.rejected(), count, "{reasons:?}");
    let expected = [
        ("empty_trip_id", 1),
        ("late", 1),
        ("timestamp", 1),
        ("tombstone", 1),
        ("undecodable", 4),
        ("unknown_schema", 2),
        ("wrong_type", 1),
    ];
    assert_eq!(reasons, BTreeMap::from(expected));
    assert!(joiner.is_running());
    joiner.stop().await;
}
