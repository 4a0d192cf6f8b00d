//! What a demo has come to.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use models::Side;

use fleet::{ProcessError, Program};
use verify::Report;

/// How many of the things that are wrong are told.
const OFFENCES: usize = 20;

/// The end of a demo.
#[derive(Debug)]
pub struct Summary {
    /// How long trips were asked for.
    pub ran: Duration,
    /// What each scheduler has asked for.
    pub(super) loads: Vec<Load>,
    /// What became of the trips.
    pub report: Report,
    /// Whether the topics were the demo's own and empty before.
    pub fresh: bool,
    /// Services that did not end well.
    pub faults: Vec<ProcessError>,
}

/// What one scheduler has asked for.
#[derive(Debug)]
pub(super) struct Load {
    scheduler: &'static str,
    /// None if it left none.
    report: Option<trip_client::RunReport>,
}

impl Load {
    /// From the report that a scheduler has written to `file`.
    pub(super) fn read(program: Program, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        Self { scheduler: program.name(), report: serde_json::from_str(&text).ok() }
    }
}

impl Summary {
    /// Whether every trip is accounted for and every service ended well.
    pub fn is_success(&self) -> bool {
        self.shortcomings().is_empty()
    }

    /// All that keeps it from being a success, each in a few words.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.report.is_clean() {
            found.push(self.report.summary());
        }
        let open = self.report.verdict.fates.open();
        if open > 0 {
            found.push(format!("{open} rows are not decided"));
        }
        found.extend(self.missing());
        found.extend(self.faults.iter().map(|fault| match fault {
            ProcessError::Ended { name, when, status, .. } => format!("{name} {when}: {status}"),
            ProcessError::Stuck { name, what, .. } => format!("{name} {what}"),
            other => other.to_string(),
        }));
        found
    }

    /// Where the schedulers and the inputs don't agree. Only the demo's own topics hold its trips alone.
    fn missing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut confirmed = 0;
        let mut uncertain = 0;
        for Load { scheduler, report } in &self.loads {
            match report {
                Some(report) => {
                    confirmed += report.counts.trips.confirmed;
                    uncertain += report.counts.trips.uncertain;
                }
                None => found.push(format!("{scheduler} left no report")),
            }
        }
        if self.fresh && found.is_empty() {
            for side in Side::ALL {
                let rows = self.report.verdict.fates.rows(side);
                if !(confirmed..=confirmed + uncertain).contains(&rows) {
                    found.push(format!(
                        "the API has confirmed {confirmed} trips, but there are {rows} {side} rows"
                    ));
                }
            }
        }
        found
    }

    /// All of it.
    pub fn to_text(&self) -> String {
        let mut text = self.report.to_text(OFFENCES, SystemTime::now());
        text.push('\n');
        for Load { scheduler, report } in &self.loads {
            if let Some(report) = report {
                let counts = &report.counts;
                let ms = |percent| report.latency.percentile(percent).as_secs_f64() * 1_000.0;
                let _ = writeln!(
                    text,
                    "{scheduler}: {} requests, {} failed; {} trips confirmed; latency p50 {:.1} ms, p99 {:.1} ms",
                    counts.started,
                    counts.failed_total() + counts.cut_off,
                    counts.trips.confirmed,
                    ms(50.0),
                    ms(99.0),
                );
            }
        }
        for fault in &self.faults {
            let _ = writeln!(text, "{fault}");
        }
        let verdict = &self.report.verdict;
        let seconds = self.ran.as_secs_f64();
        let shortcomings = self.shortcomings();
        let _ = if shortcomings.is_empty() {
            writeln!(
                text,
                "After {seconds:.1} s every trip is accounted for: {} joined, {} unmatched, {} rows rejected.",
                verdict.joined,
                verdict.unmatched,
                verdict.rejected(),
            )
        } else {
            writeln!(text, "After {seconds:.1} s NOT all is well: {}", shortcomings.join("; "))
        };
        text
    }
}
