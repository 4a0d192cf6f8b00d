//! The settings of the joiner.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use avro_schemas::RegistryConfig;
use join::Duplicates;
use kafka::KafkaConfig;
use models::topics::{CHANGELOG_TOPIC, DEFAULT_REPLICAS, JOINER_GROUP, REPARTITION_TOPIC, Topics};
use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, ShutdownConfig};

/// The configuration of the joiner.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JoinerConfig {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// What comes in and what goes out.
    pub topics: Topics,
    /// The rules of the join, and how the service applies them.
    pub joiner: JoinerSection,
    /// The log.
    pub log: LogConfig,
    /// How long stopping may take.
    pub shutdown: ShutdownConfig,
}

/// Section `[joiner]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JoinerSection {
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// How far apart the timestamps of the three rows of one trip may be.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How far rows of one partition may be out of order.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// A partition that is read to its end and quiet for so long is idle: it no longer holds the watermark back.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// How far ahead of the wall clock a row may be before its timestamp is taken for wrong.
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    /// How far a partition may run ahead of the others before it is paused. The default is the window.
    #[serde(with = "humantime_serde")]
    pub max_skew: Option<Duration>,
    /// What happens to a second row of the same side of a trip: `drop` or `reject`.
    pub duplicates: Duplicates,
    /// How large the state of one task (one partition) may become, in bytes.
    pub max_state_bytes: usize,
    /// How long a transaction stays open. A joined row is visible after at most so long, and the time of the commit.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// How many rows a transaction may read before it is committed early.
    pub max_transaction_rows: usize,
    /// How long a partition with more to read may deliver nothing before the joiner starts over. It warns after a third
    /// of that.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// The consumer group.
    pub group_id: String,
    /// The prefix of the transactional ids. All joiners of a group must have the same one.
    pub transactional_id: String,
    /// The joiner's own name in the group, the same after a restart. A joiner with a name gets its partitions back at
    /// once when it restarts. Without one, each start is a new member.
    pub instance_id: Option<String>,
    /// The internal topic that rows are forwarded through to their home task.
    pub repartition_topic: String,
    /// The internal topic that the state is restored from.
    pub changelog_topic: String,
    /// Replication factor of the two internal topics when they are created. -1 means the broker's default.
    pub internal_replicas: i32,
}

impl Default for JoinerSection {
    fn default() -> Self {
        let rules = join::JoinConfig::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8002)),
            window: rules.window,
            grace: rules.grace,
            idle: rules.idle,
            max_future: rules.max_future,
            max_skew: None,
            duplicates: rules.duplicates,
            max_state_bytes: rules.max_state_bytes,
            commit_interval: Duration::from_millis(100),
            max_transaction_rows: 100_000,
            stall_timeout: Duration::from_secs(30),
            group_id: JOINER_GROUP.to_owned(),
            transactional_id: "tripstream-joiner".to_owned(),
            instance_id: None,
            repartition_topic: REPARTITION_TOPIC.to_owned(),
            changelog_topic: CHANGELOG_TOPIC.to_owned(),
            internal_replicas: DEFAULT_REPLICAS,
        }
    }
}

impl JoinerSection {
    /// The rules, as the join takes them.
    pub fn rules(&self) -> join::JoinConfig {
        join::JoinConfig {
            window: self.window,
            grace: self.grace,
            idle: self.idle,
            max_future: self.max_future,
            max_skew: self.max_skew.unwrap_or(self.window),
            duplicates: self.duplicates,
            max_state_bytes: self.max_state_bytes,
            changelog: true,
        }
    }

    /// The instance's name, if it has one. An empty one is none.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.instance_id.as_deref().map(str::trim).filter(|id| !id.is_empty())
    }
}

/// How long a transaction may be open before the broker aborts it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The same for a joiner without a name of its own. After a crash it has another transactional id, so it must wait
/// until its former transaction has timed out. A joiner with a name aborts it by itself.
const NAMELESS_TIMEOUT: Duration = Duration::from_secs(10);

impl JoinerConfig {
    /// `transaction.timeout.ms`.
    pub(crate) fn transaction_timeout(&self) -> Duration {
        let set = self.kafka.properties.get("transaction.timeout.ms");
        let set = set.and_then(|value| value.parse().ok()).map(Duration::from_millis);
        let default = if self.joiner.instance().is_some() { TIMEOUT } else { NAMELESS_TIMEOUT };
        set.unwrap_or(default)
    }
}

impl service::Settings for JoinerConfig {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn admin(&self) -> Option<SocketAddr> {
        Some(self.joiner.listen)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: String| ConfigError::Invalid { key: key.into(), reason };
        let JoinerSection { group_id, transactional_id, .. } = &self.joiner;
        self.joiner.rules().validate().map_err(|error| invalid("joiner", error.to_string()))?;
        self.kafka.client().map_err(|error| invalid("kafka", error.to_string()))?;
        let at_least_one_ms = self.joiner.commit_interval >= Duration::from_millis(1);
        let cases = [
            ("joiner.commit_interval", at_least_one_ms, "must be at least 1 ms"),
            (
                "joiner.max_transaction_rows",
                self.joiner.max_transaction_rows > 0,
                "must be positive",
            ),
            (
                "joiner.stall_timeout",
                self.joiner.stall_timeout >= Duration::from_secs(3),
                "must be at least 3 s",
            ),
            ("joiner.group_id", !group_id.is_empty(), "must not be empty"),
            ("joiner.transactional_id", !transactional_id.is_empty(), "must not be empty"),
        ];
        let timeout = self.transaction_timeout();
        if self.joiner.commit_interval > timeout / 2 {
            let reason = format!(
                "must be at most {:?}, half of what a transaction may take (transaction.timeout.ms: {} in \
                 [kafka.properties], else 60 s with joiner.instance_id and 10 s without)",
                timeout / 2,
                timeout.as_millis()
            );
            return Err(invalid("joiner.commit_interval", reason));
        }
        if let Some((key, _, reason)) = cases.iter().find(|(_, fine, _)| !fine) {
            return Err(invalid(key, (*reason).to_owned()));
        }
        let mut names = BTreeSet::new();
        let internal = [&self.joiner.repartition_topic, &self.joiner.changelog_topic];
        let others = self.topics.inputs().into_iter().chain(self.topics.outputs());
        for name in others.map(|topic| &topic.name).chain(internal) {
            if !names.insert(name) {
                let reason = format!("{name} is named twice; each stream needs a topic of its own");
                return Err(invalid("topics", reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use service::Settings;

    use super::*;

    #[test]
    fn the_defaults_are_valid_and_those_of_the_design() {
        let config = JoinerConfig::default();
        config.validate().expect("valid");
        let rules = config.joiner.rules();
        assert_eq!(rules.window, Duration::from_secs(600));
        assert_eq!(rules.max_skew, rules.window);
        assert_eq!(config.admin().expect("a port").to_string(), "127.0.0.1:8002");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let with = |change: fn(&mut JoinerConfig)| {
            let mut config = JoinerConfig::default();
            change(&mut config);
            config.validate().expect_err("invalid").to_string()
        };
        let cases: [(String, &str); 5] = [
            (with(|c| c.joiner.commit_interval = Duration::from_secs(6)), "at most 5s"),
            (with(|c| c.joiner.window = Duration::ZERO), "window"),
            (with(|c| c.joiner.commit_interval = Duration::ZERO), "commit_interval"),
            (with(|c| c.joiner.changelog_topic = c.topics.trips.name.clone()), "hw.fake.trips"),
            (with(|c| c.kafka.security_protocol = "TLS".to_owned()), "security_protocol"),
        ];
        for (error, named) in cases {
            assert!(error.contains(named), "{error}");
        }
    }
}
