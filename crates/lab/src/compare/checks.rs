//! Whether what was counted in one place is what was counted in another.

use trip_client::TickOutcome;

use super::run::{Outcome, Run};
use super::scenario::MAX_IN_FLIGHT;

/// A thing that must hold, and what is wrong if it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// In which scenario and round, and of whom.
    pub(super) of: String,
    /// What must hold.
    pub(super) what: &'static str,
    pub(super) verdict: Result<(), String>,
}

/// All that must hold of a scenario.
pub(super) fn of(outcome: &Outcome) -> Vec<Check> {
    let mut scenario = outcome.scenario.slug.to_owned();
    if outcome.round > 1 {
        scenario = format!("{scenario}, round {}", outcome.round);
    }
    let of_run = |run: &Run| {
        let of = format!("{scenario}, {}", run.contender.name());
        let check = move |(what, verdict)| Check { of: of.clone(), what, verdict };
        of_run(run).map(check)
    };
    let mut checks: Vec<Check> = outcome.runs.iter().flat_map(of_run).collect();
    checks.push(Check { of: scenario, what: KAFKA, verdict: kafka(outcome) });
    checks
}

const KAFKA: &str = "trips confirmed <= rows of each topic in Kafka <= trips confirmed + uncertain";

fn of_run(run: &Run) -> [(&'static str, Result<(), String>); 5] {
    let counts = &run.report.counts;
    [
        (
            "scheduled = started + skipped + dropped, started = succeeded + failed + cut off",
            counts.balance(),
        ),
        ("the timeline tells of each tick what the counts say", timeline(run)),
        (
            "as many lags as requests started, as many latencies as succeeded",
            equal("lags", run.report.lag.count(), "started", counts.started).and_then(|()| {
                equal("latencies", run.report.latency.count(), "succeeded", counts.succeeded)
            }),
        ),
        ("the exit status says whether requests failed", exit_status(run)),
        ("never more requests at once than allowed", at_once(run)),
    ]
}

fn equal(left: &str, is: u64, right: &str, should: u64) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{is} {left}, but {should} {right}")) }
}

fn timeline(run: &Run) -> Result<(), String> {
    let counts = &run.report.counts;
    let lines = |outcome| run.ticks.iter().filter(|tick| tick.outcome == outcome).count() as u64;
    equal("lines", run.ticks.len() as u64, "scheduled", counts.scheduled)?;
    [
        (TickOutcome::Ok, counts.succeeded),
        (TickOutcome::Failed, counts.failed_total()),
        (TickOutcome::Skipped, counts.skipped_total()),
        (TickOutcome::CutOff, counts.cut_off),
        (TickOutcome::Dropped, counts.dropped_at_shutdown),
    ]
    .into_iter()
    .try_for_each(|(outcome, count)| {
        equal(&format!("lines say {outcome:?}"), lines(outcome), "were counted", count)
    })
}

fn exit_status(run: &Run) -> Result<(), String> {
    match (run.success, run.report.verdict()) {
        (true, Ok(())) | (false, Err(_)) => Ok(()),
        (true, Err(failed)) => Err(format!("it said success, but {failed}")),
        (false, Ok(())) => Err("it said failure, but no request failed".to_owned()),
    }
}

fn at_once(run: &Run) -> Result<(), String> {
    match run.most_at_once {
        Some(most) if most > MAX_IN_FLIGHT => {
            Err(format!("{most} at once, {MAX_IN_FLIGHT} are allowed"))
        }
        _ => Ok(()),
    }
}

fn kafka(outcome: &Outcome) -> Result<(), String> {
    let sum = |count: fn(&Run) -> u64| outcome.runs.iter().map(count).sum::<u64>();
    let confirmed = sum(|run| run.report.counts.trips.confirmed);
    let uncertain = sum(|run| run.report.counts.trips.uncertain);
    let allowed = confirmed..=confirmed + uncertain;
    if outcome.rows.iter().all(|rows| allowed.contains(rows)) {
        return Ok(());
    }
    let [trips, drivers, riders] = outcome.rows;
    Err(format!(
        "{confirmed} confirmed and {uncertain} uncertain, but {trips} trips, {drivers} drivers and {riders} riders"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// The first check that does not hold.
    fn broken(change: impl FnOnce(&mut Outcome)) -> Option<(&'static str, String)> {
        let mut outcome = samples::outcome();
        change(&mut outcome);
        of(&outcome).into_iter().find_map(|check| Some((check.what, check.verdict.err()?)))
    }

    #[test]
    fn a_run_whose_counts_add_up_passes() {
        assert_eq!(broken(|_| {}), None);
        assert_eq!(of(&samples::outcome()).len(), 3 * 5 + 1);
    }

    #[test]
    fn what_does_not_add_up_is_found_and_told_with_its_numbers() {
        type Change = fn(&mut Outcome);
        let cases: [(&str, Change); 8] = [
            ("scheduled is not", |outcome| outcome.runs[0].report.counts.scheduled += 1),
            ("lines, but", |outcome| drop(outcome.runs[1].ticks.pop())),
            ("lines say Ok, but", |outcome| {
                outcome.runs[0].ticks[0].outcome = TickOutcome::Failed;
            }),
            ("latencies, but", |outcome| {
                outcome.runs[0].report.latency = trip_client::Timings::default();
            }),
            ("it said failure", |outcome| outcome.runs[0].success = false),
            ("11 at once", |outcome| outcome.runs[2].most_at_once = Some(11)),
            ("confirmed and 0 uncertain", |outcome| outcome.rows[1] -= 1),
            ("confirmed and 0 uncertain", |outcome| outcome.rows[2] += 1),
        ];
        for (words, change) in cases {
            let (_, error) = broken(change).unwrap_or_else(|| panic!("{words}: not found"));
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn trips_whose_fate_is_uncertain_may_be_there_or_not() {
        for there in [0, 2, 3] {
            let found = broken(|outcome| {
                outcome.runs[0].report.counts.trips.uncertain = 3;
                outcome.rows.iter_mut().for_each(|rows| *rows += there);
            });
            assert_eq!(found, None, "{there} of 3");
        }
    }
}
