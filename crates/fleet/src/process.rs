//! A child process: it logs to a file, tells where it listens, and is gone when this process is.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use std::net::SocketAddr;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use service::Shutdown;
use tokio::time::sleep;

use crate::devstack::Addresses;
use crate::error::ProcessError;
use crate::group::Group;
use crate::metrics::Scraper;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a program may take until it can work.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to answer whether it can.
const ANSWER: Duration = Duration::from_secs(1);
/// How much of a log is shown when something is wrong.
const TAIL_LINES: usize = 15;

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
    ports_file: Option<PathBuf>,
}

/// What a service writes into its ports file.
#[derive(Deserialize)]
struct Ports {
    listen: SocketAddr,
}

impl Process {
    /// Starts `command` as a member of `group`; what it writes goes to `log`, which must not exist yet.
    ///
    /// # Errors
    ///
    /// [`ProcessError::System`] if it can't be started.
    pub(crate) fn start(
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
        Ok(Self { name, child, log: log.to_owned(), ports_file: None })
    }

    /// The file into which it writes where it listens.
    pub(crate) fn tells(&mut self, ports_file: PathBuf) {
        self.ports_file = Some(ports_file);
    }

    /// Waits until the service listens, and says where. Meanwhile it and those `beside` it must run.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if one of them ends, if it takes too long, or if shutdown is asked for.
    pub async fn listening(
        &mut self,
        beside: &mut [&mut Process],
        shutdown: &Shutdown,
    ) -> Result<SocketAddr, ProcessError> {
        Ok(self.told::<Ports>(beside, shutdown).await?.listen)
    }

    /// Waits until the dev stack listens, and says where.
    ///
    /// # Errors
    ///
    /// As [`Process::listening`].
    pub async fn devstack_addresses(
        &mut self,
        shutdown: &Shutdown,
    ) -> Result<Addresses, ProcessError> {
        self.told(&mut [], shutdown).await
    }

    /// Waits until the service says that it is ready, and says where it listens. Meanwhile it and those `beside` it must
    /// run.
    ///
    /// # Errors
    ///
    /// As [`Process::listening`].
    pub async fn ready(
        &mut self,
        beside: &mut [&mut Process],
        shutdown: &Shutdown,
    ) -> Result<SocketAddr, ProcessError> {
        let address = self.listening(beside, shutdown).await?;
        let url = format!("http://{address}/health/ready");
        let scraper = Scraper::new(ANSWER);
        self.until("is not ready", beside, shutdown, async || scraper.is_ready(&url).await).await?;
        Ok(address)
    }

    /// Waits for what it writes into its ports file.
    async fn told<T: DeserializeOwned>(
        &mut self,
        beside: &mut [&mut Process],
        shutdown: &Shutdown,
    ) -> Result<T, ProcessError> {
        let file = self.ports_file.clone().expect("it was started by a fleet");
        let read = async || {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            serde_json::from_str(&text).map_err(|error| error.to_string())
        };
        self.until("does not say where it listens", beside, shutdown, read).await
    }

    async fn until<T>(
        &mut self,
        what: &str,
        beside: &mut [&mut Process],
        shutdown: &Shutdown,
        attempt: impl AsyncFn() -> Result<T, String>,
    ) -> Result<T, ProcessError> {
        let end = Instant::now() + READY;
        loop {
            let why = match attempt().await {
                Ok(value) => return Ok(value),
                Err(why) => why,
            };
            self.ensure_running()?;
            beside.iter_mut().try_for_each(|other| other.ensure_running())?;
            if Instant::now() > end {
                return Err(self.stuck(format!("{what} ({why})"), READY));
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = shutdown.wait() => return Err(ProcessError::Interrupted),
            }
        }
    }

    /// The number that the system knows it by.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Does it still run?
    ///
    /// # Errors
    ///
    /// [`ProcessError::Ended`] if it does not.
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

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// As [`Process::terminate`] and [`Process::wait`].
    pub async fn stop(&mut self, limit: Duration) -> Result<(), ProcessError> {
        self.terminate()?;
        self.wait(limit).await
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
