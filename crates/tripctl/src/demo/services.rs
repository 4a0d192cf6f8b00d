//! The running services, and what they are told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet::devstack::Addresses;
use fleet::{Configuration, Fleet, Process, ProcessError, Program};
use service::Shutdown;
use verify::settings::Settings;

/// Those who ask for trips.
pub(super) const SCHEDULERS: [Program; 2] = [Program::SchedulerLoop, Program::SchedulerCron];

/// The rules of the join on a dev stack. All trips of a demo are complete, and the rows of one are written together; if
/// one does stay incomplete, that should show within seconds, not after the ten minutes of the default.
const RULES: [(&str, &str); 3] = [("window", "10s"), ("grace", "1s"), ("idle", "1s")];

/// How long a service may take to end when it has finished its work.
const EXIT: Duration = Duration::from_secs(15);
/// How long it may take when something has gone wrong already.
const HURRIED_EXIT: Duration = Duration::from_secs(3);

/// All services of a demo. None of them outlives it.
#[derive(Debug)]
pub(super) struct Services {
    members: Vec<Member>,
    fleet: Fleet,
}

#[derive(Debug)]
struct Member {
    program: Program,
    process: Process,
    /// Where it listens, once it has said so.
    address: Option<SocketAddr>,
}

impl Services {
    /// Nobody yet.
    pub(super) fn new() -> Result<Self, ProcessError> {
        Ok(Self { members: Vec::new(), fleet: Fleet::new("tripstream-demo-")? })
    }

    /// Where the logs are.
    pub(super) fn dir(&self) -> &Path {
        self.fleet.dir()
    }

    /// Ends all that still run and leaves the logs.
    pub(super) fn keep_logs(self) -> PathBuf {
        drop(self.members);
        self.fleet.keep()
    }

    /// Starts a dev stack and lets `settings` use it, with the rules of a demo.
    pub(super) async fn start_devstack(
        &mut self,
        settings: &mut Settings,
        shutdown: &Shutdown,
    ) -> Result<(), ProcessError> {
        let mut process = self.fleet.start_devstack()?;
        let addresses = process.devstack_addresses(shutdown).await?;
        self.members.push(Member { program: Program::Devstack, process, address: None });
        settle_on(settings, &addresses);
        Ok(())
    }

    /// Starts the API, the joiner and, once these are ready, the schedulers.
    pub(super) async fn start_all(
        &mut self,
        settings: &Settings,
        shutdown: &Shutdown,
    ) -> Result<(), ProcessError> {
        for program in [Program::ProducerApi, Program::Joiner] {
            self.start(program, &configuration(settings, program))?;
        }
        for program in [Program::ProducerApi, Program::Joiner] {
            let (process, mut beside) = self.pick(program);
            let address = process.ready(&mut beside, shutdown).await?;
            self.listens(program, address);
        }
        let api = self.url(Program::ProducerApi, "").expect("it is ready");
        for program in SCHEDULERS {
            let mut configuration = configuration(settings, program);
            let report = self.report_file(program).display().to_string();
            configuration.set("client.url", api.as_str()).set(&program.key("report"), report);
            self.start(program, &configuration)?;
        }
        for program in SCHEDULERS {
            let (process, mut beside) = self.pick(program);
            let address = process.listening(&mut beside, shutdown).await?;
            self.listens(program, address);
        }
        Ok(())
    }

    fn start(
        &mut self,
        program: Program,
        configuration: &Configuration,
    ) -> Result<(), ProcessError> {
        let process = self.fleet.start(program, program.name(), configuration)?;
        self.members.push(Member { program, process, address: None });
        Ok(())
    }

    /// A member, and all others.
    fn pick(&mut self, program: Program) -> (&mut Process, Vec<&mut Process>) {
        let is_it = |member: &&mut Member| member.program == program;
        let (mut it, others): (Vec<_>, Vec<_>) = self.members.iter_mut().partition(is_it);
        let it = it.pop().expect("it was started");
        (&mut it.process, others.into_iter().map(|other| &mut other.process).collect())
    }

    fn listens(&mut self, program: Program, address: SocketAddr) {
        let member = self.members.iter_mut().find(|member| member.program == program);
        member.expect("it was started").address = Some(address);
    }

    /// The address of `path` at a service; none if it is not known where that listens.
    pub(super) fn url(&self, program: Program, path: &str) -> Option<String> {
        let member = self.members.iter().find(|member| member.program == program)?;
        Some(format!("http://{}{path}", member.address?))
    }

    /// Where a scheduler writes its report.
    pub(super) fn report_file(&self, program: Program) -> PathBuf {
        self.dir().join(format!("{}.json", program.name()))
    }

    /// The first that has ended by itself is an error.
    pub(super) fn ensure_running(&mut self) -> Result<(), ProcessError> {
        self.members.iter_mut().try_for_each(|member| member.process.ensure_running())
    }

    /// Asks these to end, at once, and waits until they have. Returns what was wrong with any of them.
    pub(super) async fn stop(&mut self, programs: &[Program]) -> Vec<ProcessError> {
        self.stop_within(programs, EXIT).await
    }

    /// Stops all that still run, in the order in which no one misses another, without a word about how they end.
    pub(super) async fn abandon(&mut self) {
        let order: [&[Program]; 4] =
            [&SCHEDULERS, &[Program::ProducerApi], &[Program::Joiner], &[Program::Devstack]];
        for programs in order {
            self.stop_within(programs, HURRIED_EXIT).await;
        }
    }

    async fn stop_within(&mut self, programs: &[Program], limit: Duration) -> Vec<ProcessError> {
        let mut faults = Vec::new();
        let mut ending = Vec::new();
        for mut member in self.members.extract_if(.., |member| programs.contains(&member.program)) {
            match member.process.terminate() {
                Ok(()) => ending.push(member.process),
                Err(fault) => faults.push(fault),
            }
        }
        for process in &mut ending {
            faults.extend(process.wait(limit).await.err());
        }
        faults
    }
}

/// Uses the dev stack at these addresses, with the rules of a demo.
fn settle_on(settings: &mut Settings, stack: &Addresses) {
    stack.settle(settings);
    for (key, value) in RULES {
        settings.joiner.insert(key.to_owned(), value.into());
    }
}

/// What a service is told: all settings, and to take a free port.
fn configuration(settings: &Settings, program: Program) -> Configuration {
    let mut configuration = Configuration::of(settings);
    configuration.set(&program.key("listen"), "127.0.0.1:0");
    configuration
}

#[cfg(test)]
mod tests {
    use kafka::KafkaConfig;
    use models::secret::Secret;

    use super::*;

    #[test]
    fn nothing_of_another_kafka_goes_to_the_dev_stack() {
        let mut settings = Settings::default();
        settings.kafka.bootstrap_servers = "pkc-1.example:9092".to_owned();
        settings.kafka.security_protocol = "SASL_SSL".to_owned();
        settings.kafka.sasl_password = Some(Secret::new("hunter2"));
        settings.kafka.properties = [("ssl.ca.location", "ca.pem")].into_iter().collect();
        settings.registry.basic_auth = Some(Secret::new("key:hunter2"));
        settings.joiner.insert("window".to_owned(), "10m".into());
        let text = r#"{"kafka":"127.0.0.1:4","registry":"http://127.0.0.1:5/apis/ccompat/v7"}"#;
        settle_on(&mut settings, &serde_json::from_str(text).expect("addresses"));
        let expected =
            KafkaConfig { bootstrap_servers: "127.0.0.1:4".to_owned(), ..KafkaConfig::default() };
        assert_eq!(settings.kafka, expected);
        assert_eq!(settings.registry.url, "http://127.0.0.1:5/apis/ccompat/v7");
        assert!(settings.registry.basic_auth.is_none());
        assert_eq!(settings.joiner().expect("valid").window, Duration::from_secs(10));
    }
}
