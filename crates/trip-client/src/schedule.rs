//! What a schedule is to the driver: a source of ticks, each with the instant it was meant for.

use std::time::Duration;

use tokio::time::Instant;

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// When the request was meant to start, whatever happened since. Lag and latency count from here.
    pub due: Instant,
    /// How many trips it asks for.
    pub trips: u32,
    /// Whose it is: the position among the plan's jobs.
    pub job: usize,
}

/// What a schedule hands to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A request to start now.
    Now(Tick),
    /// That many ticks of a job passed unseen and are not to be caught up, as when the machine slept.
    Missed {
        /// Whose.
        job: usize,
        /// How many.
        ticks: u64,
    },
}

/// When to fire. The driver asks for the next tick while it watches the requests in flight.
pub trait Schedule {
    /// Waits for the next tick; `None` when the schedule is over. Must be safe to drop and call again: a tick is
    /// handed out only by a call that returns.
    fn next(&mut self) -> impl Future<Output = Option<Due>> + Send;

    /// Hears that a tick is done with at `at`: its request was answered or given up, or it was skipped. For schedules that wait for the answer.
    fn answered(&mut self, at: Instant) {
        let _ = at;
    }
}

/// How long a run goes on: until one of the two is reached, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// At most that many ticks.
    pub count: Option<u64>,
    /// Only ticks that are due within that time from the start.
    pub duration: Option<Duration>,
}

impl Extent {
    /// Whether tick `index` (from 0), due `offset` after the start, still belongs to the run.
    ///
    /// ```
    /// use std::time::Duration;
    /// let run = trip_client::Extent { count: Some(3), duration: Some(Duration::from_secs(1)) };
    /// assert!(run.admits(2, Duration::from_millis(999)));
    /// assert!(!run.admits(3, Duration::ZERO));
    /// assert!(!run.admits(0, Duration::from_secs(1)));
    /// ```
    pub fn admits(&self, index: u64, offset: Duration) -> bool {
        self.count.is_none_or(|count| index < count)
            && self.duration.is_none_or(|duration| offset < duration)
    }
}
