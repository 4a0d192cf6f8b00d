//! A dev stack as a child process, on free ports.

use std::ffi::OsString;
use std::path::Path;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use serde::Deserialize;
use verify::settings::Settings;

/// Where a dev stack listens, as it writes it into its ports file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Addresses {
    /// `host:port` of the broker.
    pub kafka: String,
    /// Base URL of the registry.
    pub registry: String,
}

impl Addresses {
    /// Lets `settings` use this dev stack, and nothing of what they said of their Kafka, credentials least of all.
    pub fn settle(&self, settings: &mut Settings) {
        settings.kafka =
            KafkaConfig { bootstrap_servers: self.kafka.clone(), ..KafkaConfig::default() };
        settings.registry =
            RegistryConfig { url: self.registry.clone(), ..RegistryConfig::default() };
    }
}

/// The arguments of one with its data in `dir`.
pub(crate) fn arguments(dir: &Path) -> Vec<OsString> {
    let data = dir.join("data").into_os_string();
    let fixed = ["--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0", "--data-dir"];
    fixed.into_iter().map(OsString::from).chain([data]).collect()
}
