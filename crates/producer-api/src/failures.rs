//! Requests that fail by our fault or Kafka's, in the log: one line a second at most, however many they are.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Span, warn};

/// How long after a line the next one may come.
const PERIOD: Duration = Duration::from_secs(1);

/// Decides which failed requests get a line of their own.
#[derive(Debug, Default)]
pub(crate) struct FailureLog(Mutex<FailureState>);

#[derive(Debug, Default)]
struct FailureState {
    last_line: Option<Instant>,
    /// How many failed since then.
    untold: u64,
}

impl FailureState {
    /// Counts a failure; says how many others the line is to tell of if it may have one now.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        self.due(now).map(|all| all - 1)
    }

    /// How many have not been told of, if there are some and a line may come now, which it does then.
    fn due(&mut self, now: Instant) -> Option<u64> {
        let is_over = self.last_line.is_none_or(|last| now >= last + PERIOD);
        if is_over { self.take(now) } else { None }
    }

    /// How many have not been told of, if there are some; they are told of now.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let untold = std::mem::take(&mut self.untold);
        if untold == 0 {
            return None;
        }
        self.last_line = Some(now);
        Some(untold)
    }
}

impl FailureLog {
    /// Tells of a request that failed, or counts it for a later line.
    pub(crate) fn note(&self, span: &Span, status: u16, error: &dyn std::fmt::Display) {
        let more = self.lock().count(Instant::now());
        if let Some(more) = more {
            let more = (more > 0).then_some(more);
            warn!(parent: span, status, more, "request failed: {error}");
        }
    }

    /// Tells of those that were only counted, when no other comes that tells of them.
    pub(crate) fn tell(&self) {
        let due = self.lock().due(Instant::now());
        tell(due);
    }

    /// Tells of the last ones, however soon after others.
    pub(crate) fn conclude(&self) {
        let last = self.lock().take(Instant::now());
        tell(last);
    }

    fn lock(&self) -> MutexGuard<'_, FailureState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(more: Option<u64>) {
    if let Some(more) = more {
        warn!("{more} more requests failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_all_failures() {
        let mut state = FailureState::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(state.due(at(0)), None, "nothing to tell");
        for (millis, expected) in [
            (0, Some(0)),
            (1, None),
            (999, None),
            // The two before, and this one has the line.
            (1_000, Some(2)),
            (1_500, None),
        ] {
            assert_eq!(state.count(at(millis)), expected, "{millis} ms");
        }
        assert_eq!(state.due(at(1_999)), None, "too early");
        assert_eq!(state.due(at(2_000)), Some(1));
        assert_eq!(state.due(at(9_000)), None, "all is told");
        assert_eq!(state.take(at(9_000)), None, "all is told");
        assert_eq!(state.count(at(9_000)), Some(0));
        assert_eq!(state.count(at(9_001)), None);
        assert_eq!(state.take(at(9_001)), Some(1), "at the end it may be early");
    }
}
