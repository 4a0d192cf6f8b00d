//! Everything goes wrong at random, and the outputs are those of a run in which nothing does.
//!
//! `TRIPSTREAM_TEST_RUNS` is how many runs there are (1 if not set). Each prints its seed; `TRIPSTREAM_TEST_SEED`
//! repeats what is written and what goes wrong in it, though not its timing.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
// The seeds and what a run has done are to be seen.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

#[path = "../harness/mod.rs"]
mod harness;
mod judge;
mod mayhem;
mod plan;
mod traffic;

use std::time::{Duration, Instant};

use devstack::{Addresses, DevStack, Options};
use harness::process::Logs;
use harness::{Rig, from_env, now_ms};
use join::Duplicates;
use mayhem::Crew;
use plan::{Plan, Step};
use tokio::task::JoinSet;

const RUNS: u64 = 1;
/// How long an epoch may take to be decided: less than the harness waits for anything.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many of them at once: mostly they wait for something to be over.
const AT_ONCE: u64 = 3;
/// How long before now the first epoch is: none of them is in the future.
const AGO_MS: i64 = 6 * 3_600_000;

/// What is to be told of a run with which all is well.
struct Clean {
    took: Duration,
    /// Faults that were still to come at its end.
    unmet: usize,
}

/// The joiner decides all rows of the plan while it goes wrong as planned. What is wrong with that is the error.
async fn run(plan: Plan) -> Result<Clean, String> {
    let started = Instant::now();
    let stack = DevStack::start(Options::default()).unwrap();
    let addresses = Addresses {
        bootstrap_servers: stack.bootstrap_servers(),
        registry_url: stack.registry_url(),
    };
    let mut rig = Rig::on(addresses, plan.partitions).await;
    rig.config.kafka.properties = mayhem::properties(plan.nameless).collect();
    let joiner = &mut rig.config.joiner;
    (joiner.window, joiner.grace, joiner.idle) = (plan::WINDOW, plan::GRACE, plan::IDLE);
    joiner.commit_interval = mayhem::COMMIT_INTERVAL;
    joiner.duplicates = if plan.reject_duplicates { Duplicates::Reject } else { Duplicates::Drop };
    let mut logs = Logs::new(&rig.config);
    let dir = logs.dir().to_owned();
    // In a task of its own, so that whatever is wrong is told with where the logs are.
    let outcome = tokio::spawn(async move { play(&plan, &stack, &rig, &mut logs).await }).await;
    match outcome {
        Ok(Ok(unmet)) => {
            std::fs::remove_dir_all(dir).unwrap();
            Ok(Clean { took: started.elapsed(), unmet })
        }
        Ok(Err(wrong)) => Err(format!("{wrong}\nthe joiners have logged to {}", dir.display())),
        Err(panic) => Err(format!("{panic}\nthe joiners have logged to {}", dir.display())),
    }
}

async fn play(plan: &Plan, stack: &DevStack, rig: &Rig, logs: &mut Logs) -> Result<usize, String> {
    let start_ms = now_ms() - AGO_MS;
    let dir = logs.dir().to_owned();
    let mut crew = Crew::start(stack, &rig.config, logs, plan.nameless);
    let mut wrong = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Write(lines) => traffic::write(rig, lines, start_ms).await,
            Step::WriteAndTakeOver(lines, take_over) => {
                crew.slow_down(*take_over);
                traffic::write(rig, lines, start_ms).await;
                crew.take_over(*take_over).await;
            }
            Step::Mayhem(event) => crew.suffer(*event).await,
            Step::Rest(time) => tokio::time::sleep(*time).await,
            Step::AwaitUnmatched(count) => {
                // What is missing is told by the judge, who sees all there is.
                let unmatched = rig.read_when(&rig.config.topics.unmatched, *count);
                if tokio::time::timeout(PATIENCE, unmatched).await.is_err() {
                    wrong.push(format!("no {count} trips are unmatched within {PATIENCE:?}"));
                }
            }
        }
    }
    let unmet = crew.settle().await;
    let verified = judge::verify(rig, plan).await;
    let ended = crew.end().await;
    let same = judge::compare(rig, plan, start_ms).await;
    let balanced = judge::read_logs(&dir);
    wrong.extend([verified, ended, same, balanced].into_iter().filter_map(Result::err));
    if wrong.is_empty() { Ok(unmet) } else { Err(wrong.join("\n")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mayhem_the_rows_have_the_fates_that_are_planned() {
    let plan = Plan::new(rand::random()).without_mayhem();
    run(plan).await.unwrap();
}

#[test]
fn a_seed_gives_the_same_plan_each_time() {
    let plan = |seed| format!("{:?}", Plan::new(seed));
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7), plan(8));
}

/// Whether it was clean.
async fn told_run(number: u64, seed: u64) -> bool {
    let plan = Plan::new(seed);
    let (rows, events) = (plan.rows, plan.events());
    println!("run {number}: TRIPSTREAM_TEST_SEED={seed}: {rows} rows, {events} things go wrong");
    match run(plan.clone()).await {
        Ok(Clean { took, unmet }) => {
            let took = took.as_secs_f64();
            println!("run {number}: clean in {took:.1} s, {unmet} faults met no request");
            true
        }
        Err(wrong) => {
            println!("run {number} FAILED: TRIPSTREAM_TEST_SEED={seed}\n{plan}{wrong}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_the_outputs_are_those_of_a_run_in_which_nothing_does() {
    let seed = from_env("TRIPSTREAM_TEST_SEED");
    let runs = from_env("TRIPSTREAM_TEST_RUNS").unwrap_or(if seed.is_some() { 1 } else { RUNS });
    let at_once = from_env("TRIPSTREAM_TEST_AT_ONCE").unwrap_or(AT_ONCE);
    let mut numbers = 1..=runs;
    let mut under_way = JoinSet::new();
    let mut failures = 0;
    loop {
        while (under_way.len() as u64) < at_once
            && let Some(number) = numbers.next()
        {
            under_way.spawn(told_run(number, seed.unwrap_or_else(rand::random)));
        }
        let Some(clean) = under_way.join_next().await else { break };
        failures += u64::from(!clean.unwrap());
    }
    assert_eq!(failures, 0, "runs of {runs} have failed; what is wrong with them is above");
}
