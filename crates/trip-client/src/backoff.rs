//! How long to wait before a request is tried again: a pure function of the attempt and a random number.

use std::time::Duration;

/// Exponential back-off with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the first retry.
    pub initial: Duration,
    /// The longest wait before any retry.
    pub max: Duration,
}

impl Backoff {
    /// The wait before retry `attempt` (from 0). `random` is from 0 (inclusive) to 1 (exclusive) and picks a point in
    /// the upper half of the range: clients that failed together spread out, and none comes back at once.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let ceiling = self.initial.saturating_mul(2u32.saturating_pow(attempt)).min(self.max);
        ceiling.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// As [`Backoff::delay`], or what the API asks for if that is more; never more than `max`.
    pub fn delay_at_least(&self, asked: Option<Duration>, attempt: u32, random: f64) -> Duration {
        let delay = self.delay(attempt, random);
        asked.map_or(delay, |asked| delay.max(asked.min(self.max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_limit_and_jitters_in_its_upper_half() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };
        for (attempt, random, want_ms) in [
            (0, 0.0, 50),
            (0, 1.0, 100),
            (1, 0.5, 150),
            (3, 1.0, 800),
            (4, 1.0, 1000),
            (4, 0.0, 500),
            (u32::MAX, 1.0, 1000),
        ] {
            let got = backoff.delay(attempt, random);
            assert_eq!(got, Duration::from_millis(want_ms), "attempt {attempt}, random {random}");
        }
    }
}
