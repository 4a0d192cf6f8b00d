//! The summary of a run, for people.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::RunReport;
use crate::joined::JoinerWait;
use crate::timings::Timings;

impl RunReport {
    fn trips_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.counts.trips.confirmed as f64 / self.seconds } else { 0.0 }
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheduler, schedule, endpoint, started_at, seconds, counts, .. } = self;
        writeln!(f, "{scheduler}: {schedule}")?;
        writeln!(f, "  to        {endpoint}")?;
        writeln!(f, "  ran       {seconds:.1} s from {started_at}")?;
        writeln!(
            f,
            "  ticks     {} scheduled = {} started + {} skipped{} + {} dropped at shutdown",
            counts.scheduled,
            counts.started,
            counts.skipped_total(),
            in_brackets(counts.skipped.iter().map(|(reason, n)| (reason.as_str(), n))),
            counts.dropped_at_shutdown,
        )?;
        writeln!(
            f,
            "  requests  {} started = {} succeeded + {} failed{} + {} cut off; {} late, {} retries",
            counts.started,
            counts.succeeded,
            counts.failed_total(),
            in_brackets(counts.failed.iter()),
            counts.cut_off,
            counts.late,
            counts.retried,
        )?;
        writeln!(
            f,
            "  trips     {} requested, {} confirmed ({:.1} a second), {} uncertain",
            counts.trips.requested,
            counts.trips.confirmed,
            self.trips_per_second(),
            counts.trips.uncertain,
        )?;
        if let Some(drift) = self.drift_ms {
            writeln!(f, "  drift     {drift:+.3} ms from the first start to the last")?;
        }
        writeln!(
            f,
            "  milliseconds      count      min      p50      p90      p99    p99.9      max"
        )?;
        timings_line(f, "start lag", &self.lag)?;
        timings_line(f, "latency", &self.latency)?;
        timings_line(f, "service time", &self.service_time)?;
        for job in &self.jobs {
            writeln!(
                f,
                "  {}: {}; {} scheduled = {} started + {} skipped{} + {} dropped; {} failed; start lag p99 {:.2} ms",
                job.name,
                job.schedule,
                job.counts.scheduled,
                job.counts.started,
                job.counts.skipped_total(),
                in_brackets(job.counts.skipped.iter().map(|(reason, n)| (reason.as_str(), n))),
                job.counts.dropped_at_shutdown,
                job.counts.failed_total(),
                millis(job.lag.percentile(99.0)),
            )?;
        }
        if let Some(JoinerWait { wanted, trips, seconds }) = &self.joined {
            writeln!(
                f,
                "  joiner    {trips} of {wanted} joined, {seconds:.1} s after the last answer"
            )?;
        }
        Ok(())
    }
}

fn timings_line(f: &mut fmt::Formatter<'_>, name: &str, timings: &Timings) -> fmt::Result {
    let mut line = format!("    {name:<12}{:>9}", timings.count());
    let percentiles = [50.0, 90.0, 99.0, 99.9].map(|percent| timings.percentile(percent));
    for duration in [timings.min()].into_iter().chain(percentiles).chain([timings.max()]) {
        write!(line, "{:>9.2}", millis(duration))?;
    }
    writeln!(f, "{line}")
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// ` (connect 3, timeout 1)`; nothing for nothing.
pub(super) fn in_brackets<'a, K: fmt::Display>(
    counts: impl Iterator<Item = (K, &'a u64)>,
) -> String {
    let parts: Vec<_> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
