//! The service on Kafka: the dev stack, or the one that the environment names.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use avro_schemas::Decoded;
use harness::{Rig, Row, now_ms};
use kafka::partitioner::partition_for;
use models::Side;
use models::records::{DriverEarning, JoinedStream, Trip, UnmatchedTrip};

const TRIPS: usize = 300;

fn trip_ids() -> impl Iterator<Item = String> {
    (0..TRIPS).map(|n| format!("trip-{n}"))
}

fn joined(rig: &Rig, row: &Row) -> JoinedStream {
    match rig.registry.decode(row.value.as_deref().unwrap()).unwrap() {
        Decoded::Record(record) => record,
        Decoded::NeedsSchema(id) => panic!("schema {id}"),
    }
}

/// Each trip is there once, with the values of its three rows, where Java's partitioner looks for it.
fn assert_all_joined(rig: &Rig, rows: &[Row]) {
    let ids: BTreeSet<String> = rows.iter().map(|row| row.key.clone().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (TRIPS, TRIPS));
    assert_eq!(ids, trip_ids().collect());
    for row in rows {
        let record = joined(rig, row);
        let key = row.key.as_deref().unwrap();
        assert_eq!(record.trip_id, key);
        assert_eq!(record.trip_info.duration, "24 minutes");
        assert_eq!(record.rider_info.rider_id, format!("rider of {key}"));
        assert_eq!(record.driver_earning_info.driver_id, format!("driver of {key}"));
        assert_eq!(row.partition, partition_for(key.as_bytes(), 3));
    }
}

async fn register_outputs(rig: &Rig) {
    // What the joiner registers too; so the ids are known to the test.
    let topics = &rig.config.topics;
    let outputs = [
        (&topics.joined_streams, avro_schemas::RecordType::JoinedStream),
        (&topics.unmatched, avro_schemas::RecordType::UnmatchedTrip),
    ];
    for (topic, record) in outputs {
        rig.registry.register(&topic.value_subject(), record).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trips_whose_rows_come_before_and_after_a_restart_are_joined_once() {
    let rig = Rig::new([3, 3, 3]).await;
    register_outputs(&rig).await;
    let now = now_ms();
    let home = |id: &str| partition_for(id.as_bytes(), 3);
    let rows = |side| {
        trip_ids()
            .map(|id| (home(&id), id.clone(), Some(rig.value(side, &id)), now))
            .collect::<Vec<_>>()
    };
    rig.produce(Side::Trip, rows(Side::Trip)).await;
    rig.produce(Side::Driver, rows(Side::Driver)).await;

    let first = rig.start();
    first.ready().await;
    first.has_read(2 * TRIPS as u64).await;
    let summary = first.stop().await;
    assert_eq!((summary.joined, summary.open_rows), (0, 2 * TRIPS as u64));

    rig.produce(Side::Rider, rows(Side::Rider)).await;
    // A second row for a taken side, behind the first.
    rig.produce(Side::Rider, rows(Side::Rider)).await;
    let second = rig.start();
    second.has_read(2 * TRIPS as u64).await;
    let joined = rig.read_when(&rig.config.topics.joined_streams, TRIPS).await;
    let summary = second.stop().await;
    assert_all_joined(&rig, &joined);
    assert!(joined.iter().all(|row| row.timestamp_ms == Some(now)));
    assert_eq!((summary.joined, summary.duplicates), (TRIPS as u64, TRIPS as u64));
    assert_eq!((summary.forwarded, summary.open_rows), (0, 0));
    assert!(summary.is_balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lie_anywhere_are_joined_at_home() {
    let rig = Rig::new([3, 2, 4]).await;
    register_outputs(&rig).await;
    let now = now_ms();
    for (side, partitions) in Side::ALL.into_iter().zip([3, 2, 4]) {
        let key = |id: &str| format!("{side} of {id}");
        let lies = |id: &str| partition_for(key(id).as_bytes(), partitions);
        let rows = trip_ids().map(|id| (lies(&id), key(&id), Some(rig.value(side, &id)), now));
        rig.produce(side, rows).await;
    }
    let joiner = rig.start();
    let joined = rig.read_when(&rig.config.topics.joined_streams, TRIPS).await;
    let summary = joiner.stop().await;
    assert_all_joined(&rig, &joined);
    assert_eq!(summary.rows_in, 3 * TRIPS as u64);
    assert!(summary.forwarded > TRIPS as u64, "{summary}");
    assert!(summary.is_balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_joiner_takes_its_share_of_the_state_and_leaves_it_again() {
    let mut rig = Rig::new([3, 3, 3]).await;
    rig.config.joiner.instance_id = None;
    register_outputs(&rig).await;
    let now = now_ms();
    let home = |id: &str| partition_for(id.as_bytes(), 3);
    let rows = |side| {
        trip_ids()
            .map(|id| (home(&id), id.clone(), Some(rig.value(side, &id)), now))
            .collect::<Vec<_>>()
    };
    let first = rig.start();
    rig.produce(Side::Trip, rows(Side::Trip)).await;
    first.has_read(TRIPS as u64).await;

    let second = rig.start();
    second.has_tasks().await;
    let mut half = rows(Side::Rider);
    let later = half.split_off(TRIPS / 2);
    rig.produce(Side::Driver, rows(Side::Driver)).await;
    rig.produce(Side::Rider, half).await;
    rig.read_when(&rig.config.topics.joined_streams, TRIPS / 2).await;

    let first = first.stop().await;
    rig.produce(Side::Rider, later).await;
    let joined = rig.read_when(&rig.config.topics.joined_streams, TRIPS).await;
    let second = second.stop().await;
    assert_all_joined(&rig, &joined);
    assert_eq!(first.joined + second.joined, TRIPS as u64);
    assert!(first.joined > 0 && second.joined > 0, "{first} | {second}");
    assert_eq!(first.rows_in + second.rows_in, 3 * TRIPS as u64);
}

/// Several open entries of one trip_id are together larger than a record of the changelog can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_trip_that_is_larger_than_a_record_of_the_changelog_is_restored() {
    const TIMES: usize = 3;
    const LARGE: usize = 900_000;
    let mut rig = Rig::new([1, 1, 1]).await;
    register_outputs(&rig).await;
    rig.config.joiner.window = Duration::from_secs(1);
    // Nothing is decided by time.
    rig.config.joiner.max_skew = Some(Duration::from_secs(60));
    rig.config.joiner.idle = Duration::from_secs(60);
    let trip_id = || "trip".to_owned();
    let now = now_ms();
    let rows = |value: Vec<u8>| {
        let at = move |n: usize| now - 5_000 * i64::try_from(n).unwrap();
        (0..TIMES).map(move |n| (0, "trip".to_owned(), Some(value.clone()), at(n)))
    };
    let trip = Trip { trip_id: trip_id(), pickup_location: "x".repeat(LARGE), ..Trip::default() };
    let driver_id = "x".repeat(LARGE);
    let driver = DriverEarning { driver_id, trip_id: trip_id(), ..DriverEarning::default() };
    rig.produce(Side::Trip, rows(rig.encode(Side::Trip, &trip))).await;
    rig.produce(Side::Driver, rows(rig.encode(Side::Driver, &driver))).await;
    let joiner = rig.start();
    joiner.has_read(2 * TIMES as u64).await;
    joiner.stop().await;

    rig.produce(Side::Rider, rows(rig.value(Side::Rider, "trip"))).await;
    let joiner = rig.start();
    let rows = rig.read_when(&rig.config.topics.joined_streams, TIMES).await;
    let summary = joiner.stop().await;
    assert_eq!((rows.len(), summary.joined), (TIMES, TIMES as u64));
    for row in &rows {
        let joined = joined(&rig, row);
        assert_eq!(joined.trip_info.pickup_location, trip.pickup_location);
        assert_eq!(joined.driver_earning_info.driver_id, driver.driver_id);
        assert_eq!(joined.rider_info.rider_id, "rider of trip");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_rejected_with_its_reason_and_incomplete_trips_come_out_unmatched() {
    let mut rig = Rig::new([2, 2, 2]).await;
    register_outputs(&rig).await;
    rig.config.joiner.window = Duration::from_secs(1);
    rig.config.joiner.grace = Duration::from_millis(100);
    rig.config.joiner.idle = Duration::from_millis(200);
    let now = now_ms();
    let mut truncated = rig.value(Side::Trip, "truncated");
    truncated.pop();
    let year_2099 = 4_070_908_800_000;
    let poison = [
        ("undecodable", Some(b"{\"trip_id\":\"json\"}".to_vec()), now),
        ("unknown_schema", Some(vec![0, 0x7f, 0xff, 0xff, 0xff, 2]), now),
        ("undecodable", Some(truncated), now),
        ("wrong_type", Some(rig.value(Side::Rider, "rider")), now),
        ("empty_trip_id", Some(rig.value(Side::Trip, "")), now),
        ("tombstone", None, now),
        ("too_large", Some(vec![0; 2_000_000]), now),
        ("timestamp", Some(rig.value(Side::Trip, "future")), year_2099),
    ];
    let rows = poison.iter().map(|(key, value, ts)| (0, (*key).to_owned(), value.clone(), *ts));
    rig.produce(Side::Trip, rows).await;
    // This one doesn't even fit in the rejects.
    rig.produce(Side::Trip, [(0, "huge".to_owned(), Some(vec![0; 5_000_000]), now)]).await;
    let lonely = |side, id: &str| {
        (partition_for(id.as_bytes(), 2), id.to_owned(), Some(rig.value(side, id)), now)
    };
    rig.produce(Side::Trip, [lonely(Side::Trip, "lonely")]).await;
    rig.produce(Side::Rider, [lonely(Side::Rider, "lonely")]).await;

    let joiner = rig.start();
    let unmatched = rig.read_when(&rig.config.topics.unmatched, 1).await;
    let Decoded::Record::<UnmatchedTrip>(record) =
        rig.registry.decode(unmatched[0].value.as_deref().unwrap()).unwrap()
    else {
        panic!("the schema was registered");
    };
    assert_eq!((record.trip_id.as_str(), record.reason.as_str()), ("lonely", "window_expired"));
    assert_eq!(record.missing, ["driver"]);
    assert!(record.trip.is_some() && record.rider.is_some() && record.driver_earning.is_none());

    // The trip is decided; a straggler is too late for it.
    rig.produce(Side::Driver, [lonely(Side::Driver, "lonely")]).await;
    let mut rejects = rig.read_when(&rig.config.topics.rejects, poison.len() + 2).await;
    let summary = joiner.stop().await;
    let huge = rejects.iter().position(|row| row.key.is_none()).unwrap();
    let huge = rejects.remove(huge);
    assert_eq!((huge.value, huge.headers["reason"].as_str()), (None, "too_large"));
    assert_eq!(huge.headers["__connect.errors.offset"], poison.len().to_string());
    for row in &rejects {
        let key = row.key.as_deref().unwrap();
        let reason = &row.headers["reason"];
        assert_eq!(reason, if key == "lonely" { "late" } else { key }, "{row:?}");
        let came = poison
            .iter()
            .any(|(_, value, ts)| (value, Some(*ts)) == (&row.value, row.timestamp_ms));
        assert!(came || key == "lonely", "{row:?}");
        let side = if key == "lonely" { Side::Driver } else { Side::Trip };
        assert_eq!(row.headers["__connect.errors.topic"], rig.config.topics.input(side).name);
        assert!(!row.headers["__connect.errors.exception.message"].is_empty());
    }
    assert_eq!((rejects.len(), summary.rejected), (poison.len() + 1, poison.len() as u64 + 2));
    assert_eq!((summary.unmatched, summary.unmatched_rows, summary.joined), (1, 2, 0));
    assert!(summary.is_balanced);
}
