//! From what was seen while a reader worked to how fast it was.

use std::time::Duration;

use serde::Serialize;

/// How many trips were committed at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// Since the reader was started.
    pub(super) at: Duration,
    /// All so far.
    pub(super) trips: u64,
    /// Memory that was resident then, in bytes, if that is known.
    pub(super) resident: Option<u64>,
}

/// How fast a reader was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Trips a second from a tenth of them to nine tenths: without start and end. Absent if no two commits lie
    /// there.
    pub steady: Option<f64>,
    /// Trips a second from the start to the last one.
    pub overall: f64,
    /// Seconds from the start until the first trips were committed.
    pub first_after_s: f64,
    /// Seconds from the start until all were.
    pub last_after_s: f64,
}

/// The rates of a reader of `trips` trips. None unless the samples, in order of time, reach `trips`.
pub(super) fn rates(samples: &[Sample], trips: u64) -> Option<Rates> {
    let reached = |count: u64| samples.iter().find(|sample| sample.trips >= count);
    let first = reached(1)?;
    let last = reached(trips.max(1))?;
    // What was committed between two samples took the time between them, wherever exactly the limits were passed.
    let steady = reached(trips.div_ceil(10))
        .zip(reached((trips * 9).div_ceil(10)))
        .map(|(from, to)| (to.trips - from.trips, to.at.saturating_sub(from.at)))
        .filter(|(trips, time)| *trips > 0 && !time.is_zero())
        .map(|(trips, time)| trips as f64 / time.as_secs_f64());
    Some(Rates {
        steady,
        overall: trips as f64 / last.at.as_secs_f64(),
        first_after_s: first.at.as_secs_f64(),
        last_after_s: last.at.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[(u64, u64)], trips: u64) -> Option<Rates> {
        let sample = |&(ms, trips)| Sample { at: Duration::from_millis(ms), trips, resident: None };
        rates(&samples.iter().map(sample).collect::<Vec<_>>(), trips)
    }

    #[test]
    fn start_and_end_don_t_count_for_the_steady_rate() {
        // Slow until a tenth and from nine tenths on; 1,000 trips a second between.
        let seen =
            [(1_000, 0), (5_000, 50), (9_000, 100), (9_400, 500), (9_800, 900), (20_000, 1_000)];
        let rates = of(&seen, 1_000).expect("complete");
        assert_eq!(rates.steady, Some(1_000.0));
        assert!((rates.overall - 50.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.first_after_s - 5.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.last_after_s - 20.0).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn between_commits_the_trips_that_were_committed_count_not_the_limits() {
        // 150 is the first that is seen from 100 on, 950 the first from 900 on.
        let rates = of(&[(100, 90), (200, 150), (600, 550), (1_000, 950), (1_100, 1_000)], 1_000);
        assert_eq!(rates.expect("complete").steady, Some(1_000.0));
    }

    #[test]
    fn what_was_not_seen_is_not_made_up() {
        assert_eq!(of(&[], 10), None);
        assert_eq!(of(&[(100, 9)], 10), None);
        let at_once = of(&[(500, 10)], 10).expect("complete");
        assert_eq!(at_once.steady, None);
        assert!((at_once.overall - 20.0).abs() < 1e-9, "{at_once:?}");
    }
}
