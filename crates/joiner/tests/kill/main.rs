//! Joiners that are killed or paused at random moments, as processes: nothing lost, nothing twice.
//!
//! `TRIPSTREAM_TEST_KILLS` is how often the joiner is killed (5 if not set), `TRIPSTREAM_TEST_SEED` repeats the choices
//! of a run, though not its timing.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
// The seed and what a run has done are to be seen.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

#[path = "../harness/mod.rs"]
mod harness;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use harness::process::{Logs, Process};
use harness::{Rig, eventually, from_env};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use traffic::{PARTITIONS, Story, Traffic, assert_one_fate_each};

const KILLS: u64 = 5;

fn seed() -> u64 {
    let seed = from_env("TRIPSTREAM_TEST_SEED").unwrap_or_else(rand::random);
    println!("TRIPSTREAM_TEST_SEED={seed}");
    seed
}

async fn rig() -> Rig {
    let mut rig = Rig::new([PARTITIONS; 3]).await;
    // Times in which a run ends soon, but rows of one trip are written before and after a kill.
    rig.config.joiner.window = Duration::from_secs(5);
    rig.config.joiner.grace = Duration::from_millis(500);
    rig.config.joiner.idle = Duration::from_secs(2);
    rig
}

fn logs(rig: &Rig) -> Logs {
    let logs = Logs::new(&rig.config);
    println!("the joiners log to {}", logs.dir().display());
    logs
}

/// Returns when trips were joined that were not when it was called.
async fn goes_on(rig: &Rig) {
    let joined = &rig.config.topics.joined_streams;
    let before = rig.committed_end(joined).await;
    eventually("trips are joined", || async {
        (rig.committed_end(joined).await > before).then_some(())
    })
    .await;
}

async fn random_while(rng: &mut StdRng, up_to: Duration) {
    tokio::time::sleep(up_to.mul_f64(rng.random())).await;
}

/// Waits until the joiners have decided all trips, stops them and looks at what there is.
async fn verify(rig: &Rig, story: &Story, joiners: Vec<Process>) {
    let topics = &rig.config.topics;
    rig.read_when(&topics.joined_streams, story.complete.len()).await;
    rig.read_when(&topics.unmatched, story.incomplete.len()).await;
    for joiner in joiners {
        let status = joiner.stop().await;
        assert!(status.success(), "the joiner's end: {status}");
    }
    let joined = rig.read(&topics.joined_streams).await;
    let unmatched = rig.read(&topics.unmatched).await;
    let rejects = rig.read(&topics.rejects).await;
    assert_one_fate_each(story, &joined, &unmatched, &rejects);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_that_is_killed_again_and_again_joins_each_trip_once() {
    let kills = from_env("TRIPSTREAM_TEST_KILLS").unwrap_or(KILLS);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let rig = Arc::new(rig().await);
    let mut logs = logs(&rig);
    let traffic = Traffic::start(Arc::clone(&rig), seed);
    // Creates the topics.
    let mut joiner = Process::start(&rig.config, &mut logs);
    eventually("there are outputs", || async {
        (rig.committed_end(&rig.config.topics.joined_streams).await > 0).then_some(())
    })
    .await;
    for _ in 0..kills {
        // Mostly in the middle of its work, sometimes while it starts or restores.
        if rng.random_ratio(3, 4) {
            goes_on(&rig).await;
        }
        random_while(&mut rng, Duration::from_millis(800)).await;
        joiner.kill();
        joiner = Process::start(&rig.config, &mut logs);
    }
    goes_on(&rig).await;
    let story = traffic.stop().await;
    verify(&rig, &story, vec![joiner]).await;
    let Story { complete, incomplete, duplicates, rows } = &story;
    println!(
        "{kills} kills: {rows} rows, {} trips joined once, {} unmatched once, {duplicates} duplicates dropped",
        complete.len(),
        incomplete.len(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_that_was_paused_until_its_partitions_were_given_away_writes_nothing_more_in_them()
{
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = rig().await;
    rig.config.joiner.instance_id = None;
    rig.config.kafka.properties = [("session.timeout.ms", "6000")].into_iter().collect();
    let rig = Arc::new(rig);
    let mut logs = logs(&rig);
    let traffic = Traffic::start(Arc::clone(&rig), seed);
    let joiners = [0, 1].map(|_| Process::start(&rig.config, &mut logs));
    eventually("there are outputs", || async {
        (rig.committed_end(&rig.config.topics.joined_streams).await > 0).then_some(())
    })
    .await;
    for joiner in &joiners {
        goes_on(&rig).await;
        random_while(&mut rng, Duration::from_secs(1)).await;
        joiner.pause();
        // About when the other one takes over, but not for certain before.
        tokio::time::sleep(Duration::from_secs(6)).await;
        random_while(&mut rng, Duration::from_secs(6)).await;
        joiner.resume();
        goes_on(&rig).await;
    }
    let story = traffic.stop().await;
    verify(&rig, &story, joiners.into()).await;
}
