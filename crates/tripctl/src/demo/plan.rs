//! What the services of one demo are told: where they listen, which Kafka they talk to, which rules hold.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use service::CommonArgs;

use super::DemoError;
use fleet::devstack::{self, Addresses};
use fleet::{ProcessError, binary, environment, free_addresses};
use verify::settings::Settings;

/// A program of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Devstack,
    ProducerApi,
    Joiner,
    SchedulerCron,
    SchedulerLoop,
}

impl Role {
    /// Those who ask for trips.
    pub(super) const SCHEDULERS: [Role; 2] = [Role::SchedulerLoop, Role::SchedulerCron];

    /// The name of the program.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Role::Devstack => devstack::PROGRAM,
            Role::ProducerApi => "producer-api",
            Role::Joiner => "joiner",
            Role::SchedulerCron => "scheduler-cron",
            Role::SchedulerLoop => "scheduler-loop",
        }
    }

    /// The section of the configuration that is its own.
    const fn section(self) -> &'static str {
        match self {
            Role::Devstack => "devstack",
            Role::ProducerApi => "producer",
            Role::Joiner => "joiner",
            Role::SchedulerCron => "scheduler_cron",
            Role::SchedulerLoop => "scheduler_loop",
        }
    }
}

/// The rules of the join on a dev stack. All trips of a demo are complete, and the rows of one are written together; if
/// one does stay incomplete, that should show within seconds, not after the ten minutes of the default.
const RULES: [(&str, &str); 3] = [("window", "10s"), ("grace", "1s"), ("idle", "1s")];

/// The settings, addresses and files of one demo.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The settings of the tool and of all services.
    pub(super) settings: Settings,
    common: &'a CommonArgs,
    dir: PathBuf,
    api: SocketAddr,
    joiner: SocketAddr,
    cron: SocketAddr,
    looped: SocketAddr,
}

impl<'a> Plan<'a> {
    /// A plan for the Kafka of `base`, with files in `dir`.
    pub(super) fn new(
        base: &Settings,
        common: &'a CommonArgs,
        dir: &Path,
    ) -> Result<Self, DemoError> {
        let [api, joiner, cron, looped] =
            free_addresses().map_err(DemoError::system("looking for free ports"))?;
        let (settings, dir) = (base.clone(), dir.to_owned());
        Ok(Self { settings, common, dir, api, joiner, cron, looped })
    }

    /// Uses the dev stack at these addresses, with the rules of a demo.
    pub(super) fn settle_on(&mut self, stack: &Addresses) {
        stack.settle(&mut self.settings);
        for (key, value) in RULES {
            self.settings.joiner.insert(key.to_owned(), value.into());
        }
    }

    /// The command that starts a service.
    pub(super) fn service(&self, role: Role) -> Result<Command, ProcessError> {
        let mut command = Command::new(binary(role.program())?);
        let keys = self.keys(role);
        let keys: Vec<(&str, String)> =
            keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        environment::inherit(&mut command, &self.settings, self.common, &keys);
        Ok(command)
    }

    fn keys(&self, role: Role) -> Vec<(String, String)> {
        let own = |key: &str| format!("{}.{key}", role.section());
        let mut keys = vec![(own("listen"), self.listen(role).to_string())];
        if Role::SCHEDULERS.contains(&role) {
            keys.push(("client.url".to_owned(), format!("http://{}", self.api)));
            keys.push((own("report"), self.report_file(role).display().to_string()));
        }
        keys
    }

    fn listen(&self, role: Role) -> SocketAddr {
        match role {
            Role::ProducerApi => self.api,
            Role::Joiner => self.joiner,
            Role::SchedulerCron => self.cron,
            Role::SchedulerLoop => self.looped,
            Role::Devstack => unreachable!("it chooses its own"),
        }
    }

    /// The address of `path` at a service.
    pub(super) fn url(&self, role: Role, path: &str) -> String {
        format!("http://{}{path}", self.listen(role))
    }

    /// Where a scheduler writes its report.
    pub(super) fn report_file(&self, role: Role) -> PathBuf {
        self.dir.join(format!("{}.json", role.program()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kafka::KafkaConfig;
    use models::secret::Secret;

    use super::*;

    #[test]
    fn nothing_of_another_kafka_goes_to_the_dev_stack() {
        let mut base = Settings::default();
        base.kafka.bootstrap_servers = "pkc-1.example:9092".to_owned();
        base.kafka.security_protocol = "SASL_SSL".to_owned();
        base.kafka.sasl_password = Some(Secret::new("hunter2"));
        base.kafka.properties = [("ssl.ca.location", "ca.pem")].into_iter().collect();
        base.registry.basic_auth = Some(Secret::new("key:hunter2"));
        base.joiner.insert("window".to_owned(), "10m".into());
        let common = CommonArgs::default();
        let mut plan = Plan::new(&base, &common, Path::new("demo")).expect("a plan");
        let text = r#"{"kafka":"127.0.0.1:4","registry":"http://127.0.0.1:5/apis/ccompat/v7"}"#;
        plan.settle_on(&serde_json::from_str(text).expect("addresses"));
        let Settings { kafka, registry, .. } = &plan.settings;
        let expected =
            KafkaConfig { bootstrap_servers: "127.0.0.1:4".to_owned(), ..KafkaConfig::default() };
        assert_eq!(*kafka, expected);
        assert_eq!(registry.url, "http://127.0.0.1:5/apis/ccompat/v7");
        assert!(registry.basic_auth.is_none());
        assert_eq!(plan.settings.joiner().expect("valid").window, Duration::from_secs(10));
    }

    #[test]
    fn each_service_is_told_its_address_and_the_schedulers_where_the_api_is() {
        let common = CommonArgs::default();
        let plan = Plan::new(&Settings::default(), &common, Path::new("demo")).expect("a plan");
        let keys = |role| plan.keys(role).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(Role::ProducerApi), ["producer.listen"]);
        assert_eq!(keys(Role::Joiner), ["joiner.listen"]);
        let loop_keys = ["scheduler_loop.listen", "client.url", "scheduler_loop.report"];
        assert_eq!(keys(Role::SchedulerLoop), loop_keys);
        assert_eq!(keys(Role::SchedulerCron)[0], "scheduler_cron.listen");
        let client_url = &plan.keys(Role::SchedulerCron)[1].1;
        assert_eq!(plan.url(Role::ProducerApi, "/metrics"), format!("{client_url}/metrics"));
    }
}
