//! What goes wrong with a child process.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A child process that can't be started, or does not do as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program is not there.
    #[error(
        "there is no {name} at {}: build all programs alike, with `cargo build --workspace --bins`, and with \
         --release if this one is built so",
        .path.display()
    )]
    NotBuilt {
        /// The program.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Files for the programs can't be made.
    #[error("making a directory for logs and data: {0}")]
    Directory(#[source] io::Error),
    /// The operating system refused something.
    #[error("{doing} {name}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// With which program.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it was asked to, or not as it should.
    #[error("{name} {when}: {status}; the end of its log, {}:\n{tail}", .log.display())]
    Ended {
        /// The program.
        name: &'static str,
        /// When it ended.
        when: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It runs, but does not get on.
    #[error("{name} {what}, for {after:?}; the end of its log, {}:\n{tail}", .log.display())]
    Stuck {
        /// The program.
        name: &'static str,
        /// What is wrong.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Stopping was asked for while a program was waited for.
    #[error("interrupted")]
    Interrupted,
}

impl ProcessError {
    /// What the operating system says to what was being done with `name`.
    pub(crate) fn system(doing: &'static str, name: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, name, source }
    }
}
