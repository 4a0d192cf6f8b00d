//! The report: every scenario in tables and plots, and whether the counts add up.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::thread;
use std::time::SystemTime;

use trip_client::{Counts, SkipReason, Timings};

use super::checks::{self, Check};
use super::document::{Document, Figure, Table};
use super::figures::{
    confirmations, cpu_ms_per_s, fates, peak_memory_mb, percent, real_period, recovery,
    three_digits, time,
};
use super::plot::{self, Bar, bars};
use super::run::{Outcome, Run};
use super::scenario::{CRON_POLLING, Contender, LATE_AFTER, MAX_IN_FLIGHT, TRIPS_PER_S};

/// How much of a timeline is shown where nothing changes, in seconds: so that single requests can be seen.
const CLOSE_UP_S: f64 = 6.0;

/// What all runs have come to.
#[derive(Debug)]
pub struct Report {
    outcomes: Vec<Outcome>,
    checks: Vec<Check>,
    circumstances: Circumstances,
}

/// Under what circumstances a comparison was made.
#[derive(Debug)]
pub(super) struct Circumstances {
    os: &'static str,
    cores: usize,
    optimized: bool,
    /// Whether it is the short one.
    quick: bool,
    /// When: RFC 3339, UTC.
    made_at: String,
}

impl Circumstances {
    /// Those of this machine and this moment.
    pub(super) fn here_and_now(quick: bool) -> Self {
        Self {
            os: std::env::consts::OS,
            cores: thread::available_parallelism().map_or(1, usize::from),
            optimized: !cfg!(debug_assertions),
            quick,
            made_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }
}

impl fmt::Display for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, cores, optimized, quick, made_at } = self;
        let built = if *optimized {
            "built for speed"
        } else {
            "built without optimisation, so that times and costs say little"
        };
        write!(f, "Made on {os} with {cores} cores, {built}; {made_at}.")?;
        if *quick {
            f.write_str(
                " This is the short run: enough to see that all works, too short for percentiles.",
            )?;
        }
        Ok(())
    }
}

pub(super) const TITLE: &str = "The schedulers compared";

impl Report {
    pub(super) fn new(outcomes: Vec<Outcome>, circumstances: Circumstances) -> Self {
        let checks = outcomes.iter().flat_map(checks::of).collect();
        Self { outcomes, checks, circumstances }
    }

    /// Whether every run's counts add up.
    pub fn is_consistent(&self) -> bool {
        self.checks.iter().all(|check| check.verdict.is_ok())
    }

    /// All that does not add up, each in a line.
    pub fn inconsistencies(&self) -> Vec<String> {
        let broken = self.checks.iter().filter_map(|check| {
            let error = check.verdict.as_ref().err()?;
            Some(format!("{}: {}: {error}", check.of, check.what))
        });
        broken.collect()
    }

    /// The result in a few lines: the part of the trips that was confirmed, and whether the counts add up.
    pub fn summary(&self) -> String {
        let Table { head, rows } = self.confirmed();
        let mut text = String::new();
        for cells in [&head].into_iter().chain(&rows) {
            let (name, numbers) = cells.split_first().expect("the first column is the scenario");
            let _ = write!(text, "{name:<36}");
            for number in numbers {
                let _ = write!(text, "{number:>13}");
            }
            text.push('\n');
        }
        text + &self.verdict() + "\n"
    }

    fn verdict(&self) -> String {
        match self.inconsistencies().len() {
            0 => format!("All {} checks hold: every run's counts add up.", self.checks.len()),
            n => format!("NOT all counts add up: {n} of {} checks fail.", self.checks.len()),
        }
    }

    /// The whole, with its plots in `directory` beside it.
    pub(super) fn document(&self, directory: &str) -> Document {
        let mut document = Document::new(directory);
        document.heading(1, TITLE);
        document.paragraph(&contenders());
        document.paragraph(&self.circumstances.to_string());
        document.heading(2, "In short");
        document.table(&self.confirmed());
        document.paragraph(&self.verdict());
        document.figures(vec![self.overview()]);
        for outcome in &self.outcomes {
            add_scenario(&mut document, outcome);
        }
        document.heading(2, "How it was measured");
        document.list(&method(&self.outcomes));
        document.heading(2, "Do the counts add up?");
        document.table(&self.verdicts());
        let broken = self.inconsistencies();
        if !broken.is_empty() {
            document.list(&broken);
        }
        document
    }

    /// The part of the trips asked for that was confirmed, a row a scenario.
    fn confirmed(&self) -> Table {
        let mut head = vec!["trips confirmed of those asked for".to_owned()];
        head.extend(Contender::ALL.map(|contender| contender.name().to_owned()));
        let row = |outcome: &Outcome| {
            let mut row = vec![outcome.scenario.title.to_owned()];
            row.extend(outcome.runs.iter().map(|run| percent(confirmed_part(run, outcome))));
            row
        };
        Table { head, rows: self.outcomes.iter().map(row).collect() }
    }

    fn overview(&self) -> Figure {
        let group = |outcome: &'_ Outcome| {
            let of = |run: &Run| (run.contender.name(), fates(run, &outcome.scenario));
            outcome.runs.iter().map(of).collect::<Vec<_>>()
        };
        let groups: Vec<_> =
            self.outcomes.iter().map(|outcome| (outcome.scenario.title, group(outcome))).collect();
        let caption = "What became of the trips that the load asks for".to_owned();
        Figure { file: "fates.svg".to_owned(), svg: plot::fates(&caption, &groups), caption }
    }

    fn verdicts(&self) -> Table {
        let mut kinds: Vec<&'static str> = Vec::new();
        for check in &self.checks {
            if !kinds.contains(&check.what) {
                kinds.push(check.what);
            }
        }
        let head = ["what must hold", "checked", "holds"].map(str::to_owned).to_vec();
        let row = |kind: &str| {
            let of_kind = || self.checks.iter().filter(|check| check.what == kind);
            let holds = of_kind().filter(|check| check.verdict.is_ok()).count();
            vec![kind.to_owned(), of_kind().count().to_string(), holds.to_string()]
        };
        Table { head, rows: kinds.into_iter().map(row).collect() }
    }
}

/// Who is compared.
fn contenders() -> String {
    let describe = |contender: Contender| {
        let period = time(contender.period());
        let trips = contender.trips();
        let what = match contender {
            Contender::Cron => "tokio-cron-scheduler, a request each",
            Contender::Loop => "an absolute timeline, a request each",
            Contender::ClosedLoop => "a request after each answer and a pause of",
        };
        let overrun = match contender {
            Contender::ClosedLoop => "one at a time".to_owned(),
            _ => format!("overrun policy {}", contender.overrun()),
        };
        format!("{}: {what} {period}, for {trips} trips, {overrun}", contender.name())
    };
    format!(
        "Three ways to ask for the same {TRIPS_PER_S} trips a second, as processes, against the producer API on the \
         dev stack. {}.",
        Contender::ALL.map(describe).join("; ")
    )
}

fn add_scenario(document: &mut Document, outcome: &Outcome) {
    let slug = outcome.scenario.slug;
    document.heading(2, outcome.scenario.title);
    document.paragraph(&outcome.scenario.story);
    document.table(&numbers(outcome));
    document.figures(vec![timeline(outcome)]);
    let figure = |name: &str, caption: &str, svg: &dyn Fn(&str) -> String| {
        let caption = format!("{}: {caption}", outcome.scenario.title);
        Figure { file: format!("{slug}-{name}.svg"), svg: svg(&caption), caption }
    };
    let lags: Vec<_> = outcome.runs.iter().map(|run| (run.contender, &run.report.lag)).collect();
    let latencies: Vec<_> =
        outcome.runs.iter().map(|run| (run.contender, &run.report.latency)).collect();
    let growth: Vec<_> =
        outcome.runs.iter().map(|run| (run.contender, confirmations(run))).collect();
    let seconds = outcome.scenario.duration.as_secs_f64();
    document.figures(vec![
        figure("lag", "start behind the intended instant, by percentile", &|title| {
            plot::percentiles(title, "start lag", &lags)
        }),
        figure("latency", "from the intended start to the answer, by percentile", &|title| {
            plot::percentiles(title, "latency", &latencies)
        }),
        figure("throughput", "trips confirmed by then", &|title| {
            plot::growth(title, seconds, f64::from(TRIPS_PER_S), &growth)
        }),
    ]);
    // What faults cost would not compare.
    if outcome.bands.is_empty() {
        let amounts = |amount: fn(&Run) -> Option<f64>| -> Vec<_> {
            let bar = |run: &Run| Some(Bar { contender: run.contender, amount: amount(run)? });
            outcome.runs.iter().filter_map(bar).collect()
        };
        let costs = [
            ("cpu", "CPU time", "CPU time in a second, ms", amounts(cpu_ms_per_s)),
            ("memory", "memory", "memory at its peak, MB", amounts(peak_memory_mb)),
        ];
        // Not every system tells.
        let known = costs.iter().filter(|(_, _, _, amounts)| !amounts.is_empty());
        let known = known.map(|(name, caption, what, amounts)| {
            figure(name, caption, &|title| bars(title, what, amounts))
        });
        document.figures(known.collect());
    }
}

fn timeline(outcome: &Outcome) -> Figure {
    // To the last answer.
    let finished = outcome.runs.iter().flat_map(confirmations).map(|(at, _)| at);
    let end = finished.fold(outcome.scenario.duration.as_secs_f64(), f64::max);
    let changes = outcome.bands.iter().any(|band| band.from_s > 0.0);
    let window = if changes || end <= CLOSE_UP_S { (0.0, end) } else { (0.0, CLOSE_UP_S) };
    let part = if window.1 < end {
        format!(", the first {} s", plot::plain(window.1))
    } else {
        String::new()
    };
    let caption = format!("{}: intended and actual starts{part}", outcome.scenario.title);
    // A state that holds all the time is in the title already.
    let bands = if changes { &outcome.bands[..] } else { &[] };
    let svg = plot::timeline(&caption, &outcome.runs, bands, window);
    Figure { file: format!("{}-timeline.svg", outcome.scenario.slug), caption, svg }
}

/// Trips confirmed as a part of those that the load asks for.
fn confirmed_part(run: &Run, outcome: &Outcome) -> f64 {
    run.report.counts.trips.confirmed as f64 / outcome.scenario.asked()
}

/// The figures, a column a contender.
fn numbers(outcome: &Outcome) -> Table {
    let mut head = vec![String::new()];
    head.extend(outcome.runs.iter().map(|run| run.contender.name().to_owned()));
    let row = |name: &str, cell: &dyn Fn(&Run) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(outcome.runs.iter().map(cell));
        row
    };
    let count = |name: &str, count: &dyn Fn(&Counts) -> u64| {
        row(name, &|run| count(&run.report.counts).to_string())
    };
    let millis = |name: &str, timings: fn(&Run) -> &Timings, percentile: f64| {
        row(name, &|run| or_dash(millis(timings(run), percentile)))
    };
    let seconds = outcome.scenario.duration.as_secs_f64();
    let mut rows = vec![
        count("ticks scheduled", &|counts| counts.scheduled),
        count("requests started", &|counts| counts.started),
        count("ticks skipped", &Counts::skipped_total),
    ];
    for reason in skip_reasons(outcome) {
        rows.push(count(&format!("skipped: {}", reason.as_str()), &|counts| {
            counts.skipped.get(&reason).copied().unwrap_or_default()
        }));
    }
    rows.extend([
        count("ticks dropped at the end", &|counts| counts.dropped_at_shutdown),
        count("requests succeeded", &|counts| counts.succeeded),
        count("requests failed", &Counts::failed_total),
    ]);
    for reason in failures(outcome) {
        rows.push(count(&format!("failed: {reason}"), &|counts| {
            counts.failed.get(reason).copied().unwrap_or_default()
        }));
    }
    rows.extend([
        count("requests cut off", &|counts| counts.cut_off),
        count("retries", &|counts| counts.retried),
        count("late starts", &|counts| counts.late),
        row("requests at once, most", &|run| {
            run.most_at_once.map_or_else(|| DASH.to_owned(), |most| most.to_string())
        }),
        count("trips confirmed", &|counts| counts.trips.confirmed),
        count("trips uncertain", &|counts| counts.trips.uncertain),
        row("trips confirmed a second", &|run| {
            three_digits(run.report.counts.trips.confirmed as f64 / seconds)
        }),
        row("part of those asked for", &|run| percent(confirmed_part(run, outcome))),
        row("part that never came due", &|run| percent(fates(run, &outcome.scenario).never_due)),
        row("from start to start, mean, ms", &|run| {
            or_dash(real_period(run).map(|period| period.as_secs_f64() * 1_000.0))
        }),
        millis("start lag p50, ms", |run| &run.report.lag, 50.0),
        millis("start lag p99, ms", |run| &run.report.lag, 99.0),
        millis("start lag max, ms", |run| &run.report.lag, 100.0),
        row("drift from first to last start, ms", &|run| or_dash(run.report.drift_ms)),
        millis("latency p50, ms", |run| &run.report.latency, 50.0),
        millis("latency p99, ms", |run| &run.report.latency, 99.0),
        millis("latency max, ms", |run| &run.report.latency, 100.0),
        millis("service time p50, ms", |run| &run.report.service_time, 50.0),
        millis("service time p99, ms", |run| &run.report.service_time, 99.0),
    ]);
    // What holds to the end has no after.
    for band in outcome.bands.iter().filter(|band| band.to_s < seconds) {
        let name = format!("confirmed again after \"{}\", ms", band.label);
        rows.push(row(&name, &|run| or_dash(recovery(run, band.to_s).map(|s| s * 1_000.0))));
    }
    rows.extend([
        row("CPU, ms a second", &|run| or_dash(cpu_ms_per_s(run))),
        row("memory at its peak, MB", &|run| or_dash(peak_memory_mb(run))),
    ]);
    Table { head, rows }
}

/// Why ticks of any contender were skipped.
fn skip_reasons(outcome: &Outcome) -> BTreeSet<SkipReason> {
    outcome.runs.iter().flat_map(|run| run.report.counts.skipped.keys().copied()).collect()
}

/// Why requests of any contender failed.
fn failures(outcome: &Outcome) -> BTreeSet<&str> {
    outcome
        .runs
        .iter()
        .flat_map(|run| run.report.counts.failed.keys().map(String::as_str))
        .collect()
}

/// Stands where there is nothing to tell.
const DASH: &str = "-";

fn or_dash(number: Option<f64>) -> String {
    number.map_or_else(|| DASH.to_owned(), three_digits)
}

/// A percentile in milliseconds; none of no times.
fn millis(timings: &Timings, percentile: f64) -> Option<f64> {
    (timings.count() > 0).then(|| timings.percentile(percentile).as_secs_f64() * 1_000.0)
}

fn method(outcomes: &[Outcome]) -> Vec<String> {
    let proxied = if outcomes.iter().all(|outcome| outcome.scenario.together) {
        "It is there in every scenario, and passes all on where nothing is in the way."
    } else {
        "Where each scheduler runs alone, there is no proxy."
    };
    let late = time(LATE_AFTER);
    [
        "Lag is the actual minus the intended start. Latency counts from the intended start, so that waiting for a turn \
         is in it; service time counts from the actual one. Both are of requests that succeeded. The closed loop \
         intends each start a period after the answer before it.".to_owned(),
        format!("A request that starts more than {late} after its intended start is late. A scheduler may have \
         {MAX_IN_FLIGHT} requests under way at once."),
        "In percentile plots each further nine is equally far; the number behind a name is that of the requests. The dot \
         is the longest of all.".to_owned(),
        format!("\"Never due\" are trips of the load for which the schedule had no tick within the time. cron looks each \
         {} whether a job is due.", time(CRON_POLLING)),
        "\"Confirmed again\" is the time from the end of what was wrong to the next answer that confirms trips.".to_owned(),
        format!("Delays, errors, refusals and the limit of the overload come from a proxy between each scheduler and the API; \
         the restart is a real one of the API's process. {proxied}"),
        "CPU time is what the kernel counts, in steps of 10 ms, from a second after the start. Trips in Kafka are \
         counted by offsets, for each topic.".to_owned(),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::run::Band;
    use super::super::samples;
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let made_at = "2026-11-22T23:13:49Z".to_owned();
        let circumstances =
            Circumstances { os: "linux", cores: 2, optimized: true, quick: false, made_at };
        Report::new(outcomes, circumstances)
    }

    #[test]
    fn counts_that_do_not_add_up_are_told_in_the_report_and_in_its_verdict() {
        let good = report(vec![samples::outcome()]);
        assert!(good.is_consistent());
        assert!(good.summary().contains("All 16 checks hold"), "{}", good.summary());
        let mut outcome = samples::outcome();
        outcome.rows[0] += 3;
        let bad = report(vec![outcome]);
        assert!(!bad.is_consistent());
        assert!(bad.summary().contains("NOT all counts add up: 1 of 16"), "{}", bad.summary());
        let document = bad.document("plots");
        let text = document.markdown();
        assert!(text.contains(&bad.inconsistencies()[0]), "{text}");
    }

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
        let cell = |name: &str| {
            let found = numbers(&outcome).rows.into_iter().filter(|row| row[0] == name);
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

    #[test]
    fn the_report_has_a_table_and_plots_for_each_scenario() {
        insta::assert_snapshot!(report(vec![samples::outcome()]).document("plots").markdown());
    }

    #[test]
    fn the_page_holds_each_plot_that_the_markdown_names() {
        let document = report(vec![samples::outcome()]).document("plots");
        let (text, page) = (document.markdown(), document.to_html(TITLE));
        let figures = document.all_figures();
        assert_eq!(figures.len(), 7, "fates, timeline, lag, latency, trips, CPU, memory");
        for figure in figures {
            assert!(text.contains(&format!("](plots/{})", figure.file)), "{}", figure.file);
            assert!(page.contains(&figure.svg), "{}", figure.file);
        }
        assert_eq!(page.matches("http").count(), figures.len(), "only namespaces");
        assert!(!page.contains("<script") && !page.contains("NaN"), "{page}");
    }
}
