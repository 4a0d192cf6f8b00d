//! Durations of a run in an HDR histogram: microseconds, three digits, up to an hour.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest duration that is told apart; longer ones count as this one.
const MAX_US: u64 = 3_600_000_000;

/// A distribution of durations. Recording loses at most 0.1 % of a value's precision; merging loses nothing.
///
/// Serialized as its main percentiles and as `[microseconds, count]` pairs, from which it is read back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredHistogram", into = "StoredHistogram")]
pub struct Timings(Histogram<u64>);

impl Default for Timings {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_US, 3).expect("the bounds are valid constants"))
    }
}

impl Timings {
    /// Adds one duration.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds all durations of another distribution.
    pub fn merge(&mut self, other: &Timings) {
        self.0.add(&other.0).expect("all timings have the same bounds");
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration that `percent` (0 to 100) of all don't exceed; zero when there are none.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percent).min(self.0.max()))
    }

    /// The shortest; zero when there are none.
    pub fn min(&self) -> Duration {
        Duration::from_micros(self.0.min())
    }

    /// The longest; zero when there are none.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// The arithmetic mean; zero when there are none.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e6)
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timings({} from {:?} to {:?})", self.count(), self.min(), self.max())
    }
}

/// [`Timings`] as JSON. Only `histogram` is read back; the rest is there for readers.
#[derive(Serialize, Deserialize)]
struct StoredHistogram {
    count: u64,
    min_us: u64,
    mean_us: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    histogram: Vec<(u64, u64)>,
}

impl From<Timings> for StoredHistogram {
    fn from(timings: Timings) -> Self {
        let us = |percent| timings.percentile(percent).as_micros() as u64;
        Self {
            count: timings.count(),
            min_us: timings.0.min(),
            mean_us: timings.0.mean(),
            p50_us: us(50.0),
            p90_us: us(90.0),
            p99_us: us(99.0),
            p999_us: us(99.9),
            max_us: timings.0.max(),
            histogram: timings
                .0
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }
}

impl From<StoredHistogram> for Timings {
    fn from(stored: StoredHistogram) -> Self {
        let mut timings = Timings::default();
        for (us, count) in stored.histogram {
            timings.0.saturating_record_n(us, count);
        }
        timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(us: impl IntoIterator<Item = u64>) -> Timings {
        let mut timings = Timings::default();
        for us in us {
            timings.record(Duration::from_micros(us));
        }
        timings
    }

    #[test]
    fn percentiles_are_right_within_a_thousandth() {
        let timings = recorded(1..=100_000);
        for (percent, want) in [(50.0, 50_000.0), (99.0, 99_000.0), (99.9, 99_900.0)] {
            let got = timings.percentile(percent).as_micros() as f64;
            assert!((got - want).abs() / want < 0.001, "p{percent}: {got}");
        }
        assert_eq!(timings.max(), Duration::from_micros(timings.0.max()));
        assert_eq!(timings.count(), 100_000);
    }

    #[test]
    fn durations_beyond_the_range_count_as_its_end() {
        let timings = recorded([0, u64::MAX]);
        assert_eq!(timings.count(), 2);
        assert_eq!(timings.min(), Duration::ZERO);
        assert!(timings.max() >= Duration::from_secs(3600));
    }

    #[test]
    fn merged_runs_equal_one_run_with_all_durations() {
        let mut merged = recorded((1..5000).step_by(2));
        merged.merge(&recorded((2..5000).step_by(2)));
        assert_eq!(merged, recorded(1..5000));
    }

    #[test]
    fn json_brings_the_distribution_back() {
        let timings = recorded((0..3_000_000).step_by(777));
        let json = serde_json::to_string(&timings).unwrap();
        let back: Timings = serde_json::from_str(&json).unwrap();
        for percent in [0.0, 50.0, 99.0, 99.9] {
            assert_eq!(back.percentile(percent), timings.percentile(percent));
        }
        assert_eq!(back.count(), timings.count());
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
    }
}
