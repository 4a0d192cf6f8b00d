//! Which Kafka and registry the tests run on.

use std::path::{Path, PathBuf};
use std::process::Command;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;

/// The addresses of a Kafka and a registry.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `host:port` of the broker.
    pub bootstrap: String,
    /// Base URL of the registry's Confluent API.
    pub registry: String,
}

impl Stack {
    /// The one that `make test` started and named in the environment, else the one of `make kafka-up`.
    pub fn shared() -> Self {
        let or = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        Self {
            bootstrap: or("TRIPSTREAM_TEST_BOOTSTRAP", "localhost:9092"),
            registry: or("TRIPSTREAM_TEST_REGISTRY", "http://localhost:8081/apis/ccompat/v7"),
        }
    }

    /// Section `[kafka]` for this stack.
    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig { bootstrap_servers: self.bootstrap.clone(), ..KafkaConfig::default() }
    }

    /// Section `[registry]` for this stack.
    pub fn registry(&self) -> RegistryConfig {
        RegistryConfig { url: self.registry.clone(), ..RegistryConfig::default() }
    }
}

/// A Kafka and a registry of the test's own, whose parts it may stop. Gone when dropped.
#[derive(Debug)]
pub struct OwnStack {
    /// Its addresses.
    pub stack: Stack,
    variables: Vec<(&'static str, String)>,
    data: tempfile::TempDir,
}

/// A part of an [`OwnStack`].
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// The broker.
    Kafka,
    /// The schema registry.
    Registry,
}

impl OwnStack {
    /// Starts both; returns when they answer.
    ///
    /// # Panics
    ///
    /// If they don't start, with the script's own words.
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let [kafka, controller, registry] = free_ports();
        let own = Self {
            stack: Stack {
                bootstrap: format!("127.0.0.1:{kafka}"),
                registry: format!("http://127.0.0.1:{registry}/apis/ccompat/v7"),
            },
            variables: vec![
                ("KAFKA_PORT", kafka.to_string()),
                ("KAFKA_CONTROLLER_PORT", controller.to_string()),
                ("REGISTRY_PORT", registry.to_string()),
                ("KAFKA_DATA_DIR", data.path().display().to_string()),
            ],
            data,
        };
        own.script("up");
        own
    }

    /// Stops one part; returns when it is gone.
    pub fn stop(&self, part: Part) {
        self.script(match part {
            Part::Kafka => "stop-kafka",
            Part::Registry => "stop-registry",
        });
    }

    /// Starts one part again, on the same port with the same data; returns when it answers.
    pub fn restart(&self, part: Part) {
        self.script(match part {
            Part::Kafka => "start-kafka",
            Part::Registry => "start-registry",
        });
    }

    fn script(&self, command: &str) {
        let output = self.command(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka-jvm {command}: {said}");
    }

    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(workspace().join("deploy/kafka-jvm"));
        script.arg(command).envs(self.variables.iter().map(|(name, value)| (name, value)));
        script
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        // A failure here must not hide the test's own; the data directory goes either way.
        let _ = self.command("down").output();
        let _ = self.data.path();
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Ports that nobody listened on a moment ago, all different.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
