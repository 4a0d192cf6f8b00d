//! Why a comparison comes to no report.

use std::io;
use std::path::{Path, PathBuf};

use kafka::topics::TopicError;

use fleet::ProcessError;

/// What can go wrong in a comparison before there is a report.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A program does not do as it should.
    #[error(transparent)]
    Process(ProcessError),
    /// The rows can't be counted.
    #[error("counting the rows: {0}")]
    Topics(#[from] TopicError),
    /// What a scheduler has written can't be read.
    #[error("reading what {scheduler} has written to {}: {source}", .path.display())]
    Results {
        /// Its program.
        scheduler: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// The report is not where it was asked for.
    #[error("writing {}: {source}", .path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Stopping was asked for.
    #[error("interrupted; there is no report")]
    Interrupted,
}

impl From<ProcessError> for CompareError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted => Self::Interrupted,
            error => Self::Process(error),
        }
    }
}

impl CompareError {
    /// What the operating system says to what was being done.
    pub(super) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// What the operating system says to writing `path`.
    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}
