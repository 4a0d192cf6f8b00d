//! What a run has found, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::Keys;
use super::measure::Rates;
use super::progress::Progress;
use crate::bench::table::{MISSING, line, megabytes, seconds};
use crate::number::thousands;
use fleet::Usage;

/// What is to be said of figures without a round before.
pub(super) const COLD: &str =
    "Without a round before: a broker that has just started is slower than it will be.\n";

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many trips, three rows each, were read.
    pub trips: u64,
    /// Under what circumstances.
    pub machine: Machine,
    /// The joiner, a process of its own.
    pub joiner: Figures,
    /// The pass-through before the joiner and after it: a machine may be faster at one time than at another. Absent if it
    /// was not asked for.
    pub limits: Option<[Figures; 2]>,
    /// The joiner's steady rate as a part of the mean of the pass-through's.
    pub ratio: Option<f64>,
    /// The joiner from the first trip to the last.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What the figures depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Whether a round went before that was not measured.
    pub warmed_up: bool,
    /// Whether the programs are built to be fast. The joiner is taken to be built as this program is.
    pub optimized: bool,
    /// Partitions of the inputs.
    pub partitions: [i32; 3],
    /// What the rows were keyed by.
    pub keys: Keys,
    /// How many joiners shared the work; their memory and CPU time are added up.
    pub joiners: usize,
    /// How long a transaction stays open, in milliseconds.
    pub commit_interval_ms: u128,
    /// The brokers.
    pub kafka: String,
}

/// How fast a reader was, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Its speed.
    #[serde(flatten)]
    pub rates: Rates,
    /// What it used from its start to the last trip.
    #[serde(flatten)]
    pub usage: Usage,
}

impl Report {
    /// A report of what was measured.
    pub fn new(
        trips: u64,
        machine: Machine,
        joiner: Figures,
        limits: Option<[Figures; 2]>,
    ) -> Self {
        let mean = limits.and_then(|limits| {
            let [before, after] = limits.map(|limit| limit.rates.steady);
            Some(f64::midpoint(before?, after?))
        });
        let ratio = joiner.rates.steady.zip(mean).map(|(joiner, limit)| joiner / limit);
        let progress = Progress::default();
        Self { trips, machine, joiner, limits, ratio, progress }
    }

    /// A table, and under what circumstances it holds.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        line(
            &mut text,
            "",
            ["10-90 %", "overall", "first", "last", "memory", "CPU"].map(str::to_owned),
        );
        let units = ["trips/s", "trips/s", "s", "s", "peak MB", "s"];
        line(&mut text, "", units.map(str::to_owned));
        if let Some([before, _]) = &self.limits {
            line(&mut text, "pass-through", cells(before));
        }
        line(&mut text, "joiner", cells(&self.joiner));
        if let Some([_, after]) = &self.limits {
            line(&mut text, "pass-through again", cells(after));
        }
        if let Some(ratio) = self.ratio {
            line(&mut text, "joiner / pass-through", [format!("{ratio:.2}")]);
        }
        let Machine { cores, warmed_up, optimized, partitions, commit_interval_ms, kafka, .. } =
            &self.machine;
        let [trips, drivers, riders] = partitions;
        let _ = writeln!(
            text,
            "\n{} trips; {cores} cores; {trips}, {drivers} and {riders} partitions; a commit each \
             {commit_interval_ms} ms; Kafka at {kafka}",
            thousands(self.trips as f64),
        );
        if self.machine.keys == Keys::Foreign {
            text.push_str(
                "Drivers keyed by driver_id, riders by rider_id, all partitioned by CRC32.\n",
            );
        }
        if self.machine.joiners > 1 {
            let _ = writeln!(text, "{} joiners, added up.", self.machine.joiners);
        }
        if !warmed_up {
            text.push_str(COLD);
        }
        if !optimized {
            text.push_str("Built without optimisation: the figures say nothing about speed.\n");
        }
        text
    }

    /// All figures as one JSON object, without units in other names than the keys'.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and texts have a JSON form")
    }
}

fn cells(figures: &Figures) -> [String; 6] {
    let Figures { rates, usage } = figures;
    [
        rates.steady.map_or_else(|| MISSING.to_owned(), thousands),
        thousands(rates.overall),
        format!("{:.2}", rates.first_after_s),
        format!("{:.2}", rates.last_after_s),
        megabytes(usage.peak_memory_bytes),
        seconds(usage.cpu_s),
    ]
}

#[cfg(test)]
pub(in crate::bench) mod tests {
    use super::*;

    fn figures(steady: Option<f64>, usage: Usage) -> Figures {
        let rates = Rates { steady, overall: 45_678.9, first_after_s: 3.25, last_after_s: 6.5 };
        Figures { rates, usage }
    }

    pub(in crate::bench) fn report(limits: Option<[Figures; 2]>) -> Report {
        let machine = Machine {
            cores: 2,
            warmed_up: true,
            optimized: true,
            partitions: [3; 3],
            keys: Keys::Own,
            joiners: 1,
            commit_interval_ms: 100,
            kafka: "localhost:9092".to_owned(),
        };
        let usage = Usage { peak_memory_bytes: Some(180_400_000), cpu_s: Some(4.2) };
        Report::new(300_000, machine, figures(Some(150_000.0), usage), limits)
    }

    #[test]
    fn the_table_is_aligned_and_says_what_was_not_measured() {
        let limits = [250_000.0, 350_000.0]
            .map(|rate| figures(Some(rate), Usage { peak_memory_bytes: None, cpu_s: Some(2.0) }));
        insta::assert_snapshot!(report(Some(limits)).to_text());
    }

    #[test]
    fn without_a_pass_through_there_is_no_ratio() {
        let alone = report(None);
        assert_eq!(alone.ratio, None);
        assert!(!alone.to_text().contains("pass-through"), "{}", alone.to_text());
        let mut alone = alone.to_json();
        assert_eq!(alone["joiner"]["steady"].take(), 150_000.0);
        assert!(alone["limits"].is_null());
    }
}
