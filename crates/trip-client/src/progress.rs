//! How a run goes, while it goes: one line that changes in place on a terminal, now and then a log line elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::Counts;

/// How often the line on a terminal changes.
const LIVE: Duration = Duration::from_millis(250);
/// How often a log line is written, if anything happened.
const LOGGED: Duration = Duration::from_secs(1);
/// The rate is that of so much time.
const WINDOW: Duration = Duration::from_secs(2);

/// What a line tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunStatus {
    pub(crate) counts: Counts,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    /// The largest start lag since the last line.
    pub(crate) lag: Duration,
}

#[derive(Debug)]
pub(crate) struct RunProgress {
    live: bool,
    began: Instant,
    /// Instants and how many requests had started then; the oldest first.
    started: VecDeque<(Instant, u64)>,
    /// How many ticks were scheduled and requests had ended at the last log line.
    logged: (u64, u64),
}

impl RunProgress {
    /// `live`: there is a line that can change in place.
    pub(crate) fn new(live: bool, began: Instant) -> Self {
        Self { live, began, started: VecDeque::from([(began, 0)]), logged: (0, 0) }
    }

    /// How often [`RunProgress::tell`] is to be called.
    pub(crate) fn period(&self) -> Duration {
        if self.live { LIVE } else { LOGGED }
    }

    pub(crate) fn tell(&mut self, now: Instant, standing: &RunStatus) {
        let rate = self.rate(now, standing.counts.started);
        if self.live {
            service::status::show(&line(now.duration_since(self.began), rate, standing));
            return;
        }
        let counts = &standing.counts;
        let events = (counts.scheduled, counts.succeeded + counts.failed_total());
        if events == self.logged {
            return;
        }
        self.logged = events;
        info!(
            scheduled = counts.scheduled,
            rate = (rate * 10.0).round() / 10.0,
            in_flight = standing.in_flight,
            waiting = standing.waiting,
            lag_ms = (standing.lag.as_micros() as f64) / 1000.0,
            succeeded = counts.succeeded,
            failed = counts.failed_total(),
            skipped = counts.skipped_total(),
            trips = counts.trips.confirmed,
            "progress"
        );
    }

    /// Requests started a second, lately.
    fn rate(&mut self, now: Instant, started: u64) -> f64 {
        self.started.push_back((now, started));
        while self.started.len() > 2 && now.duration_since(self.started[1].0) >= WINDOW {
            self.started.pop_front();
        }
        let (since, before) = self.started[0];
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { (started - before) as f64 / seconds } else { 0.0 }
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        if self.live {
            service::status::clear();
        }
    }
}

fn line(ran: Duration, rate: f64, standing: &RunStatus) -> String {
    let RunStatus { counts, in_flight, waiting, lag } = standing;
    let waiting = if *waiting > 0 { format!(", {waiting} waiting") } else { String::new() };
    format!(
        "{:>6.1} s  {rate:.1} req/s  {in_flight} in flight{waiting}  lag {:.2} ms  {} trips  {} failed  {} skipped",
        ran.as_secs_f64(),
        lag.as_secs_f64() * 1000.0,
        counts.trips.confirmed,
        counts.failed_total(),
        counts.skipped_total(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SkipReason, TripCounts};

    #[test]
    fn the_line_tells_rate_requests_in_flight_lag_and_errors() {
        let mut counts = Counts {
            trips: TripCounts { confirmed: 3594, ..TripCounts::default() },
            ..Counts::default()
        };
        counts.add_skips(SkipReason::Busy, 7);
        let standing =
            RunStatus { counts, in_flight: 2, waiting: 0, lag: Duration::from_micros(84) };
        assert_eq!(
            line(Duration::from_millis(12_340), 99.96, &standing),
            "  12.3 s  100.0 req/s  2 in flight  lag 0.08 ms  3594 trips  0 failed  7 skipped"
        );
        let line = line(Duration::ZERO, 0.0, &RunStatus { waiting: 5, ..standing });
        assert!(line.contains("2 in flight, 5 waiting"), "{line}");
    }

    #[test]
    fn the_rate_is_that_of_the_last_two_seconds() {
        let start = Instant::now();
        let mut progress = RunProgress::new(false, start);
        let mut at =
            |ms, started| progress.rate(start + Duration::from_millis(ms), started).round() as u64;
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(1000, 100), 100);
        assert_eq!(at(2000, 200), 100);
        assert_eq!(at(3000, 200), 50);
        assert_eq!(at(4000, 200), 0);
    }
}
