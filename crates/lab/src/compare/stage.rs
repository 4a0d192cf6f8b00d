//! What the schedulers run against: a dev stack and the API, as processes.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use service::{CommonArgs, Shutdown};

use super::CompareError;
use super::scenario::Contender;
use fleet::devstack::{self, Addresses};
use fleet::metrics::Scraper;
use fleet::{Group, Process, ProcessError, binary, environment, free_addresses};
use verify::settings::Settings;

const API: &str = "producer-api";
/// What the names of all environment variables begin with that configure a service, in small letters.
const PREFIX: &str = "tripstream_";
/// How long a program may take until it can work.
const READY: Duration = Duration::from_secs(60);
/// How long one may take to end.
const EXIT: Duration = Duration::from_secs(15);
const ASK: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A dev stack and an API that is ready. Nothing of it runs any more once it is dropped.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    settings: Settings,
    common: &'a CommonArgs,
    shutdown: &'a Shutdown,
    dir: PathBuf,
    scraper: Scraper,
    api_address: SocketAddr,
    /// How often the API was started.
    starts: u32,
    api: Process,
    devstack: Process,
    group: Group,
}

impl<'a> Stage<'a> {
    /// Starts both, with their data and logs in `dir`, and waits until the API is ready.
    pub(super) async fn set(
        base: &Settings,
        common: &'a CommonArgs,
        dir: &Path,
        shutdown: &'a Shutdown,
    ) -> Result<Self, CompareError> {
        let group = Group::new()?;
        let log = dir.join("devstack.log");
        let command = devstack::command(dir)?;
        let mut devstack = Process::start(devstack::PROGRAM, command, &log, &group)?;
        let mut settings = base.clone();
        let told = async |_: &Scraper| Addresses::read(dir).ok_or_else(|| "no address".to_owned());
        let scraper = Scraper::new(ANSWER_TIMEOUT);
        wait_until(told, &scraper, &mut devstack, shutdown).await?.settle(&mut settings);

        let [api_address] = free_addresses().map_err(CompareError::system("looking for a port"))?;
        let dir = dir.to_owned();
        let command = api_command(&settings, common, api_address)?;
        let api = Process::start(API, command, &dir.join(format!("{API}-1.log")), &group)?;
        let mut stage = Self {
            settings,
            common,
            shutdown,
            dir,
            scraper,
            api_address,
            starts: 1,
            api,
            devstack,
            group,
        };
        stage.api_ready().await?;
        Ok(stage)
    }

    /// Where the API is.
    pub(super) fn api_url(&self) -> String {
        format!("http://{}", self.api_address)
    }

    /// Stops the API, waits until it has ended, starts it again and waits until it is ready.
    pub(super) async fn restart_api(&mut self) -> Result<(), CompareError> {
        self.api.terminate()?;
        self.api.wait(EXIT).await?;
        self.starts += 1;
        let command = api_command(&self.settings, self.common, self.api_address)?;
        let log = self.dir.join(format!("{API}-{}.log", self.starts));
        self.api = Process::start(API, command, &log, &self.group)?;
        self.api_ready().await
    }

    /// Starts a scheduler that is told these keys, and nothing else but how to log: what the user has configured for the
    /// schedulers is not to tell in the comparison, and some of it, such as a ramp, can't be undone key by key. Its log is
    /// `name` in the directory of all logs.
    pub(super) fn start_scheduler(
        &self,
        contender: Contender,
        keys: &[(String, String)],
        name: &str,
    ) -> Result<Process, CompareError> {
        let program = contender.program();
        let mut command = Command::new(binary(program)?);
        forget_configuration(&mut command, std::env::vars_os().map(|(name, _)| name));
        // A directory of its own, so that there is no .env beside it either.
        let config_dir = self.dir.join("schedulers").join("config");
        fs::create_dir_all(&config_dir)
            .and_then(|()| fs::write(config_dir.join("default.toml"), ""))
            .map_err(CompareError::system("making a configuration for the schedulers"))?;
        command.arg("--config-dir").arg(config_dir);
        command.args(["--log-format", "text", "--log-level", &self.settings.log.level]);
        for (key, value) in keys {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        Ok(Process::start(program, command, &self.dir.join(name), &self.group)?)
    }

    /// How many rows each of the three input topics holds.
    pub(super) async fn rows(&self) -> Result<[u64; 3], CompareError> {
        let names = self.settings.topics.inputs().map(|topic| topic.name.as_str());
        let found = kafka::topics::describe(&self.settings.kafka, &names).await?;
        Ok(names.map(|name| {
            let topic = found.iter().find(|topic| topic.name == name);
            let partitions = topic.map_or(&[][..], |topic| &topic.partitions);
            // Nothing else writes there, and the API writes without transactions: each offset is a row.
            partitions.iter().map(|partition| (partition.high - partition.low) as u64).sum()
        }))
    }

    /// Both must still run.
    pub(super) fn ensure_running(&mut self) -> Result<(), ProcessError> {
        self.devstack.ensure_running()?;
        self.api.ensure_running()
    }

    /// Ends both.
    pub(super) async fn strike(mut self) -> Result<(), CompareError> {
        for process in [&mut self.api, &mut self.devstack] {
            process.terminate()?;
            process.wait(EXIT).await?;
        }
        Ok(())
    }

    async fn api_ready(&mut self) -> Result<(), CompareError> {
        let url = format!("{}/health/ready", self.api_url());
        let ready = async |scraper: &Scraper| scraper.is_ready(&url).await;
        wait_until(ready, &self.scraper, &mut self.api, self.shutdown).await
    }
}

fn api_command(
    settings: &Settings,
    common: &CommonArgs,
    address: SocketAddr,
) -> Result<Command, ProcessError> {
    let mut command = Command::new(binary(API)?);
    let keys = [
        ("producer.listen", address.to_string()),
        // Rows are counted by offsets, of which transactions take some, too.
        ("producer.atomic", false.to_string()),
    ];
    environment::inherit(&mut command, settings, common, &keys);
    Ok(command)
}

/// Takes from what a program will see of these variables all that would configure it.
fn forget_configuration(command: &mut Command, names: impl Iterator<Item = OsString>) {
    for name in names {
        // A name counts in any case.
        if name.to_string_lossy().to_lowercase().starts_with(PREFIX) {
            command.env_remove(name);
        }
    }
}

/// Waits until `ready` has something, as long as `process` runs.
async fn wait_until<T>(
    ready: impl AsyncFn(&Scraper) -> Result<T, String>,
    scraper: &Scraper,
    process: &mut Process,
    shutdown: &Shutdown,
) -> Result<T, CompareError> {
    let end = Instant::now() + READY;
    loop {
        let why = match ready(scraper).await {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        process.ensure_running()?;
        if Instant::now() > end {
            return Err(process.stuck(format!("is not ready ({why})"), READY).into());
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            () = shutdown.wait() => return Err(CompareError::Interrupted),
        }
    }
}
