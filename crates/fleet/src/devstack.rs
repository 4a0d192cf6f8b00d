//! A dev stack as a child process, on free ports, with its data in a directory of the caller's.

use std::path::{Path, PathBuf};
use std::process::Command;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use serde::Deserialize;

use super::{ProcessError, binary};
use verify::settings::Settings;

/// The name of the program.
pub const PROGRAM: &str = "devstack";

/// Where a dev stack listens, as it writes it into its ports file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Addresses {
    /// `host:port` of the broker.
    pub kafka: String,
    /// Base URL of the registry.
    pub registry: String,
}

impl Addresses {
    /// Those of the dev stack with its data in `dir`; none as long as it has not told them all.
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(ports_file(dir)).ok()?).ok()
    }

    /// Lets `settings` use this dev stack, and nothing of what they said of their Kafka, credentials least of all.
    pub fn settle(&self, settings: &mut Settings) {
        settings.kafka =
            KafkaConfig { bootstrap_servers: self.kafka.clone(), ..KafkaConfig::default() };
        settings.registry =
            RegistryConfig { url: self.registry.clone(), ..RegistryConfig::default() };
    }
}

/// The command that starts one with its data in `dir`.
///
/// # Errors
///
/// [`ProcessError::NotBuilt`].
pub fn command(dir: &Path) -> Result<Command, ProcessError> {
    let mut command = Command::new(binary(PROGRAM)?);
    command.arg("--data-dir").arg(dir.join("devstack"));
    command.args(["--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0"]);
    command.arg("--ports-file").arg(ports_file(dir)).args(["--log-format", "text"]);
    Ok(command)
}

fn ports_file(dir: &Path) -> PathBuf {
    dir.join("devstack.json")
}
