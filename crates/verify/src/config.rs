//! What a verdict is asked of.

use std::time::Duration;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use models::topics::Topics;

use crate::rules::Rules;
use crate::settings::{JoinerView, Settings};

/// What is checked, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The registry.
    pub registry: RegistryConfig,
    /// The topics.
    pub topics: Topics,
    /// The joiner.
    pub joiner: JoinerView,
    /// How long to wait for the joiner; none to judge at once.
    pub wait: Option<Duration>,
}

impl Config {
    /// What the settings say.
    ///
    /// # Errors
    ///
    /// If section `[joiner]` has a value of the wrong form.
    pub fn new(settings: &Settings) -> Result<Self, service::ConfigError> {
        Ok(Self {
            kafka: settings.kafka.clone(),
            registry: settings.registry.clone(),
            topics: settings.topics.clone(),
            joiner: settings.joiner()?,
            wait: None,
        })
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            window: self.joiner.window,
            inputs: self.topics.inputs().map(|topic| topic.name.clone()),
            outputs: self.topics.outputs().map(|topic| topic.name.clone()),
        }
    }
}
