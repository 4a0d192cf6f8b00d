//! What a run is to be: its jobs, its limits, and where its records go.

use std::time::Duration;

use service::ShutdownConfig;

use crate::{ClientConfig, JoinerWatch, Overrun, TickLog};

/// How much of the time for shutdown is kept for the report.
const REPORTING: Duration = Duration::from_secs(1);

/// What [`drive`](crate::drive) needs to know besides the schedule.
#[derive(Debug)]
pub struct RunPlan {
    /// Which scheduler runs, for the report.
    pub scheduler: &'static str,
    /// Its schedule in words, for the report.
    pub schedule: String,
    /// The jobs that ticks name by their position. At least one.
    pub jobs: Vec<Job>,
    /// How many requests may run at once, of all jobs together.
    pub max_in_flight: usize,
    /// A request that starts later than this after its intended start counts as late.
    pub late_after: Duration,
    /// How long requests in flight may still take once shutdown is asked for.
    pub drain: Duration,
    /// Where the fate of each tick is written, if it is.
    pub tick_log: Option<TickLog>,
    /// The joiner that must have joined what was sent before the run is over, and how long that may take.
    pub until_joined: Option<(JoinerWatch, Duration)>,
}

/// Ticks with one overrun policy. Those of a job never hold up those of another, but for the limit that all share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in the report, the log of ticks and messages.
    pub name: String,
    /// Its schedule in words, for the report.
    pub schedule: String,
    /// What becomes of its ticks that are due while its requests run.
    pub overrun: Overrun,
    /// How many of its ticks may wait under [`Overrun::Queue`].
    pub queue_limit: usize,
}

impl RunPlan {
    /// A plan for `scheduler` (its name) with a schedule in words, and `[client]` and `[shutdown]` of its settings.
    ///
    /// The drain ends a tenth (at most a second) before the service would be cut off as a whole, so that the report
    /// is still written.
    pub fn new(
        scheduler: &'static str,
        schedule: String,
        jobs: Vec<Job>,
        client: &ClientConfig,
        shutdown: &ShutdownConfig,
    ) -> Self {
        Self {
            scheduler,
            schedule,
            jobs,
            max_in_flight: client.max_in_flight,
            late_after: client.late_after,
            drain: shutdown.timeout.saturating_sub((shutdown.timeout / 10).min(REPORTING)),
            tick_log: None,
            until_joined: None,
        }
    }
}
