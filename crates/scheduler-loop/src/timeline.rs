//! Ticks as pure values: when tick k is due.

use std::time::Duration;

use tokio::time::Instant;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// The absolute timeline start + k × period. Each tick is computed from the start, so that no error adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    start: Instant,
    period: Duration,
}

impl Timeline {
    /// A timeline whose tick 0 is due at `start`.
    pub fn new(start: Instant, period: Duration) -> Self {
        Self { start, period }
    }

    /// How long after the start tick `k` is due; `None` beyond what a [`Duration`] can hold.
    pub fn offset(&self, k: u64) -> Option<Duration> {
        let nanos = self.period.as_nanos().checked_mul(u128::from(k))?;
        let secs = u64::try_from(nanos / NANOS_PER_SEC).ok()?;
        Some(Duration::new(secs, (nanos % NANOS_PER_SEC) as u32))
    }

    /// When tick `k` is due; `None` beyond what an [`Instant`] can hold.
    pub fn due(&self, k: u64) -> Option<Instant> {
        self.start.checked_add(self.offset(k)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_36000th_tick_at_a_tenth_of_a_second_is_due_after_exactly_an_hour() {
        let start = Instant::now();
        let timeline = Timeline::new(start, Duration::from_millis(100));
        assert_eq!(timeline.due(0), Some(start));
        assert_eq!(timeline.due(36_000), Some(start + Duration::from_secs(3600)));
    }

    #[test]
    fn a_period_that_no_float_can_hold_does_not_drift() {
        // A third of a second, to the nanosecond below.
        let timeline = Timeline::new(Instant::now(), Duration::from_nanos(333_333_333));
        let day = timeline.offset(3 * 86_400).unwrap();
        assert_eq!(day, Duration::from_secs(86_400) - Duration::from_nanos(86_400));
    }

    #[test]
    fn ticks_beyond_the_end_of_time_are_none() {
        let timeline = Timeline::new(Instant::now(), Duration::MAX);
        assert_eq!(timeline.offset(2), None);
        assert_eq!(timeline.due(u64::MAX), None);
    }
}
