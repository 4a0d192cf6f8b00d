//! Made-up outcomes for tests.

use std::time::Duration;

use trip_client::{Counts, RunReport, SkipReason, TickOutcome, TickRecord, Timings, TripCounts};

use super::run::{Outcome, Run};
use super::scenario::{Contender, Scenario};
use fleet::Usage;

/// How the ticks of a made-up run go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) lag: Duration,
    pub(super) service_time: Duration,
}

/// A run of 10 s in which all ticks of a kind are alike.
pub(super) fn run(contender: Contender, shape: Shape) -> Run {
    let Shape { succeeded, failed, skipped, lag, service_time } = shape;
    let trips = u64::from(contender.trips());
    let started = succeeded + failed;
    let mut counts = Counts {
        scheduled: started + skipped,
        started,
        succeeded,
        trips: TripCounts {
            requested: started * trips,
            confirmed: succeeded * trips,
            uncertain: 0,
        },
        ..Counts::default()
    };
    if failed > 0 {
        counts.failed.insert("unavailable".to_owned(), failed);
    }
    if skipped > 0 {
        counts.skipped.insert(SkipReason::InFlightFull, skipped);
    }
    let times = |duration, count| {
        let mut timings = Timings::default();
        (0..count).for_each(|_| timings.record(duration));
        timings
    };
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let tick = |index: u64| {
        let due = 10_000.0 / (started + skipped) as f64 * index as f64;
        let begins = (index < started).then(|| due + ms(lag));
        TickRecord {
            intended_ms: Some(due),
            started_ms: begins,
            finished_ms: begins.map(|at| at + ms(service_time)),
            outcome: match index {
                index if index < succeeded => TickOutcome::Ok,
                index if index < started => TickOutcome::Failed,
                _ => TickOutcome::Skipped,
            },
            reason: None,
            job: None,
        }
    };
    let usage =
        |s: u64| Usage { peak_memory_bytes: Some(20_000_000), cpu_s: Some(0.05 + s as f64 * 0.01) };
    Run {
        contender,
        report: RunReport {
            scheduler: contender.program().name().to_owned(),
            schedule: String::new(),
            endpoint: String::new(),
            started_at: "2026-11-22T23:13:49.281Z".to_owned(),
            seconds: 10.0,
            counts,
            lag: times(lag, started),
            latency: times(lag + service_time, succeeded),
            service_time: times(service_time, succeeded),
            drift_ms: Some(0.0),
            last_failure: None,
            joined: None,
            jobs: Vec::new(),
        },
        ticks: (0..started + skipped).map(tick).collect(),
        offset_s: 0.02,
        success: failed == 0,
        most_at_once: Some(3),
        usage: (0..=10).map(|s| (Duration::from_secs(s), usage(s))).collect(),
    }
}

/// A scenario of 10 s in which these are the runs.
pub(super) fn outcome_of(runs: Vec<Run>) -> Outcome {
    let confirmed = runs.iter().map(|run| run.report.counts.trips.confirmed).sum();
    let scenario = Scenario {
        slug: "steady",
        title: "An API that answers",
        story: "Nothing is in the way.".to_owned(),
        duration: Duration::from_secs(10),
        phases: Vec::new(),
        together: true,
    };
    Outcome { scenario, round: 1, runs, bands: Vec::new(), rows: [confirmed; 3] }
}

/// One in which cron starts late, the loop does all that is asked and the closed loop falls behind.
pub(super) fn outcome() -> Outcome {
    let shape = |succeeded, lag_ms| Shape {
        succeeded,
        failed: 0,
        skipped: 0,
        lag: Duration::from_millis(lag_ms),
        service_time: Duration::from_millis(20),
    };
    outcome_of(vec![
        run(Contender::Cron, shape(9, 250)),
        run(Contender::Loop, shape(100, 1)),
        run(Contender::ClosedLoop, shape(83, 1)),
    ])
}
