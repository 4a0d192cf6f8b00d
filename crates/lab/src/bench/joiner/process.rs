//! Joiners as processes, watched from outside.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fleet::metrics::{Exposition, Scraper};
use fleet::{Configuration, Fleet, Process, Program, Usage};
use service::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use super::measure::Sample;
use super::plan::Plan;
use crate::bench::BenchError;

/// How often a joiner is asked how many trips it has joined.
const ASK: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may join nothing.
const STUCK: Duration = Duration::from_secs(60);
/// How long it may take to end.
const EXIT_DEADLINE: Duration = Duration::from_secs(30);

/// Joiners that share the work. Killed when dropped.
pub(super) struct Joiners {
    started: Instant,
    all: Vec<Process>,
}

impl Joiners {
    /// Starts `number` joiners of `plan` at once.
    pub(super) fn start(number: usize, fleet: &Fleet, plan: &Plan) -> Result<Self, BenchError> {
        let mut configuration = Configuration::of(&plan.settings);
        configuration.set("joiner.listen", "127.0.0.1:0");
        let started = Instant::now();
        let start = |number| {
            let name = format!("{}-{number}", Program::Joiner.name());
            fleet.start(Program::Joiner, &name, &configuration)
        };
        Ok(Self { started, all: (1..=number).map(start).collect::<Result<_, _>>()? })
    }

    /// Watches them until they have joined `trips` trips and committed them.
    pub(super) async fn follow(
        &mut self,
        trips: u64,
        shutdown: &Shutdown,
    ) -> Result<Vec<Sample>, BenchError> {
        let scraper = Scraper::new(ANSWER_TIMEOUT);
        let mut urls = Vec::new();
        for joiner in &mut self.all {
            urls.push(metrics_url(joiner.listening(&mut [], shutdown).await?));
        }
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
            for (joiner, url) in self.all.iter_mut().zip(&urls) {
                joiner.ensure_running()?;
                joined += scraper.metrics(url).await.as_ref().and_then(joined_trips).unwrap_or(0);
            }
            let seen = samples.last().map_or(0, |sample| sample.trips);
            if joined > seen {
                let resident =
                    self.all.iter().map(|joiner| Usage::resident_bytes(&joiner.id().to_string()));
                let resident = resident.sum();
                samples.push(Sample { at: self.started.elapsed(), trips: joined, resident });
                last_news = Instant::now();
                if joined >= trips {
                    return Ok(samples);
                }
            } else if last_news.elapsed() > STUCK {
                let what = format!("has joined its part of {seen} of {trips} trips, and no more");
                let some = self.all.first().expect("there is at least one");
                return Err(some.stuck(what, STUCK).into());
            }
        }
    }

    /// What they have used so far, added up.
    pub(super) fn usage(&self) -> Usage {
        let each = || self.all.iter().map(|joiner| Usage::of(&joiner.id().to_string()));
        Usage {
            peak_memory_bytes: each().map(|usage| usage.peak_memory_bytes).sum(),
            cpu_s: each().map(|usage| usage.cpu_s).sum(),
        }
    }

    /// Asks one after the other to end, and waits until it has.
    pub(super) async fn stop(self) -> Result<(), BenchError> {
        for mut joiner in self.all {
            joiner.stop(EXIT_DEADLINE).await?;
        }
        Ok(())
    }
}

fn metrics_url(address: SocketAddr) -> String {
    format!("http://{address}/metrics")
}

/// Trips joined so far.
fn joined_trips(metrics: &Exposition) -> Option<u64> {
    Some(metrics.sum("tripstream_joiner_joined_total", &[])? as u64)
}
