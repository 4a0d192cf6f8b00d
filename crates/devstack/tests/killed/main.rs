//! The broker as a process that is killed at random moments under load. No acknowledged record is lost or duplicated,
//! and every transaction is complete or absent.
//!
//! `TRIPSTREAM_TEST_KILLS` is the number of kills (default 5). `TRIPSTREAM_TEST_SEED` repeats the random choices of a
//! run, but not its timing. With `TRIPSTREAM_TEST_BOOTSTRAP` a running broker is tested instead. The program in
//! `TRIPSTREAM_TEST_KAFKA_JVM` stops and starts it, or it is only watched if that is not set.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
// The seed and a summary of the run are printed.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod broker;
mod check;
mod pipeline;
mod reading;
mod run;
#[path = "../waiting/mod.rs"]
mod waiting;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use broker::Broker;
use pipeline::{Pipeline, Transaction};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use run::Run;
use writer::{Written, write};

const KILLS: u64 = 5;
const WRITERS: usize = 3;
const PIPELINES: usize = 2;
const PARTITIONS: i32 = 3;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn random_while(rng: &mut StdRng, up_to: Duration) {
    std::thread::sleep(up_to.mul_f64(rng.random()));
}

fn join<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn broker_that_is_killed_again_and_again_keeps_its_word() {
    let kills = from_env("TRIPSTREAM_TEST_KILLS").unwrap_or(KILLS);
    let seed = from_env("TRIPSTREAM_TEST_SEED").unwrap_or_else(rand::random);
    println!("TRIPSTREAM_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut broker = Broker::start();
    let run = Arc::new(Run::new(broker.bootstrap()));
    for topic in [&run.plain, &run.input, &run.output] {
        reading::create_topic(&run, topic, PARTITIONS);
    }
    let writers: Vec<JoinHandle<Written>> = (0..WRITERS)
        .map(|number| {
            let run = Arc::clone(&run);
            std::thread::spawn(move || write(&run, number))
        })
        .collect();
    let pipelines: Vec<JoinHandle<Vec<Transaction>>> = (0..PIPELINES)
        .map(|number| {
            let (run, rng) = (Arc::clone(&run), StdRng::seed_from_u64(seed + number as u64));
            std::thread::spawn(move || Pipeline::new(run, number, rng).work())
        })
        .collect();
    run.goes_on();
    let kills = if broker.is_only_watched() { 0 } else { kills };
    for kill in 0..kills {
        random_while(&mut rng, Duration::from_millis(1_500));
        broker.kill();
        // Sometimes it is killed while it starts.
        if rng.random_ratio(1, 5) {
            broker.restart_briefly(Duration::from_millis(100).mul_f64(rng.random()));
        }
        random_while(&mut rng, Duration::from_millis(200));
        broker.restart();
        if rng.random_ratio(3, 4) || kill + 1 == kills {
            run.goes_on();
        }
    }
    run.writers_stop.store(true, Ordering::Relaxed);
    let written = join(writers);
    reading::await_group(&run, PARTITIONS);
    run.pipelines_stop.store(true, Ordering::Relaxed);
    let transactions = join(pipelines);
    // The final state is checked after a last kill.
    broker.kill();
    broker.restart();
    let story = check::Story { run: &run, written: &written, transactions: &transactions };
    let summary = story.check();
    println!("{kills} kills: {summary}");
}
