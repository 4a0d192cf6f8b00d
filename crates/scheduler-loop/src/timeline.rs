//! Ticks as pure values: when tick k is due.

use std::time::Duration;

use tokio::time::Instant;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// The absolute timeline start + k × period. Each tick is computed from the start, so that no error adds up.
///
/// With a ramp the rate rises evenly from nothing to the full one: after a time t of a ramp of length T at the full rate
/// R, R t² / 2T ticks have come due. So tick k is due at t = √(2 T k / R), and after the ramp at T/2 + k / R.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    start: Instant,
    period: Duration,
    ramp: Duration,
}

impl Timeline {
    /// A timeline whose tick 0 is due at `start`, and that reaches its full rate after `ramp`.
    pub fn new(start: Instant, period: Duration, ramp: Duration) -> Self {
        Self { start, period, ramp }
    }

    /// How long after the start tick `k` is due; `None` beyond what a [`Duration`] can hold.
    pub fn offset(&self, k: u64) -> Option<Duration> {
        let even = self.period.as_nanos().checked_mul(u128::from(k))?;
        let ramp = self.ramp.as_nanos();
        let nanos = if even < ramp / 2 {
            even.checked_mul(2)?.checked_mul(ramp)?.isqrt()
        } else {
            even.checked_add(ramp / 2)?
        };
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
        let timeline = Timeline::new(start, Duration::from_millis(100), Duration::ZERO);
        assert_eq!(timeline.due(0), Some(start));
        assert_eq!(timeline.due(36_000), Some(start + Duration::from_secs(3600)));
    }

    #[test]
    fn a_period_that_no_float_can_hold_does_not_drift() {
        // A third of a second, to the nanosecond below.
        let timeline =
            Timeline::new(Instant::now(), Duration::from_nanos(333_333_333), Duration::ZERO);
        let day = timeline.offset(3 * 86_400).unwrap();
        assert_eq!(day, Duration::from_secs(86_400) - Duration::from_nanos(86_400));
    }

    #[test]
    fn ticks_beyond_the_end_of_time_are_none() {
        let timeline = Timeline::new(Instant::now(), Duration::MAX, Duration::ZERO);
        assert_eq!(timeline.offset(2), None);
        assert_eq!(timeline.due(u64::MAX), None);
    }

    #[test]
    fn a_ramp_rises_evenly_and_goes_over_into_the_full_rate() {
        // 10 a second after a ramp of 10 s.
        let timeline =
            Timeline::new(Instant::now(), Duration::from_millis(100), Duration::from_secs(10));
        for (k, want_ms) in
            [(0, 0), (2, 2_000), (8, 4_000), (32, 8_000), (50, 10_000), (60, 11_000)]
        {
            assert_eq!(timeline.offset(k), Some(Duration::from_millis(want_ms)), "tick {k}");
        }
        let gaps: Vec<_> = (1..100)
            .map(|k| timeline.offset(k).unwrap().abs_diff(timeline.offset(k - 1).unwrap()))
            .collect();
        let shrink = |pair: &[Duration]| pair[1] <= pair[0] + Duration::from_nanos(1);
        assert!(gaps.windows(2).all(shrink), "{gaps:?}");
    }
}
