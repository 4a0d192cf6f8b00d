//! The joiner as a process, watched from outside.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use service::{CommonArgs, Shutdown};
use tokio::time::{MissedTickBehavior, interval};

use super::measure::Sample;
use super::plan::Plan;
use crate::bench::BenchError;
use fleet::Usage;
use fleet::metrics::{Exposition, Scraper};
use fleet::{Group, Process, environment, free_addresses};

/// How often the joiner is asked how many trips it has joined.
const ASK: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may join nothing.
const STUCK: Duration = Duration::from_secs(60);
/// How long it may take to end.
const EXIT_DEADLINE: Duration = Duration::from_secs(30);

/// A joiner that runs. Killed when dropped.
pub(super) struct Joiner {
    process: Process,
    metrics: String,
    _group: Group,
}

impl Joiner {
    /// Starts a joiner of `plan`, the `number`th. It finds the same files as we did, and then our settings above them.
    pub(super) fn start(
        number: usize,
        binary: &Path,
        plan: &Plan,
        common: &CommonArgs,
    ) -> Result<Self, BenchError> {
        let [listen] = free_addresses().map_err(BenchError::system("looking for a free port"))?;
        let log = std::env::temp_dir().join(format!("{}-{number}.log", plan.prefix));
        let mut command = Command::new(binary);
        let keys = [("joiner.listen", listen.to_string())];
        environment::inherit(&mut command, &plan.settings, common, &keys);
        let group = Group::new()?;
        let process = Process::start("joiner", command, &log, &group)?;
        Ok(Self { process, metrics: format!("http://{listen}/metrics"), _group: group })
    }

    /// What it has used so far.
    fn usage(&self) -> Usage {
        Usage::of(&self.process.id().to_string())
    }

    fn resident(&self) -> Option<u64> {
        Usage::resident_bytes(&self.process.id().to_string())
    }

    /// Trips joined so far. None until it listens.
    async fn joined(&self, scraper: &Scraper) -> Option<u64> {
        scraper.metrics(&self.metrics).await.as_ref().and_then(joined)
    }

    /// Asks it to end, and waits until it has. Its log is not kept if all was well.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.process.terminate()?;
        self.process.wait(EXIT_DEADLINE).await?;
        // A log too many does no harm.
        let _ = fs::remove_file(self.process.log());
        Ok(())
    }
}

/// Joiners that share the work.
pub(super) struct Joiners {
    started: Instant,
    all: Vec<Joiner>,
}

impl Joiners {
    /// Starts `number` joiners of `plan` at once.
    pub(super) fn start(
        number: usize,
        binary: &Path,
        plan: &Plan,
        common: &CommonArgs,
    ) -> Result<Self, BenchError> {
        let started = Instant::now();
        let all = (1..=number).map(|number| Joiner::start(number, binary, plan, common));
        Ok(Self { started, all: all.collect::<Result<_, _>>()? })
    }

    /// Watches them until they have joined `trips` trips and committed them.
    pub(super) async fn follow(
        &mut self,
        trips: u64,
        shutdown: &Shutdown,
    ) -> Result<Vec<Sample>, BenchError> {
        let scraper = Scraper::new(ANSWER_TIMEOUT);
        let mut samples: Vec<Sample> = Vec::new();
        let mut last_news = Instant::now();
        let mut ticks = interval(ASK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if shutdown.requested() {
                return Err(BenchError::Interrupted);
            }
            let mut joined = 0;
            for joiner in &mut self.all {
                joiner.process.ensure_running()?;
                joined += joiner.joined(&scraper).await.unwrap_or(0);
            }
            let seen = samples.last().map_or(0, |sample| sample.trips);
            if joined > seen {
                let resident = self.all.iter().map(Joiner::resident).sum();
                samples.push(Sample { at: self.started.elapsed(), trips: joined, resident });
                last_news = Instant::now();
                if joined >= trips {
                    return Ok(samples);
                }
            } else if last_news.elapsed() > STUCK {
                let what = format!("has joined its part of {seen} of {trips} trips, and no more");
                let some = self.all.first().expect("there is at least one");
                return Err(some.process.stuck(what, STUCK).into());
            }
        }
    }

    /// What they have used so far, added up.
    pub(super) fn usage(&self) -> Usage {
        let each = || self.all.iter().map(Joiner::usage);
        Usage {
            peak_memory_bytes: each().map(|usage| usage.peak_memory_bytes).sum(),
            cpu_s: each().map(|usage| usage.cpu_s).sum(),
        }
    }

    /// Stops one after the other.
    pub(super) async fn stop(self) -> Result<(), BenchError> {
        for joiner in self.all {
            joiner.stop().await?;
        }
        Ok(())
    }
}

/// Trips joined so far.
fn joined(metrics: &Exposition) -> Option<u64> {
    Some(metrics.sum("tripstream_joiner_joined_total", &[])? as u64)
}
