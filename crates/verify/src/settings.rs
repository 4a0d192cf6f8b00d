//! The settings of the tool.

use std::collections::BTreeMap;
use std::time::Duration;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use models::topics::{CHANGELOG_TOPIC, JOINER_GROUP, REPARTITION_TOPIC, Topic, Topics};
use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, ShutdownConfig};

/// All that the tool reads from the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// What the joiner reads and writes.
    pub topics: Topics,
    /// Section `[joiner]` as it stands. The joiner knows what may be in there; see [`Settings::joiner`].
    pub joiner: BTreeMap<String, serde_json::Value>,
    /// Section `[producer]` as it stands, for an API that is started.
    pub producer: BTreeMap<String, serde_json::Value>,
    /// Section `[client]` as it stands, for schedulers that are started.
    pub client: BTreeMap<String, serde_json::Value>,
    /// Section `[scheduler_cron]` as it stands.
    pub scheduler_cron: BTreeMap<String, serde_json::Value>,
    /// Section `[scheduler_loop]` as it stands.
    pub scheduler_loop: BTreeMap<String, serde_json::Value>,
    /// The log.
    pub log: LogConfig,
    /// How long stopping may take.
    pub shutdown: ShutdownConfig,
}

/// What must be known of the joiner to check its work. The defaults are the joiner's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JoinerView {
    /// How far apart the rows of one trip may be.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Its consumer group.
    pub group_id: String,
    /// Its internal topic for forwarded rows.
    pub repartition_topic: String,
    /// Its internal topic for its state.
    pub changelog_topic: String,
}

impl Default for JoinerView {
    fn default() -> Self {
        Self {
            window: join::JoinConfig::default().window,
            group_id: JOINER_GROUP.to_owned(),
            repartition_topic: REPARTITION_TOPIC.to_owned(),
            changelog_topic: CHANGELOG_TOPIC.to_owned(),
        }
    }
}

impl Settings {
    /// The part of section `[joiner]` that matters here.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if a value in there has the wrong form.
    pub fn joiner(&self) -> Result<JoinerView, ConfigError> {
        let section = self.joiner.clone().into_iter().collect();
        serde_json::from_value(serde_json::Value::Object(section)).map_err(|error| {
            ConfigError::Invalid { key: "joiner".to_owned(), reason: error.to_string() }
        })
    }

    /// The six topics of the pipeline: the inputs, then the outputs.
    pub fn pipeline(&self) -> Vec<&Topic> {
        self.topics.inputs().into_iter().chain(self.topics.outputs()).collect()
    }
}

impl service::Settings for Settings {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.joiner().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joiner_s_section_is_read_as_far_as_it_matters() {
        let read = |json: &str| serde_json::from_str::<Settings>(json).expect("settings").joiner();
        assert_eq!(read("{}").expect("defaults"), JoinerView::default());
        let view = read(r#"{"joiner": {"window": "90s", "grace": "1s", "group_id": "g"}}"#);
        let expected = JoinerView {
            window: Duration::from_secs(90),
            group_id: "g".to_owned(),
            ..JoinerView::default()
        };
        assert_eq!(view.expect("valid"), expected);
        let error = read(r#"{"joiner": {"window": "ninety"}}"#).expect_err("no duration");
        assert!(error.to_string().contains("joiner"), "{error}");
    }
}
