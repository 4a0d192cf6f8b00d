//! The API as a process.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use service::{CommonArgs, Shutdown};
use tokio::time::sleep;

use super::plan::Plan;
use crate::bench::BenchError;
use fleet::metrics::Scraper;
use fleet::{Group, Process, environment, free_addresses};

/// How often it is asked whether it is ready.
const ASK: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long that may take.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long it may take to end.
const EXIT_DEADLINE: Duration = Duration::from_secs(30);

/// An API that runs. Killed when dropped.
pub(super) struct Api {
    process: Process,
    address: SocketAddr,
    _group: Group,
}

impl Api {
    /// Starts the API on the topics of `plan`. It finds the same files as we did, and then our settings above them.
    pub(super) fn start(
        binary: &Path,
        plan: &Plan,
        common: &CommonArgs,
    ) -> Result<Self, BenchError> {
        let [address] = free_addresses().map_err(BenchError::system("looking for a free port"))?;
        let log = std::env::temp_dir().join(format!("{}.log", plan.prefix));
        let mut command = Command::new(binary);
        let keys = [("producer.listen", address.to_string())];
        environment::inherit(&mut command, &plan.settings, common, &keys);
        let group = Group::new()?;
        let process = Process::start("producer-api", command, &log, &group)?;
        Ok(Self { process, address, _group: group })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number that the system knows it by.
    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it says that it can produce.
    pub(super) async fn ready(&mut self, shutdown: &Shutdown) -> Result<(), BenchError> {
        let scraper = Scraper::new(ANSWER_TIMEOUT);
        let url = format!("http://{}/health/ready", self.address);
        let started = Instant::now();
        while let Err(reason) = scraper.is_ready(&url).await {
            if shutdown.requested() {
                return Err(BenchError::Interrupted);
            }
            self.process.ensure_running()?;
            if started.elapsed() > READY_DEADLINE {
                let what = format!("is not ready: {reason}");
                return Err(self.process.stuck(what, READY_DEADLINE).into());
            }
            sleep(ASK).await;
        }
        Ok(())
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
