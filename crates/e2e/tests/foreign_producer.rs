//! Rule 8: topics that another producer keyed and partitioned join completely.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use e2e::pipeline::Pipeline;
use e2e::rows::{Writer, now_millis, trips};
use e2e::stack::Stack;
use futures::StreamExt;
use futures::stream::iter;

const TRIPS: u64 = 3_000;

/// Writes trips as the original Python producer does, one a second of event time, up to now.
async fn write(pipeline: &Pipeline, seed: u64) {
    let writer = Writer::new(&pipeline.stack, &pipeline.topics).await;
    let start = now_millis() - i64::try_from(TRIPS).unwrap() * 1_000;
    let rows = trips(seed, TRIPS);
    let rows = rows.iter().enumerate();
    iter(rows)
        .map(|(i, trip)| writer.foreign_trip(trip, start + i64::try_from(i).unwrap() * 1_000))
        .buffered(300)
        .collect::<Vec<()>>()
        .await;
}

async fn all_join(name: &str, partitions: [i32; 3], backlog: bool) {
    let mut pipeline = Pipeline::new(&Stack::shared(), name);
    pipeline.topics.trips.partitions = partitions[0];
    pipeline.topics.drivers.partitions = partitions[1];
    pipeline.topics.riders.partitions = partitions[2];
    pipeline.create_inputs().await;
    let joiner = if backlog {
        write(&pipeline, 1).await;
        pipeline.start_joiner().await
    } else {
        let joiner = pipeline.start_joiner().await;
        write(&pipeline, 1).await;
        joiner
    };
    let report = pipeline.verify_all_decided(Duration::from_secs(90)).await;
    assert_eq!(report.verdict.joined, TRIPS);
    assert_eq!(report.verdict.rejected(), 0);
    joiner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keyed_by_driver_and_rider_join_as_they_come() {
    all_join("foreign-live", [3, 3, 3], false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_rows_keyed_by_driver_and_rider_joins() {
    all_join("foreign-backlog", [3, 3, 3], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_unequal_partition_counts_join() {
    all_join("foreign-unequal", [4, 1, 2], true).await;
}
