//! What the joiner logs of its work: one line a second while something changes, and a summary at the end.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::info;

use crate::fate_counts::{Balance, FateCounts};

const INTERVAL: Duration = Duration::from_secs(1);

/// What a joiner has done since its start. All of it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows read from the three inputs.
    pub rows_in: u64,
    /// Trips joined.
    pub joined: u64,
    /// Trips decided incomplete.
    pub unmatched: u64,
    /// Rows of those trips.
    pub unmatched_rows: u64,
    /// Duplicates dropped.
    pub duplicates: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Rows forwarded through the repartition topic.
    pub forwarded: u64,
    /// Rows of trips that are not decided yet. They are in the changelog.
    pub open_rows: u64,
    /// Transactions committed.
    pub transactions: u64,
    /// Whether every row since the state began has exactly one fate or is open (rule 2).
    pub is_balanced: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows_in, joined, unmatched, unmatched_rows, .. } = self;
        let Self { duplicates, rejected, forwarded, open_rows, .. } = self;
        write!(
            f,
            "{rows_in} rows in; {joined} trips joined (3 rows each), {unmatched} unmatched ({unmatched_rows} rows), \
             {duplicates} rows duplicate, {rejected} rejected, {open_rows} still open; {forwarded} forwarded; "
        )?;
        f.write_str(if self.is_balanced { "balanced" } else { "NOT BALANCED" })
    }
}

/// Sums up all sessions of the process, and logs the sum.
#[derive(Debug)]
pub(crate) struct SummaryLog(Mutex<State>);

#[derive(Debug)]
struct State {
    total: FateCounts,
    summary: Summary,
    logged: Summary,
    logged_at: Instant,
}

impl SummaryLog {
    pub(crate) fn new() -> Self {
        let summary = Summary { is_balanced: true, ..Summary::default() };
        let (total, logged) = (FateCounts::default(), summary);
        Self(Mutex::new(State { total, summary, logged, logged_at: Instant::now() }))
    }

    /// A transaction was committed.
    pub(crate) fn committed(&self, counts: &FateCounts, balance: Balance) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total += counts;
        let total = &state.total;
        state.summary = Summary {
            rows_in: total.rows_in(),
            joined: total.joined,
            unmatched: total.unmatched.iter().sum(),
            unmatched_rows: total.unmatched_rows,
            duplicates: total.duplicate_rows(),
            rejected: total.rejected_rows(),
            forwarded: total.forwarded_rows(),
            open_rows: balance.open_rows,
            transactions: state.summary.transactions + 1,
            is_balanced: balance.is_balanced,
        };
        state.log();
    }

    /// Nothing was committed, but a line of earlier commits may be due.
    pub(crate) fn tick(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).log();
    }

    /// All commits up to now.
    pub(crate) fn total(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).summary
    }
}

impl State {
    fn log(&mut self) {
        let State { summary, logged, .. } = self;
        let took = self.logged_at.elapsed();
        let moved = (summary.rows_in, summary.unmatched) != (logged.rows_in, logged.unmatched)
            || summary.open_rows != logged.open_rows;
        if !moved || took < INTERVAL {
            return;
        }
        let rows = summary.rows_in - logged.rows_in;
        let trips = summary.joined - logged.joined;
        info!(
            rows_per_s = (rows as f64 / took.as_secs_f64()).round() as u64,
            joined = trips,
            unmatched = summary.unmatched - logged.unmatched,
            duplicates = summary.duplicates - logged.duplicates,
            rejected = summary.rejected - logged.rejected,
            open_rows = summary.open_rows,
            total = summary.joined,
            "joining"
        );
        self.logged = *summary;
        self.logged_at = Instant::now();
    }
}
