//! What a run was and how it went: as text for people, as JSON for programs.

use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Counts, Job, Joined, Timings};

/// The report of one run. [`fmt::Display`] gives the summary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which scheduler: `scheduler-cron` or `scheduler-loop`.
    pub scheduler: String,
    /// Its schedule in words.
    pub schedule: String,
    /// Where the requests went.
    pub endpoint: String,
    /// When the run began: RFC 3339, UTC.
    pub started_at: String,
    /// How long it took, in seconds, the wait for the last answers included.
    pub seconds: f64,
    /// What was counted.
    pub counts: Counts,
    /// Actual minus intended start of each request.
    pub lag: Timings,
    /// From the intended start to the answer, of requests that succeeded. Waiting for a turn counts.
    pub latency: Timings,
    /// From the actual start to the answer, of requests that succeeded: what the API alone took.
    pub service_time: Timings,
    /// How much later, against its intended start, the last request started than the first one did, in milliseconds;
    /// none if nothing started.
    #[serde(default)]
    pub drift_ms: Option<f64>,
    /// The last failure in words.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// How the wait for the joiner ended, if there was one.
    #[serde(default)]
    pub joined: Option<Joined>,
    /// The same for each job, if there are several.
    #[serde(default)]
    pub jobs: Vec<JobReport>,
}

/// What one job of a run has come to; the fields are as in [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobReport {
    /// Its name.
    pub name: String,
    /// Its schedule in words.
    pub schedule: String,
    /// What was counted.
    pub counts: Counts,
    /// Actual minus intended start.
    pub lag: Timings,
    /// From the intended start to the answer.
    pub latency: Timings,
    /// From the actual start to the answer.
    pub service_time: Timings,
}

impl JobReport {
    /// Of a job that has done nothing yet.
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            name: job.name.clone(),
            schedule: job.schedule.clone(),
            counts: Counts::default(),
            lag: Timings::default(),
            latency: Timings::default(),
            service_time: Timings::default(),
        }
    }
}

/// A run that can't be called a success: requests failed or were cut off. Skipped ticks are no failure: the overrun
/// policy asked for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunFailed(String);

/// How a run ends other than well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Requests failed.
    #[error(transparent)]
    Failed(#[from] RunFailed),
    /// The report is not where it was asked for.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// A report, or another record of a run, that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", .path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl ReportError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

impl Report {
    /// A report with the sums of its jobs.
    pub(crate) fn of_jobs(jobs: Vec<JobReport>) -> Self {
        let mut report = Self::default();
        for job in &jobs {
            report.counts.merge(&job.counts);
            report.lag.merge(&job.lag);
            report.latency.merge(&job.latency);
            report.service_time.merge(&job.service_time);
        }
        report.jobs = if jobs.len() > 1 { jobs } else { Vec::new() };
        report
    }

    /// Whether the run succeeded: every request that started was answered with the trips it asked for, and the joiner
    /// joined them, if that was waited for.
    ///
    /// # Errors
    ///
    /// [`RunFailed`] says how many were not, why, and what to look at.
    pub fn verdict(&self) -> Result<(), RunFailed> {
        let counts = &self.counts;
        let failed = counts.failed_total();
        if failed + counts.cut_off > 0 {
            let reasons = in_brackets(counts.failed.iter());
            let mut text = format!("{failed} of {} requests failed{reasons}", counts.started);
            if counts.cut_off > 0 {
                let cut_off = counts.cut_off;
                let _ = write!(text, ", {cut_off} cut off at the end of the shutdown timeout");
            }
            if let Some(failure) = &self.last_failure {
                let _ = write!(text, "; the last one: {failure}");
            }
            if counts.succeeded == 0 && counts.failed.keys().eq(["connect"]) {
                let _ = write!(text, "; does the producer API run at {}?", self.endpoint);
            }
            return Err(RunFailed(text));
        }
        match &self.joined {
            Some(joined) if joined.trips < joined.wanted => Err(RunFailed(format!(
                "the joiner joined {} of {} trips within {:.1} s (client.until_joined)",
                joined.trips, joined.wanted, joined.seconds
            ))),
            _ => Ok(()),
        }
    }

    /// Makes sure, before a run, that its report can be written: creates the directory and the file.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if that fails.
    pub fn reserve(path: &Path) -> Result<(), ReportError> {
        let create = || {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            OpenOptions::new().create(true).append(true).open(path).map(drop)
        };
        create().map_err(|source| ReportError::new(path, source))
    }

    /// Writes the report as JSON, in place of what is at `path`.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if that fails.
    pub fn write_json(&self, path: &Path) -> Result<(), ReportError> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.flush()
        };
        write().map_err(|source| ReportError::new(path, source))
    }

    /// The end of a run: prints the summary to standard output, writes the JSON to `path` if one is given, and says
    /// whether the run succeeded.
    ///
    /// # Errors
    ///
    /// As [`Report::write_json`] and [`Report::verdict`].
    pub fn conclude(&self, path: Option<&Path>) -> Result<(), RunError> {
        // A reader that went away is no reason to fail the run.
        let _ = io::stdout().write_all(self.to_string().as_bytes());
        if let Some(path) = path {
            self.write_json(path)?;
        }
        Ok(self.verdict()?)
    }

    fn trips_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.counts.trips.confirmed as f64 / self.seconds } else { 0.0 }
    }
}

impl fmt::Display for Report {
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
        if let Some(Joined { wanted, trips, seconds }) = &self.joined {
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
fn in_brackets<'a, K: fmt::Display>(counts: impl Iterator<Item = (K, &'a u64)>) -> String {
    let parts: Vec<_> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Failure, SkipReason, Trips};

    fn report() -> Report {
        let mut counts = Counts {
            scheduled: 600,
            started: 597,
            dropped_at_shutdown: 1,
            succeeded: 593,
            cut_off: 1,
            retried: 9,
            late: 2,
            trips: Trips { requested: 1791, confirmed: 1779, uncertain: 3 },
            ..Counts::default()
        };
        counts.add_skips(SkipReason::InFlightFull, 2);
        for _ in 0..3 {
            counts.add_failure(&Failure::Connect("refused".to_owned()), 3);
        }
        let mut lag = Timings::default();
        (1..=597).for_each(|us| lag.record(Duration::from_micros(us)));
        Report {
            scheduler: "scheduler-loop".to_owned(),
            schedule: "3 trips every 100ms".to_owned(),
            endpoint: "http://localhost:8001/api/generate-multiple-trips".to_owned(),
            started_at: "2026-11-22T23:13:49.281Z".to_owned(),
            seconds: 60.04,
            counts,
            lag,
            latency: Timings::default(),
            service_time: Timings::default(),
            drift_ms: Some(0.0126),
            last_failure: Some("cannot connect: refused".to_owned()),
            joined: None,
            jobs: Vec::new(),
        }
    }

    #[test]
    fn the_summary_shows_how_the_counts_add_up() {
        let want = "\
scheduler-loop: 3 trips every 100ms
  to        http://localhost:8001/api/generate-multiple-trips
  ran       60.0 s from 2026-11-22T23:13:49.281Z
  ticks     600 scheduled = 597 started + 2 skipped (in_flight_full 2) + 1 dropped at shutdown
  requests  597 started = 593 succeeded + 3 failed (connect 3) + 1 cut off; 2 late, 9 retries
  trips     1791 requested, 1779 confirmed (29.6 a second), 3 uncertain
  drift     +0.013 ms from the first start to the last
  milliseconds      count      min      p50      p90      p99    p99.9      max
    start lag         597     0.00     0.30     0.54     0.59     0.60     0.60
    latency             0     0.00     0.00     0.00     0.00     0.00     0.00
    service time        0     0.00     0.00     0.00     0.00     0.00     0.00
";
        assert_eq!(report().to_string(), want);
        report().counts.balance().unwrap();
    }

    #[test]
    fn a_run_with_a_failed_request_failed_and_says_what_to_look_at() {
        assert_eq!(
            report().verdict().unwrap_err().to_string(),
            "3 of 597 requests failed (connect 3), 1 cut off at the end of the shutdown timeout; the last one: \
             cannot connect: refused"
        );
        let mut nothing = report();
        (nothing.counts.succeeded, nothing.counts.cut_off) = (0, 0);
        assert_eq!(
            nothing.verdict().unwrap_err().to_string(),
            "3 of 597 requests failed (connect 3); the last one: cannot connect: refused; does the producer API run at \
             http://localhost:8001/api/generate-multiple-trips?"
        );
        let skips = Report {
            counts: Counts { failed: BTreeMap::default(), cut_off: 0, ..report().counts },
            ..report()
        };
        assert_eq!(skips.verdict(), Ok(()), "skipped ticks are what the policy asked for");
        let joined = |trips| Some(Joined { wanted: 1779, trips, seconds: 60.0 });
        let unjoined = Report { joined: joined(1778), ..skips.clone() };
        assert_eq!(
            unjoined.verdict().unwrap_err().to_string(),
            "the joiner joined 1778 of 1779 trips within 60.0 s (client.until_joined)"
        );
        let more = Report { joined: joined(2000), ..skips };
        assert_eq!(more.verdict(), Ok(()), "others may have sent trips, too");
    }

    #[test]
    fn several_jobs_are_told_each_and_in_sum() {
        let job = |name: &str, started| {
            let mut job = JobReport::of(&Job {
                name: name.to_owned(),
                schedule: "3 trips, every 2s".to_owned(),
                overrun: crate::Overrun::Skip,
                queue_limit: 0,
            });
            job.counts = Counts { scheduled: started, started, succeeded: started, ..job.counts };
            (0..started).for_each(|ms| job.lag.record(Duration::from_millis(ms)));
            job
        };
        let report = Report::of_jobs(vec![job("rush", 3), job("base", 7)]);
        report.counts.balance().unwrap();
        assert_eq!((report.counts.started, report.lag.count(), report.jobs.len()), (10, 10, 2));
        let text = report.to_string();
        let want = "  base: 3 trips, every 2s; 7 scheduled = 7 started + 0 skipped + 0 dropped; 0 failed; start lag p99 6.00 ms";
        assert!(text.contains(want), "{text}");
        assert!(Report::of_jobs(vec![job("only", 3)]).jobs.is_empty());
    }

    #[test]
    fn json_brings_the_report_back() {
        let json = serde_json::to_string(&report()).unwrap();
        let back: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(back.counts, report().counts);
        assert_eq!(back.to_string(), report().to_string());
    }

    #[test]
    fn a_reserved_file_is_replaced_by_the_report() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/run.json");
        Report::reserve(&path).unwrap();
        std::fs::write(&path, "x".repeat(1_000_000)).unwrap();
        let outcome = report().conclude(Some(&path));
        assert!(matches!(outcome, Err(RunError::Failed(_))), "{outcome:?}");
        let back: Report = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(back.counts, report().counts);
    }

    #[test]
    fn a_report_that_cannot_be_written_is_found_before_the_run() {
        let err = Report::reserve(Path::new("/proc/no/such.json")).unwrap_err().to_string();
        assert!(err.starts_with("cannot write /proc/no/such.json: "), "{err}");
    }
}
