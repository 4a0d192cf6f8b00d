//! A joiner that gets nothing, though there is something.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use devstack::{Addresses, ApiKey, DevStack, Fault, Options, ResponseError};
use harness::{Rig, Running, eventually, now_ms};
use models::{Partition, Side};

const CLIENT: &str = "joiner-under-test";

/// A stack to mistreat, and a joiner for it.
async fn scene(partitions: [Partition; 3]) -> (DevStack, Rig) {
    let stack = DevStack::start(Options::default()).unwrap();
    let addresses = Addresses {
        bootstrap_servers: stack.bootstrap_servers(),
        registry_url: stack.registry_url(),
    };
    let mut rig = Rig::on(addresses, partitions).await;
    CLIENT.clone_into(&mut rig.config.kafka.client_id);
    (stack, rig)
}

/// Writes a whole trip, all of it into the first partitions.
async fn write_trip(rig: &Rig, number: usize) {
    let id = format!("trip-{number}");
    for side in Side::ALL {
        let value = rig.value(side, &id);
        rig.produce(side, [(0, id.clone(), Some(value), now_ms())]).await;
    }
}

/// What the joiner says of its reading, if something is wrong with it.
fn complaint(joiner: &Running) -> Option<String> {
    joiner.ctx.health.checks().remove("reading")?.err()
}

fn metric(joiner: &Running, name: &str) -> Option<String> {
    let text = joiner.ctx.metrics.encode();
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_delivers_nothing_is_told_of_and_read_by_a_new_session() {
    let (stack, mut rig) = scene([1, 1, 1]).await;
    rig.config.joiner.stall_timeout = Duration::from_secs(3);
    let joiner = rig.start();
    joiner.ready().await;
    write_trip(&rig, 0).await;
    joiner.has_read(3).await;
    let mut trips = 1;
    // Never answered, and neither are those behind it on its connection.
    stack.inject(Fault::hold().of(ApiKey::Fetch).from_client(CLIENT));
    let mut complaints = BTreeSet::new();
    eventually("the joiner starts over", || {
        trips += 1;
        complaints.extend(complaint(&joiner));
        let aborted = metric(&joiner, r#"tripstream_joiner_transactions_total{outcome="aborted"}"#);
        let rig = &rig;
        async move {
            write_trip(rig, trips - 1).await;
            aborted
        }
    })
    .await;
    let topics = &rig.config.topics;
    let named = complaints
        .iter()
        .any(|why| topics.inputs().iter().any(|topic| why.contains(&format!("{}/0", topic.name))));
    assert!(named, "{complaints:?}");

    joiner.ready().await;
    assert_eq!(complaint(&joiner), None);
    let rows = rig.read_when(&topics.joined_streams, trips).await;
    let ids: BTreeSet<_> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!((rows.len(), ids.len()), (trips, trips));
    let summary = joiner.stop().await;
    assert!(summary.is_balanced, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_partitions_and_their_markers_are_not_taken_for_silent() {
    // Three tasks, so that marks, and the markers of their transactions, go through the repartition topic all the time.
    let (_stack, mut rig) = scene([1, 3, 1]).await;
    rig.config.joiner.stall_timeout = Duration::from_secs(12);
    let joiner = rig.start();
    joiner.ready().await;
    let until = std::time::Instant::now() + Duration::from_secs(8);
    let mut trips = 0;
    while std::time::Instant::now() < until {
        write_trip(&rig, trips).await;
        trips += 1;
        assert_eq!(complaint(&joiner), None);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    joiner.has_read(3 * trips as u64).await;
    let lag = format!(
        r#"tripstream_joiner_lag_records{{topic="{}",partition="0"}}"#,
        rig.config.topics.trips.name
    );
    let nothing = || async { (metric(&joiner, &lag)? == "0").then_some(()) };
    eventually("there is nothing left to read", nothing).await;
    let aborted = metric(&joiner, r#"tripstream_joiner_transactions_total{outcome="aborted"}"#);
    assert_eq!(aborted, None);
    joiner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_questions_are_refused_leaves_out_no_row() {
    let (stack, rig) = scene([1, 3, 1]).await;
    let trips = 20;
    for number in 0..trips {
        write_trip(&rig, number).await;
    }
    let refusal = Fault::error(ResponseError::NotLeaderOrFollower).of(ApiKey::ListOffsets);
    stack.inject(refusal.from_client(CLIENT).times(3));
    let joiner = rig.start();
    let rows = rig.read_when(&rig.config.topics.joined_streams, trips).await;
    assert_eq!(rows.len(), trips);
    joiner.stop().await;
}
