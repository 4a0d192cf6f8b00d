#![doc = include_str!("../README.md")]

pub mod devstack;
pub mod environment;
mod error;
mod group;
pub mod metrics;
mod port;
mod usage;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

pub use error::ProcessError;
pub use group::Group;
pub use port::free_addresses;
pub use usage::Usage;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a log is shown when something is wrong.
const TAIL_LINES: usize = 15;

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Where a program of this workspace must be: beside the one that runs.
///
/// # Errors
///
/// [`ProcessError::NotBuilt`] if it is not there.
pub fn binary(name: &'static str) -> Result<PathBuf, ProcessError> {
    let own = std::env::current_exe();
    let own =
        own.map_err(ProcessError::system("finding out where this program is beside", name))?;
    let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() { Ok(path) } else { Err(ProcessError::NotBuilt { name, path }) }
}

impl Process {
    /// Starts `command` as a member of `group`; what it writes goes to `log`, which must not exist yet.
    ///
    /// # Errors
    ///
    /// [`ProcessError::System`] if it can't be started.
    pub fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        group: &Group,
    ) -> Result<Self, ProcessError> {
        let logging = ProcessError::system("making the log of", name);
        let stdout = File::create_new(log).map_err(&logging)?;
        let stderr = stdout.try_clone().map_err(&logging)?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(group.id());
        let child = command.spawn().map_err(ProcessError::system("starting", name))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// The number that the system knows it by.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// # Errors
    ///
    /// [`ProcessError::Ended`] if it does not run any more.
    pub fn ensure_running(&mut self) -> Result<(), ProcessError> {
        match self.status()? {
            None => Ok(()),
            Some(status) => Err(self.ended("has ended by itself", status)),
        }
    }

    /// Asks it to end, by SIGTERM; see [`Process::wait`].
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if it has ended before, or can't be asked.
    pub fn terminate(&mut self) -> Result<(), ProcessError> {
        self.ensure_running()?;
        // Its number is not anyone else's before it has been waited for.
        let sent = kill_process(Pid::from_child(&self.child), Signal::TERM);
        sent.map_err(|errno| ProcessError::system("sending SIGTERM to", self.name)(errno.into()))
    }

    /// Waits until it has ended, after [`Process::terminate`].
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if it does not end within `limit`, or ends with another status than 0.
    pub async fn wait(&mut self, limit: Duration) -> Result<(), ProcessError> {
        let end = Instant::now() + limit;
        loop {
            match self.status()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended("was asked to end and failed", status)),
                None if Instant::now() > end => {
                    return Err(self.stuck("was asked to end, but went on".to_owned(), limit));
                }
                None => sleep(LOOK).await,
            }
        }
    }

    /// The error of one that runs but doesn't get on.
    pub fn stuck(&self, what: String, after: Duration) -> ProcessError {
        let (log, tail) = (self.log.clone(), self.tail());
        ProcessError::Stuck { name: self.name, what, after, log, tail }
    }

    /// The error of one that has ended as it should not.
    pub fn ended(&self, when: &'static str, status: ExitStatus) -> ProcessError {
        let (log, tail) = (self.log.clone(), self.tail());
        ProcessError::Ended { name: self.name, when, status, log, tail }
    }

    /// How it has ended; none while it runs.
    ///
    /// # Errors
    ///
    /// [`ProcessError::System`] if the system does not tell.
    pub fn status(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(ProcessError::system("looking after", self.name))
    }

    fn tail(&self) -> String {
        tail(&String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()), TAIL_LINES)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last `lines` lines of `text`.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests;
