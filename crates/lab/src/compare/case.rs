//! A scenario that ran once or several times, in figures.

use std::collections::BTreeSet;

use trip_client::{Counts, SkipReason, Timings};

use super::document::Table;
use super::figures::{
    cpu_ms_per_s, fates, median_and_spread, peak_memory_mb, real_period, recovery,
};
use super::run::{Outcome, Run};
use super::scenario::Scenario;
use crate::number::{percent, plain, three_digits};

/// A scenario, each time that it ran.
#[derive(Debug)]
pub(super) struct Case {
    /// In order of time; at least one.
    pub(super) rounds: Vec<Outcome>,
}

impl Case {
    pub(super) fn scenario(&self) -> &Scenario {
        &self.first().scenario
    }

    /// The round that is plotted.
    pub(super) fn first(&self) -> &Outcome {
        self.rounds.first().expect("a case has a round")
    }

    /// The part of the trips asked for that was confirmed, for each contender.
    pub(super) fn confirmed(&self) -> impl Iterator<Item = String> {
        self.cells(percent, |outcome, run| Some(confirmed_part(run, outcome)))
    }

    /// The figures, a column a contender.
    pub(super) fn numbers(&self) -> Table {
        let mut head = vec![String::new()];
        head.extend(self.first().runs.iter().map(|run| run.contender.name().to_owned()));
        let row =
            |name: &str, text: fn(f64) -> String, value: &dyn Fn(&Outcome, &Run) -> Option<f64>| {
                let mut row = vec![name.to_owned()];
                row.extend(self.cells(text, value));
                row
            };
        let number = |name: &str, value: &dyn Fn(&Run) -> Option<f64>| {
            row(name, three_digits, &|_, run| value(run))
        };
        let count = |name: &str, count: &dyn Fn(&Counts) -> u64| {
            row(name, plain, &|_, run| Some(count(&run.report.counts) as f64))
        };
        let millis = |name: &str, timings: fn(&Run) -> &Timings, percentile: f64| {
            number(name, &|run| millis(timings(run), percentile))
        };
        let seconds = self.scenario().duration.as_secs_f64();
        let mut rows = vec![
            count("ticks scheduled", &|counts| counts.scheduled),
            count("requests started", &|counts| counts.started),
            count("ticks skipped", &Counts::skipped_total),
        ];
        for reason in self.skip_reasons() {
            rows.push(count(&format!("skipped: {}", reason.as_str()), &|counts| {
                counts.skipped.get(&reason).copied().unwrap_or_default()
            }));
        }
        rows.extend([
            count("ticks dropped at the end", &|counts| counts.dropped_at_shutdown),
            count("requests succeeded", &|counts| counts.succeeded),
            count("requests failed", &Counts::failed_total),
        ]);
        for reason in self.failures() {
            rows.push(count(&format!("failed: {reason}"), &|counts| {
                counts.failed.get(reason).copied().unwrap_or_default()
            }));
        }
        rows.extend([
            count("requests cut off", &|counts| counts.cut_off),
            count("retries", &|counts| counts.retried),
            count("late starts", &|counts| counts.late),
            row("requests at once, most", plain, &|_, run| run.most_at_once.map(|n| n as f64)),
            count("trips confirmed", &|counts| counts.trips.confirmed),
            count("trips uncertain", &|counts| counts.trips.uncertain),
            number("trips confirmed a second", &|run| {
                Some(run.report.counts.trips.confirmed as f64 / seconds)
            }),
            row("part of those asked for", percent, &|outcome, run| {
                Some(confirmed_part(run, outcome))
            }),
            row("part that never came due", percent, &|outcome, run| {
                Some(fates(run, &outcome.scenario).never_due)
            }),
            number("from start to start, mean, ms", &|run| {
                real_period(run).map(|period| period.as_secs_f64() * 1_000.0)
            }),
            millis("start lag p50, ms", |run| &run.report.lag, 50.0),
            millis("start lag p99, ms", |run| &run.report.lag, 99.0),
            millis("start lag max, ms", |run| &run.report.lag, 100.0),
            number("drift from first to last start, ms", &|run| run.report.drift_ms),
            millis("latency p50, ms", |run| &run.report.latency, 50.0),
            millis("latency p99, ms", |run| &run.report.latency, 99.0),
            millis("latency max, ms", |run| &run.report.latency, 100.0),
            millis("service time p50, ms", |run| &run.report.service_time, 50.0),
            millis("service time p99, ms", |run| &run.report.service_time, 99.0),
        ]);
        // What holds to the end has no after.
        let over = self.first().bands.iter().enumerate().filter(|(_, band)| band.to_s < seconds);
        for (index, band) in over {
            let name = format!("confirmed again after \"{}\", ms", band.label);
            rows.push(row(&name, three_digits, &|outcome, run| {
                recovery(run, outcome.bands.get(index)?.to_s).map(|s| s * 1_000.0)
            }));
        }
        rows.extend([
            number("CPU, ms a second", &cpu_ms_per_s),
            number("memory at its peak, MB", &peak_memory_mb),
        ]);
        Table { head, rows }
    }

    fn counts(&self) -> impl Iterator<Item = &Counts> {
        let runs = self.rounds.iter().flat_map(|outcome| &outcome.runs);
        runs.map(|run| &run.report.counts)
    }

    /// Why ticks of any contender were skipped.
    fn skip_reasons(&self) -> BTreeSet<SkipReason> {
        self.counts().flat_map(|counts| counts.skipped.keys().copied()).collect()
    }

    /// Why requests of any contender failed.
    fn failures(&self) -> BTreeSet<&str> {
        self.counts().flat_map(|counts| counts.failed.keys().map(String::as_str)).collect()
    }

    /// What all rounds come to, for each contender.
    fn cells(
        &self,
        text: fn(f64) -> String,
        value: impl Fn(&Outcome, &Run) -> Option<f64>,
    ) -> impl Iterator<Item = String> {
        (0..self.first().runs.len()).map(move |contender| {
            let of_round = |outcome: &Outcome| value(outcome, &outcome.runs[contender]);
            median_and_spread(self.rounds.iter().map(of_round), text)
        })
    }
}

/// Trips confirmed as a part of those that the load asks for.
fn confirmed_part(run: &Run, outcome: &Outcome) -> f64 {
    run.report.counts.trips.confirmed as f64 / outcome.scenario.asked()
}

/// A percentile in milliseconds; none of no times.
fn millis(timings: &Timings, percentile: f64) -> Option<f64> {
    (timings.count() > 0).then(|| timings.percentile(percentile).as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::run::Band;
    use super::super::samples;
    use super::super::scenario::Contender;
    use super::*;

    #[test]
    fn the_table_says_why_trips_are_missing_and_how_soon_it_went_on() {
        let shape = samples::Shape {
            succeeded: 50,
            failed: 20,
            skipped: 30,
            lag: Duration::from_millis(1),
            service_time: Duration::from_millis(20),
        };
        let mut outcome = samples::outcome_of(vec![samples::run(Contender::Loop, shape)]);
        let band = |from_s, to_s| Band { from_s, to_s, label: "503".to_owned() };
        outcome.bands = vec![band(1.0, 2.0), band(8.0, 10.0)];
        let case = Case { rounds: vec![outcome] };
        let cell = |name: &str| {
            let found = case.numbers().rows.into_iter().filter(|row| row[0] == name);
            found.map(|row| row[1].clone()).collect::<Vec<_>>()
        };
        for (name, expected) in [
            ("ticks skipped", &["30"][..]),
            ("skipped: in_flight_full", &["30"]),
            ("requests failed", &["20"]),
            ("failed: unavailable", &["20"]),
            ("requests at once, most", &["3"]),
            ("part of those asked for", &["50 %"]),
            ("from start to start, mean, ms", &["100"]),
            // The request that is due then, begins 0.02 s later with its scheduler, and takes 20 ms from 1 ms on.
            ("confirmed again after \"503\", ms", &["41"]),
            ("skipped: busy", &[]),
        ] {
            assert_eq!(cell(name), expected, "{name}");
        }
    }
}
