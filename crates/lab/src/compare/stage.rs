//! What the schedulers run against: a dev stack and the API, as processes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fleet::{Configuration, Fleet, Process, ProcessError, Program};
use service::Shutdown;
use verify::settings::Settings;

use super::CompareError;

/// How long a program may take to end.
const EXIT: Duration = Duration::from_secs(15);

/// A dev stack and an API that is ready. Nothing of it runs any more once it is dropped.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    settings: Settings,
    shutdown: &'a Shutdown,
    api_address: SocketAddr,
    /// How often the API was started.
    starts: u32,
    api: Process,
    devstack: Process,
    fleet: &'a Fleet,
}

impl<'a> Stage<'a> {
    /// Starts both and waits until the API is ready.
    pub(super) async fn set(
        base: &Settings,
        fleet: &'a Fleet,
        shutdown: &'a Shutdown,
    ) -> Result<Self, CompareError> {
        let mut devstack = fleet.start_devstack()?;
        let mut settings = base.clone();
        devstack.devstack_addresses(shutdown).await?.settle(&mut settings);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut api = start_api(fleet, &settings, any, 1)?;
        let api_address = api.ready(&mut [&mut devstack], shutdown).await?;
        Ok(Self { settings, shutdown, api_address, starts: 1, api, devstack, fleet })
    }

    /// Where everything is that the programs write.
    pub(super) fn dir(&self) -> &Path {
        self.fleet.dir()
    }

    /// Where the API is.
    pub(super) fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Stops the API, waits until it has ended, starts it again in the same place and waits until it is ready.
    pub(super) async fn restart_api(&mut self) -> Result<(), CompareError> {
        self.api.stop(EXIT).await?;
        self.starts += 1;
        self.api = start_api(self.fleet, &self.settings, self.api_address, self.starts)?;
        self.api.ready(&mut [&mut self.devstack], self.shutdown).await?;
        Ok(())
    }

    /// Starts a scheduler that is told these keys and nothing else but how to log: what the user has configured for the
    /// schedulers is not to tell in the comparison.
    pub(super) fn start_scheduler(
        &self,
        program: Program,
        keys: &[(String, String)],
        name: &str,
    ) -> Result<Process, CompareError> {
        let mut configuration = Configuration::new();
        configuration.set("log.level", self.settings.log.level.as_str());
        for (key, value) in keys {
            configuration.set(key, value.as_str());
        }
        Ok(self.fleet.start(program, name, &configuration)?)
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
        self.api.stop(EXIT).await?;
        Ok(self.devstack.stop(EXIT).await?)
    }
}

fn start_api(
    fleet: &Fleet,
    settings: &Settings,
    address: SocketAddr,
    number: u32,
) -> Result<Process, ProcessError> {
    let mut configuration = Configuration::of(settings);
    configuration.set("producer.listen", address.to_string());
    // Rows are counted by offsets, of which transactions take some, too.
    configuration.set("producer.atomic", false);
    let program = Program::ProducerApi;
    fleet.start(program, &format!("{}-{number}", program.name()), &configuration)
}
