//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double from one to the next, up to a longest one, without end.
#[derive(Debug, Clone)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Begins with a pause of `first`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = Pauses::new(Duration::from_millis(200), Duration::from_secs(1));
        let pauses: Vec<u128> = pauses.take(5).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1_000, 1_000]);
    }
}
