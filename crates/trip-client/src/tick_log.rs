//! What became of each tick, as one JSON object a line: the raw series behind the report's distributions.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::run_file::{self, RunFileError};

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickOutcome {
    /// Its request was answered with exactly the trips asked for.
    Ok,
    /// Its request failed.
    Failed,
    /// Its request still ran when the shutdown's time was over.
    CutOff,
    /// It never became a request.
    Skipped,
    /// It waited in the queue when the run was stopped.
    Dropped,
}

/// One line of the file. Times are milliseconds from the start of the run, with fractions; lines stand in the order in
/// which the fates were known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickRecord {
    /// When the tick was meant to start; `None` of a tick that passed unseen (reason `missed`).
    pub intended_ms: Option<f64>,
    /// When its request started; `None` if it never did.
    pub started_ms: Option<f64>,
    /// When its request was answered or given up; `None` if it never started.
    pub finished_ms: Option<f64>,
    /// What became of it.
    pub outcome: TickOutcome,
    /// Why it was skipped or failed, in the words of the report's counts; `None` of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its job, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// The instants of a tick whose fate is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Instants {
    pub(crate) due: Option<Instant>,
    pub(crate) started: Option<Instant>,
    pub(crate) finished: Option<Instant>,
}

/// The file, open for writing.
#[derive(Debug)]
pub struct TickLog {
    path: PathBuf,
    file: BufWriter<File>,
    origin: Instant,
    /// The first failure; nothing is written after it.
    failure: Option<io::Error>,
}

impl TickLog {
    /// Creates the file, in place of what is at `path`, and its directory. The run starts now, unless it
    /// says otherwise later.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if that fails.
    pub fn create(path: &Path) -> Result<Self, RunFileError> {
        let file =
            run_file::open(path, OpenOptions::new().write(true).create(true).truncate(true))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            origin: Instant::now(),
            failure: None,
        })
    }

    /// Times count from `origin`.
    pub(crate) fn start_at(&mut self, origin: Instant) {
        self.origin = origin;
    }

    /// Adds a line. A failure to write is told by [`TickLog::finish`]: a run goes on without its log.
    pub(crate) fn write(
        &mut self,
        outcome: TickOutcome,
        reason: Option<&str>,
        job: Option<&str>,
        at: Instants,
    ) {
        if self.failure.is_some() {
            return;
        }
        let record = TickRecord {
            intended_ms: at.due.map(|due| self.millis(due)),
            started_ms: at.started.map(|started| self.millis(started)),
            finished_ms: at.finished.map(|finished| self.millis(finished)),
            outcome,
            reason: reason.map(str::to_owned),
            job: job.map(str::to_owned),
        };
        let written = serde_json::to_writer(&mut self.file, &record).map_err(io::Error::from);
        self.failure = written.and_then(|()| self.file.write_all(b"\n")).err();
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if not all lines could be written.
    pub(crate) fn finish(mut self) -> Result<(), RunFileError> {
        let outcome = self.failure.take().map_or(Ok(()), Err).and_then(|()| self.file.flush());
        outcome.map_err(|source| RunFileError::new(&self.path, source))
    }

    /// To the microsecond; negative before the start.
    fn millis(&self, at: Instant) -> f64 {
        let micros = if at >= self.origin {
            (at - self.origin).as_micros() as f64
        } else {
            -((self.origin - at).as_micros() as f64)
        };
        micros / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_tick_is_a_line_with_fractions_of_milliseconds_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/ticks.jsonl");
        let mut log = TickLog::create(&path).unwrap();
        let origin = Instant::now() + Duration::from_secs(1);
        let at = |us: u64| Some(origin + Duration::from_micros(us));
        log.start_at(origin);
        let early = Some(origin - Duration::from_micros(20));
        log.write(
            TickOutcome::Ok,
            None,
            None,
            Instants { due: early, started: at(54), finished: at(2_500) },
        );
        let due = Instants { due: at(100_000), ..Instants::default() };
        log.write(TickOutcome::Skipped, Some("busy"), Some("a"), due);
        log.write(TickOutcome::Skipped, Some("missed"), None, Instants::default());
        log.finish().unwrap();
        let want = r#"{"intended_ms":-0.02,"started_ms":0.054,"finished_ms":2.5,"outcome":"ok"}
{"intended_ms":100.0,"started_ms":null,"finished_ms":null,"outcome":"skipped","reason":"busy","job":"a"}
{"intended_ms":null,"started_ms":null,"finished_ms":null,"outcome":"skipped","reason":"missed"}
"#;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, want);
        for line in text.lines() {
            let record: TickRecord = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&record).unwrap(), line);
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_of() {
        let error = TickLog::create(Path::new("/proc/no/such.jsonl")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc/no/such.jsonl: "), "{error}");
        let mut log = TickLog::create(Path::new("/dev/full")).unwrap();
        log.write(TickOutcome::Dropped, None, None, Instants::default());
        let error = log.finish().unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: No space left"), "{error}");
    }
}
