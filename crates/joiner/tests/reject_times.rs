//! Rejects whose time the rejects topic takes, or doesn't.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod harness;

use harness::{Rig, now_ms};
use kafka::headers::{REASON, TIMESTAMP};
use kafka::topics::Wanted;
use models::Side;

/// Further ahead than Kafka 4 takes a record by default.
const AHEAD_MS: i64 = 48 * 3_600_000;

async fn write_one_too_far_ahead(rig: &Rig) -> i64 {
    let time = now_ms() + AHEAD_MS;
    let value = rig.value(Side::Trip, "ahead");
    rig.produce(Side::Trip, [(0, "ahead".to_owned(), Some(value), time)]).await;
    time
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_keeps_its_time_in_a_topic_that_the_joiner_has_made() {
    let rig = Rig::new([1, 1, 1]).await;
    let time = write_one_too_far_ahead(&rig).await;
    let joiner = rig.start();
    let rejects = rig.read_when(&rig.config.topics.rejects, 1).await;
    joiner.stop().await;
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0].headers[REASON], "timestamp");
    assert_eq!(rejects[0].timestamp_ms, Some(time));
    assert!(!rejects[0].headers.contains_key(TIMESTAMP));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_whose_time_the_topic_refuses_is_kept_with_the_present_time() {
    let rig = Rig::new([1, 1, 1]).await;
    // As another tool makes it on Kafka 4, if the broker's own default is not raised.
    let configs = &[("message.timestamp.after.max.ms", "3600000")];
    let rejects = Wanted { topic: &rig.config.topics.rejects, configs };
    kafka::topics::ensure(&rig.config.kafka, &[rejects]).await.unwrap();
    let started = now_ms();
    let time = write_one_too_far_ahead(&rig).await;
    let joiner = rig.start();
    let rejects = rig.read_when(&rig.config.topics.rejects, 1).await;
    let summary = joiner.stop().await;
    assert_eq!((rejects.len(), summary.rejected), (1, 1));
    assert_eq!(rejects[0].headers[REASON], "timestamp");
    assert_eq!(rejects[0].headers[TIMESTAMP], time.to_string());
    let written = rejects[0].timestamp_ms.unwrap();
    assert!((started..=now_ms()).contains(&written), "{written}");
    assert_eq!(rejects[0].value, Some(rig.value(Side::Trip, "ahead")));
}
