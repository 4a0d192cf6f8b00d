//! The report: every scenario in tables and plots, and whether the counts add up.

use std::fmt::Write as _;

use super::case::Case;
use super::checks::{self, Check};
use super::circumstances::Circumstances;
use super::document::{Document, Figure, Table};
use super::figures::{confirmations, cpu_ms_per_s, fates, peak_memory_mb, time};
use super::plot::{self, Bar, bars};
use super::run::{Outcome, Run};
use super::scenario::{CRON_POLLING, Contender, LATE_AFTER, MAX_IN_FLIGHT, TRIPS_PER_S};
use crate::number::plain;

/// How much of a timeline is shown where nothing changes, in seconds: so that single requests can be seen.
const CLOSE_UP_S: f64 = 6.0;

/// What all runs have come to.
#[derive(Debug)]
pub struct Report {
    cases: Vec<Case>,
    checks: Vec<Check>,
    circumstances: Circumstances,
}

pub(super) const TITLE: &str = "The schedulers compared";

impl Report {
    pub(super) fn new(cases: Vec<Case>, circumstances: Circumstances) -> Self {
        let checks = cases.iter().flat_map(|case| &case.rounds).flat_map(checks::of).collect();
        Self { cases, checks, circumstances }
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
        let lines = || [&head].into_iter().chain(&rows);
        let width = |column: usize| lines().map(|cells| cells[column].chars().count()).max();
        let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for cells in lines() {
            let _ = write!(text, "{:<width$}", cells[0], width = widths[0]);
            for (number, width) in cells.iter().zip(&widths).skip(1) {
                let _ = write!(text, "   {number:>width$}");
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
        for case in &self.cases {
            add_scenario(&mut document, case);
        }
        document.heading(2, "How it was measured");
        document.list(&method(&self.cases));
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
        let row = |case: &Case| {
            let mut row = vec![case.scenario().title.to_owned()];
            row.extend(case.confirmed());
            row
        };
        Table { head, rows: self.cases.iter().map(row).collect() }
    }

    fn overview(&self) -> Figure {
        let group = |outcome: &'_ Outcome| {
            let of = |run: &Run| (run.contender.name(), fates(run, &outcome.scenario));
            outcome.runs.iter().map(of).collect::<Vec<_>>()
        };
        let groups: Vec<_> =
            self.cases.iter().map(|case| (case.scenario().title, group(case.first()))).collect();
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

fn add_scenario(document: &mut Document, case: &Case) {
    let outcome = case.first();
    let slug = outcome.scenario.slug;
    document.heading(2, outcome.scenario.title);
    document.paragraph(&outcome.scenario.story);
    document.table(&case.numbers());
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
    let part =
        if window.1 < end { format!(", the first {} s", plain(window.1)) } else { String::new() };
    let caption = format!("{}: intended and actual starts{part}", outcome.scenario.title);
    // A state that holds all the time is in the title already.
    let bands = if changes { &outcome.bands[..] } else { &[] };
    let svg = plot::timeline(&caption, &outcome.runs, bands, window);
    Figure { file: format!("{}-timeline.svg", outcome.scenario.slug), caption, svg }
}

fn method(cases: &[Case]) -> Vec<String> {
    let proxied = if cases.iter().all(|case| case.scenario().together) {
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

    use super::super::samples;
    use super::*;

    /// A report of one scenario.
    fn report(rounds: Vec<Outcome>) -> Report {
        let circumstances = Circumstances {
            os: "linux",
            cores: 2,
            optimized: true,
            quick: false,
            repeat: rounds.len() as u32,
            made_at: "2026-11-22T23:13:49Z".to_owned(),
        };
        Report::new(vec![Case { rounds }], circumstances)
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
    fn rounds_are_told_as_median_and_spread() {
        let round = |round, succeeded| {
            let shape = samples::Shape {
                succeeded,
                failed: 0,
                skipped: 100 - succeeded,
                lag: Duration::from_millis(10 * succeeded),
                service_time: Duration::from_millis(20),
            };
            let runs = Contender::ALL.map(|contender| samples::run(contender, shape));
            let mut outcome = samples::outcome_of(runs.into());
            outcome.round = round;
            outcome
        };
        let mut rounds = vec![round(1, 80), round(2, 100), round(3, 90)];
        rounds[2].rows[0] += 1;
        let report = report(rounds);
        let row = |name: &str| {
            let rows = report.cases[0].numbers().rows;
            rows.into_iter().find(|row| row[0] == name).expect("a row")[2].clone()
        };
        assert_eq!(row("requests succeeded"), "90 (80–100)");
        assert_eq!(row("ticks scheduled"), "100");
        assert_eq!(row("skipped: in_flight_full"), "10 (0–20)");
        assert_eq!(row("part of those asked for"), "90 % (80 %–100 %)");
        assert_eq!(row("start lag p50, ms"), "900 (800–1,000)");
        let summary = report.summary();
        assert!(summary.contains("An API that answers"), "{summary}");
        assert!(summary.contains("90 % (80 %–100 %)"), "{summary}");
        assert!(report.inconsistencies()[0].starts_with("steady, round 3: "), "{summary}");
        assert!(report.document("plots").markdown().contains("ran 3 times"));
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
