//! The tool on Kafka: the dev stack, or the one that the environment names.
#![allow(clippy::unwrap_used, reason = "what can't be set up fails the test")]

mod rig;

use std::io::{Error, ErrorKind, Write};
use std::time::{Duration, Instant};

use kafka::headers;
use rdkafka::message::OwnedHeaders;
use rig::{PARTITIONS, Rig, Shared};
use service::Shutdown;
use tripctl::tail::{self, From};
use tripctl::topics::{self, TopicsError};
use verify::{Fate, Kind};

const DEADLINE: Duration = Duration::from_secs(30);

fn all_of(topic: &str) -> tail::Options {
    tail::Options { topic: topic.to_owned(), follow: false, from: None, limit: None }
}

/// The latest timestamp of a trip's rows, as `tail` shows it.
fn latest(rows: &[serde_json::Value], trip_id: &str) -> i64 {
    let of_trip = rows.iter().filter(|row| row["key"] == trip_id);
    let times = of_trip.map(|row| row["timestamp"].as_str().unwrap().parse().unwrap());
    times.map(|time: chrono::DateTime<chrono::Utc>| time.timestamp_millis()).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_is_joined_open_lost_and_rejected() {
    let rig = Rig::new().await;
    let topics = rig.settings.topics.clone();
    let trips = Rig::trips(5);

    // Nobody has read anything: all is open, and that is no fault.
    rig.inputs(&trips).await;
    rig.producer.begin().unwrap();
    rig.bytes(&topics.riders, &trips[0].trip_id, Some(b"poison"), None);
    rig.producer.commit().unwrap();
    let report = rig.verify(None).await;
    assert_eq!(report.verdict.fates.total(Fate::Unread), 16, "{report:#?}");
    assert!(report.is_clean() && !report.caught_up);
    let report = rig.verify(Some(Duration::from_millis(1))).await;
    assert!(!report.is_clean(), "it was waited for, and has not caught up");

    // The joiner has read all, and all but the last are joined.
    let mut rows = rig.tail(all_of("trips")).await;
    rows.extend(rig.tail(all_of("drivers")).await);
    rows.extend(rig.tail(all_of("riders")).await);
    let poison = rows.iter().find(|row| row.get("error").is_some()).unwrap();
    let place = (poison["partition"].as_i64().unwrap(), poison["offset"].as_i64().unwrap());
    rows.retain(|row| row.get("error").is_none());
    rig.producer.begin().unwrap();
    for trip in &trips[..4] {
        rig.joined(trip, latest(&rows, &trip.trip_id)).await;
    }
    let origin = Rig::reject_headers(&topics.riders, i32::try_from(place.0).unwrap(), place.1);
    rig.bytes(&topics.rejects, &trips[0].trip_id, Some(b"poison"), Some(origin));
    rig.producer.commit().unwrap();
    rig.commit_reading().await;
    let report = rig.verify(None).await;
    assert!(report.caught_up);
    assert_eq!(report.verdict.fates.total(Fate::Joined), 12);
    assert_eq!(report.verdict.fates.total(Fate::Rejected), 1);
    let [lost] = &report.verdict.offences[..] else { panic!("{report:#?}") };
    assert_eq!((lost.kind, lost.trip_id.as_ref()), (Kind::Lost, Some(&trips[4].trip_id)));

    // What was aborted was never there.
    rig.producer.begin().unwrap();
    rig.joined(&trips[4], latest(&rows, &trips[4].trip_id)).await;
    rig.producer.abort().unwrap();
    assert_eq!(rig.verify(None).await.verdict.counts.lost, 1);

    // The last one, too; verify waits for it.
    let late = async {
        rig.producer.begin().unwrap();
        rig.joined(&trips[4], latest(&rows, &trips[4].trip_id)).await;
        rig.producer.commit().unwrap();
    };
    let (report, ()) = tokio::join!(rig.verify(Some(DEADLINE)), late);
    assert!(report.is_clean() && report.caught_up, "{report:#?}");
    assert_eq!(report.summary(), "0 lost, 0 twice, 0 unaccounted for, 0 wrong");
    rig.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_on_their_way_between_partitions_are_open_and_watermarks_are_no_rows() {
    let rig = Rig::new().await;
    rig.inputs(&Rig::trips(1)).await;
    rig.commit_reading().await;
    let repartition = rig.create_repartition_topic().await;
    rig.producer.begin().unwrap();
    let marks = headers::with(OwnedHeaders::new(), headers::WATERMARKS, "1");
    rig.bytes(&repartition, "any", Some(b"[]"), Some(marks));
    rig.producer.commit().unwrap();
    assert_eq!(rig.verify(None).await.verdict.counts.lost, 1);

    rig.producer.begin().unwrap();
    rig.bytes(&repartition, "any", Some(b"a row"), None);
    rig.producer.commit().unwrap();
    let report = rig.verify(None).await;
    assert!(report.is_clean() && !report.caught_up, "{report:#?}");
    assert_eq!(report.verdict.fates.total(Fate::Unread), 3);
    rig.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_rows_decoded_and_others_as_they_are() {
    let rig = Rig::new().await;
    let topics = rig.settings.topics.clone();
    let trips = Rig::trips(3);
    rig.inputs(&trips).await;
    rig.producer.begin().unwrap();
    let headers = headers::with(OwnedHeaders::new(), "why", "a test");
    rig.bytes(&topics.trips, "poison", Some(b"\xff\x00poison"), Some(headers));
    rig.bytes(&topics.trips, "tombstone", None, None);
    rig.producer.commit().unwrap();

    let rows = rig.tail(all_of("trips")).await;
    assert_eq!(rows.len(), 5);
    let row = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
    let trip = row(&trips[1].trip_id);
    assert_eq!(trip["value"], serde_json::to_value(&trips[1].trip_data).unwrap());
    assert_eq!(trip["topic"], topics.trips.name);
    assert!(trip.get("headers").is_none() && trip.get("error").is_none());
    let poison = row("poison");
    assert_eq!(poison["bytes"], "ff00706f69736f6e");
    assert_eq!(poison["headers"]["why"], "a test");
    assert!(poison["error"].as_str().unwrap().contains("no magic byte"), "{poison}");
    assert!(row("tombstone")["value"].is_null() && row("tombstone").get("error").is_none());

    let from = |from| tail::Options { from: Some(from), ..all_of("trips") };
    assert_eq!(rig.tail(tail::Options { limit: Some(2), ..all_of("trips") }).await.len(), 2);
    assert_eq!(rig.tail(from(From::End)).await.len(), 0);
    assert_eq!(rig.tail(from(From::Ago(Duration::from_secs(600)))).await.len(), 5);
    assert_eq!(rig.tail(from(From::Offset(i64::MAX))).await.len(), 0);
    rig.clean_up().await;
}

/// Its reader has gone away.
struct Closed;
impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_follows_until_it_is_interrupted_or_its_reader_is_gone() {
    let rig = Rig::new().await;
    let options = tail::Options { follow: true, from: Some(From::Beginning), ..all_of("trips") };
    let (shutdown, out) = (Shutdown::new(), Shared::default());
    let tail = {
        let (settings, options) = (rig.settings.clone(), options.clone());
        let (shutdown, out) = (shutdown.clone(), out.clone());
        tokio::spawn(async move { tail::run(&settings, &options, &shutdown, out).await })
    };
    rig.inputs(&Rig::trips(2)).await;
    let deadline = Instant::now() + DEADLINE;
    while out.rows().len() < 2 {
        assert!(Instant::now() < deadline, "rows that come are shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.trigger();
    tail.await.unwrap().unwrap();

    let never = Shutdown::new();
    let ended = tail::run(&rig.settings, &options, &never, Closed);
    tokio::time::timeout(DEADLINE, ended).await.expect("a closed pipe ends it").unwrap();
    rig.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_described_and_only_deleted_when_confirmed() {
    let rig = Rig::new().await;
    let joiner = rig.settings.joiner().unwrap();
    topics::create(&rig.settings, &["trips".to_owned()]).await.expect("being there is no fault");
    let shown = topics::describe(&rig.settings, &joiner, &[]).await.unwrap();
    assert_eq!(shown.lines().count(), 1 + 6 * usize::try_from(PARTITIONS).unwrap() + 2, "{shown}");
    assert_eq!(shown.matches("absent").count(), 2, "{shown}");

    let refused = topics::delete(&rig.settings, &joiner, &["joined".to_owned()], false).await;
    assert!(matches!(refused, Err(TopicsError::NotConfirmed(_))), "{refused:?}");
    topics::delete(&rig.settings, &joiner, &["joined".to_owned()], true).await.unwrap();
    let shown = topics::describe(&rig.settings, &joiner, &["joined".to_owned()]).await.unwrap();
    assert!(shown.contains("absent"), "{shown}");
    rig.clean_up().await;
}
