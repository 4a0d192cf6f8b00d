use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::{RequestFailure, SkipReason, TripCounts};

fn report() -> RunReport {
    let mut counts = Counts {
        scheduled: 600,
        started: 597,
        dropped_at_shutdown: 1,
        succeeded: 593,
        cut_off: 1,
        retried: 9,
        late: 2,
        trips: TripCounts { requested: 1791, confirmed: 1779, uncertain: 3 },
        ..Counts::default()
    };
    counts.add_skips(SkipReason::InFlightFull, 2);
    for _ in 0..3 {
        counts.add_failure(&RequestFailure::Connect("refused".to_owned()), 3);
    }
    let mut lag = Timings::default();
    (1..=597).for_each(|us| lag.record(Duration::from_micros(us)));
    RunReport {
        scheduler: "scheduler-loop".to_owned(),
        schedule: "3 trips every 100ms".to_owned(),
        endpoint: "http://localhost:8001/api/generate-multiple-trips".to_owned(),
        started_at: "2026-11-22T23:13:49.281Z".to_owned(),
        seconds: 60.04,
        counts,
        lag,
        latency: Timings::default(),
        service_time: Timings::default(),
        drift_ms: Some(0.0126),
        last_failure: Some("cannot connect: refused".to_owned()),
        joined: None,
        jobs: Vec::new(),
    }
}

#[test]
fn the_summary_shows_how_the_counts_add_up() {
    let want = "\
scheduler-loop: 3 trips every 100ms
  to        http://localhost:8001/api/generate-multiple-trips
  ran       60.0 s from 2026-11-22T23:13:49.281Z
  ticks     600 scheduled = 597 started + 2 skipped (in_flight_full 2) + 1 dropped at shutdown
  requests  597 started = 593 succeeded + 3 failed (connect 3) + 1 cut off; 2 late, 9 retries
  trips     1791 requested, 1779 confirmed (29.6 a second), 3 uncertain
  drift     +0.013 ms from the first start to the last
  milliseconds      count      min      p50      p90      p99    p99.9      max
    start lag         597     0.00     0.30     0.54     0.59     0.60     0.60
    latency             0     0.00     0.00     0.00     0.00     0.00     0.00
    service time        0     0.00     0.00     0.00     0.00     0.00     0.00
";
    assert_eq!(report().to_string(), want);
    report().counts.balance().unwrap();
}

#[test]
fn a_run_with_a_failed_request_failed_and_says_what_to_look_at() {
    assert_eq!(
        report().verdict().unwrap_err().to_string(),
        "3 of 597 requests failed (connect 3), 1 cut off at the end of the shutdown timeout; the last one: \
         cannot connect: refused"
    );
    let mut nothing = report();
    (nothing.counts.succeeded, nothing.counts.cut_off) = (0, 0);
    assert_eq!(
        nothing.verdict().unwrap_err().to_string(),
        "3 of 597 requests failed (connect 3); the last one: cannot connect: refused; does the producer API run at \
         http://localhost:8001/api/generate-multiple-trips?"
    );
    let skips = RunReport {
        counts: Counts { failed: BTreeMap::default(), cut_off: 0, ..report().counts },
        ..report()
    };
    assert_eq!(skips.verdict(), Ok(()), "skipped ticks are what the policy asked for");
    let joined = |trips| Some(JoinerWait { wanted: 1779, trips, seconds: 60.0 });
    let unjoined = RunReport { joined: joined(1778), ..skips.clone() };
    assert_eq!(
        unjoined.verdict().unwrap_err().to_string(),
        "the joiner joined 1778 of 1779 trips within 60.0 s (client.until_joined)"
    );
    let more = RunReport { joined: joined(2000), ..skips };
    assert_eq!(more.verdict(), Ok(()), "others may have sent trips, too");
}

#[test]
fn several_jobs_are_told_each_and_in_sum() {
    let job = |name: &str, started| {
        let mut job = JobReport::of(&Job {
            name: name.to_owned(),
            schedule: "3 trips, every 2s".to_owned(),
            overrun: crate::Overrun::Skip,
            queue_limit: 0,
        });
        job.counts = Counts { scheduled: started, started, succeeded: started, ..job.counts };
        (0..started).for_each(|ms| job.lag.record(Duration::from_millis(ms)));
        job
    };
    let report = RunReport::of_jobs(vec![job("rush", 3), job("base", 7)]);
    report.counts.balance().unwrap();
    assert_eq!((report.counts.started, report.lag.count(), report.jobs.len()), (10, 10, 2));
    let text = report.to_string();
    let want = "  base: 3 trips, every 2s; 7 scheduled = 7 started + 0 skipped + 0 dropped; 0 failed; start lag p99 6.00 ms";
    assert!(text.contains(want), "{text}");
    assert!(RunReport::of_jobs(vec![job("only", 3)]).jobs.is_empty());
}

#[test]
fn json_brings_the_report_back() {
    let json = serde_json::to_string(&report()).unwrap();
    let back: RunReport = serde_json::from_str(&json).unwrap();
    assert_eq!(back.counts, report().counts);
    assert_eq!(back.to_string(), report().to_string());
}

#[test]
fn a_reserved_file_is_replaced_by_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/run.json");
    RunReport::reserve(&path).unwrap();
    std::fs::write(&path, "x".repeat(1_000_000)).unwrap();
    let outcome = report().conclude(Some(&path));
    assert!(matches!(outcome, Err(RunError::Failed(_))), "{outcome:?}");
    let back: RunReport = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(back.counts, report().counts);
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_the_run() {
    let err = RunReport::reserve(Path::new("/proc/no/such.json")).unwrap_err().to_string();
    assert!(err.starts_with("cannot write /proc/no/such.json: "), "{err}");
}
