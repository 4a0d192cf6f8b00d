//! What a run was and how it went: as JSON for programs; as [text for people](summary), with a [verdict].

mod summary;
#[cfg(test)]
mod tests;
mod verdict;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::joined::JoinerWait;
use crate::plan::Job;
use crate::run_file::{self, RunFileError};
use crate::timings::Timings;
pub use verdict::RunFailed;

/// The report of one run. [`Display`](std::fmt::Display) gives the summary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
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
    pub joined: Option<JoinerWait>,
    /// The same for each job, if there are several.
    #[serde(default)]
    pub jobs: Vec<JobReport>,
}

/// What one job of a run has come to; the fields are as in [`RunReport`].
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

/// How a run ends other than well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Requests failed.
    #[error(transparent)]
    Failed(#[from] RunFailed),
    /// The report is not where it was asked for.
    #[error(transparent)]
    File(#[from] RunFileError),
}

impl RunReport {
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

    /// Makes sure, before a run, that its report can be written: creates the directory and the file.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if that fails.
    pub fn reserve(path: &Path) -> Result<(), RunFileError> {
        run_file::open(path, OpenOptions::new().create(true).append(true)).map(drop)
    }

    /// Writes the report as JSON, in place of what is at `path`.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if that fails.
    pub fn write_json(&self, path: &Path) -> Result<(), RunFileError> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.flush()
        };
        write().map_err(|source| RunFileError::new(path, source))
    }

    /// The end of a run: prints the summary to standard output, writes the JSON to `path` if one is given, and says
    /// whether the run succeeded.
    ///
    /// # Errors
    ///
    /// As [`RunReport::write_json`] and [`RunReport::verdict`].
    pub fn conclude(&self, path: Option<&Path>) -> Result<(), RunError> {
        // A reader that went away is no reason to fail the run.
        let _ = io::stdout().write_all(self.to_string().as_bytes());
        if let Some(path) = path {
            self.write_json(path)?;
        }
        Ok(self.verdict()?)
    }
}
