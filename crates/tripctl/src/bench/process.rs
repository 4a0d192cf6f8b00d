//! The joiner as a process, watched from outside.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use service::{CommonArgs, Shutdown};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::BenchError;
use super::environment::{PREFIX, variables};
use super::measure::{Sample, joined};
use super::plan::Plan;
use super::usage::Usage;

/// How often the joiner is asked how many trips it has joined.
const ASK: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may join nothing.
const STUCK: Duration = Duration::from_secs(60);
/// How long it may take to end.
const EXIT_DEADLINE: Duration = Duration::from_secs(30);
/// How much of its log is shown when something is wrong.
const TAIL_LINES: usize = 15;

/// A joiner that runs. Killed when dropped.
pub(super) struct Joiner {
    child: Child,
    started: Instant,
    metrics: String,
    log: PathBuf,
}

/// Where the joiner must be: beside the program that runs.
pub(super) fn binary() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe();
    let own = own.map_err(BenchError::system("finding out which program this is"))?;
    let path = own.with_file_name(format!("joiner{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() { Ok(path) } else { Err(BenchError::NoJoiner(path)) }
}

impl Joiner {
    /// Starts the joiner of `plan`. It finds the same files as we did, and then our settings above them.
    pub(super) fn start(
        binary: &Path,
        plan: &Plan,
        common: &CommonArgs,
    ) -> Result<Self, BenchError> {
        let listen = free_port().map_err(BenchError::system("looking for a free port"))?;
        let log = std::env::temp_dir().join(format!("{}.log", plan.prefix));
        let logging = BenchError::system("making the joiner's log");
        let stdout = File::create_new(&log).map_err(&logging)?;
        let stderr = stdout.try_clone().map_err(&logging)?;
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().to_lowercase().starts_with(PREFIX) {
                command.env_remove(name);
            }
        }
        command.envs(variables(&plan.settings));
        command.env("TRIPSTREAM__JOINER__LISTEN", listen.to_string());
        let files = [
            ("TRIPSTREAM_CONFIG_DIR", common.config_dir.as_ref().map(Into::into)),
            ("TRIPSTREAM_PROFILE", common.profile.as_ref().map(Into::into)),
            ("TRIPSTREAM_ENV_FILE", common.env_file.as_ref().map(Into::into)),
        ];
        let files: [(_, Option<std::ffi::OsString>); 3] = files;
        command.envs(files.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let started = Instant::now();
        let child = command.spawn().map_err(BenchError::system("starting the joiner"))?;
        Ok(Self { child, started, metrics: format!("http://{listen}/metrics"), log })
    }

    /// Watches it until it has joined `trips` trips and committed them.
    pub(super) async fn follow(
        &mut self,
        trips: u64,
        shutdown: &Shutdown,
    ) -> Result<Vec<Sample>, BenchError> {
        // No proxy: it is on this machine.
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build();
        let http = http.expect("a client without TLS settings can be made");
        let mut samples: Vec<Sample> = Vec::new();
        let mut last_news = Instant::now();
        let mut ticks = interval(ASK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if shutdown.requested() {
                return Err(BenchError::Interrupted);
            }
            self.still_runs()?;
            let seen = samples.last().map_or(0, |sample| sample.trips);
            // Until it listens it can't be asked.
            match ask(&http, &self.metrics).await {
                Some(joined) if joined > seen => {
                    samples.push(Sample { at: self.started.elapsed(), trips: joined });
                    last_news = Instant::now();
                    if joined >= trips {
                        return Ok(samples);
                    }
                }
                _ if last_news.elapsed() > STUCK => {
                    let what = format!("has joined {seen} of {trips} trips, and no more");
                    return Err(self.stuck(what, STUCK));
                }
                _ => {}
            }
        }
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Usage {
        Usage::of(&self.child.id().to_string())
    }

    /// Asks it to end, and waits until it has. Its log is not kept if all was well.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        let terminate = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        terminate.map_err(BenchError::system("sending SIGTERM to the joiner"))?;
        let end = Instant::now() + EXIT_DEADLINE;
        loop {
            match self.status()? {
                Some(status) if status.success() => {
                    // A log too many does no harm.
                    let _ = fs::remove_file(&self.log);
                    return Ok(());
                }
                Some(status) => return Err(self.ended("was asked to end and failed", status)),
                None if Instant::now() > end => {
                    return Err(
                        self.stuck("was asked to end, but went on".to_owned(), EXIT_DEADLINE)
                    );
                }
                None => sleep(ASK).await,
            }
        }
    }

    fn still_runs(&mut self) -> Result<(), BenchError> {
        match self.status()? {
            None => Ok(()),
            Some(status) => Err(self.ended("has ended by itself", status)),
        }
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, BenchError> {
        self.child.try_wait().map_err(BenchError::system("looking after the joiner"))
    }

    fn ended(&self, when: &'static str, status: ExitStatus) -> BenchError {
        BenchError::JoinerEnded { when, status, log: self.log.clone(), tail: self.tail() }
    }

    fn stuck(&self, what: String, after: Duration) -> BenchError {
        BenchError::JoinerStuck { what, after, log: self.log.clone(), tail: self.tail() }
    }

    fn tail(&self) -> String {
        tail(&fs::read_to_string(&self.log).unwrap_or_default(), TAIL_LINES)
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ask(http: &reqwest::Client, metrics: &str) -> Option<u64> {
    joined(&http.get(metrics).send().await.ok()?.text().await.ok()?)
}

/// A port that nobody listens on now.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The last `lines` lines of `text`.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 2), "a");
        assert_eq!(tail("", 2), "");
    }
}
