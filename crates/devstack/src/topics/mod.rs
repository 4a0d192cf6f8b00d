//! The topics: names, ids, partitions, configuration.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::storage::{Change, LogId, Table};

pub(crate) mod config;

use config::{Effective, Overrides};

/// The entry of [`Table::Meta`] that holds the next log id.
const NEXT_LOG_ID: &str = "next_log_id";
/// The longest name (`Topic.MAX_NAME_LENGTH`).
const LONGEST_NAME: usize = 249;
/// The largest number of partitions of a topic. More are a mistake.
const MOST_PARTITIONS: i32 = 10_000;
/// The largest number of partitions of all topics. Each takes memory, and some answers list all of them.
const MOST_PARTITIONS_OF_ALL: usize = 20_000;
const LAST_LOG_ID: LogId = (1 << 22) - 1;

/// One topic.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    /// Its logs, by partition.
    pub(crate) logs: Vec<LogId>,
    pub(crate) overrides: Overrides,
    /// The parsed configuration: `overrides` and defaults.
    pub(crate) config: Effective,
}

/// A topic, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredTopic {
    id: Uuid,
    logs: Vec<LogId>,
    config: Overrides,
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
    /// Names by their form in metrics, where '.' and '_' are the same.
    by_metric: HashMap<String, String>,
    next_log: LogId,
    /// The number of partitions of all topics.
    partitions: usize,
}

/// Why a topic can't be created or changed: the code for the client, and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRefusal {
    pub(crate) code: ResponseError,
    pub(crate) text: String,
}

impl TopicRefusal {
    pub(crate) fn new(code: ResponseError, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl Topics {
    /// Loads the topics from the entries of [`Table::Topics`] and [`Table::Meta`].
    pub(crate) fn load(
        entries: Vec<(String, String)>,
        meta: &HashMap<String, String>,
    ) -> serde_json::Result<Self> {
        let next = meta.get(NEXT_LOG_ID).map(|json| serde_json::from_str(json)).transpose()?;
        let mut topics = Self { next_log: next.unwrap_or(0), ..Self::default() };
        for (name, json) in entries {
            let StoredTopic { id, logs, config: overrides } = serde_json::from_str(&json)?;
            let config = Effective::of(&overrides);
            topics.names.insert(id, name.clone());
            topics.by_metric.insert(metric(&name), name.clone());
            topics.partitions += logs.len();
            topics.by_name.insert(name, Topic { id, logs, overrides, config });
        }
        Ok(topics)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// The name of the topic with this id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The log of a partition.
    pub(crate) fn log(&self, name: &str, partition: i32) -> Option<LogId> {
        let logs = &self.by_name.get(name)?.logs;
        logs.get(usize::try_from(partition).ok()?).copied()
    }

    /// All topics, in the order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Topic)> {
        self.by_name.iter()
    }

    /// Checks whether a topic can be created.
    ///
    /// # Errors
    ///
    /// The name is invalid or in use, or the number of partitions or the configuration is invalid.
    pub(crate) fn check_new(
        &self,
        name: &str,
        partitions: i32,
        overrides: &Overrides,
    ) -> Result<(), TopicRefusal> {
        check_name(name)?;
        if self.by_name.contains_key(name) {
            let text = format!("Topic '{name}' already exists.");
            return Err(TopicRefusal::new(ResponseError::TopicAlreadyExists, text));
        }
        if let Some(other) = self.by_metric.get(&metric(name)) {
            let text = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(TopicRefusal::new(ResponseError::InvalidTopicException, text));
        }
        if partitions < 1 {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(TopicRefusal::new(ResponseError::InvalidPartitions, text));
        }
        self.check_room(partitions)?;
        check_overrides(overrides)
    }

    /// Creates a topic that [`check_new`](Self::check_new) has accepted, and returns it.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        overrides: Overrides,
        changes: &mut Vec<Change>,
    ) -> &Topic {
        let id = Uuid::new_v4();
        let logs = self.next_logs(partitions, changes);
        self.partitions += logs.len();
        let config = Effective::of(&overrides);
        self.names.insert(id, name.to_owned());
        self.by_metric.insert(metric(name), name.to_owned());
        self.by_name.insert(name.to_owned(), Topic { id, logs, overrides, config });
        self.store(name, changes);
        &self.by_name[name]
    }

    /// Adds partitions until there are `count`. Returns the new logs.
    ///
    /// # Errors
    ///
    /// There is no such topic, or it has at least `count` partitions already.
    pub(crate) fn grow(
        &mut self,
        name: &str,
        count: i32,
        dry_run: bool,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<LogId>, TopicRefusal> {
        let Some(topic) = self.by_name.get(name) else {
            let text = "This server does not host this topic-partition.";
            return Err(TopicRefusal::new(ResponseError::UnknownTopicOrPartition, text));
        };
        let current = topic.logs.len() as i32;
        if count <= current {
            let text = if count == current {
                format!("Topic already has {current} partition(s).")
            } else {
                format!(
                    "The topic {name} currently has {current} partition(s); {count} would not be an increase."
                )
            };
            return Err(TopicRefusal::new(ResponseError::InvalidPartitions, text));
        }
        self.check_room(count - current)?;
        if dry_run {
            return Ok(Vec::new());
        }
        let new = self.next_logs(count - current, changes);
        self.partitions += new.len();
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.logs.extend(&new);
        }
        self.store(name, changes);
        Ok(new)
    }

    /// Sets the overrides of a topic.
    ///
    /// # Errors
    ///
    /// There is no such topic, or the configuration is invalid.
    pub(crate) fn configure(
        &mut self,
        name: &str,
        overrides: Overrides,
        dry_run: bool,
        changes: &mut Vec<Change>,
    ) -> Result<(), TopicRefusal> {
        let Some(topic) = self.by_name.get_mut(name) else {
            let text = format!("The topic '{name}' does not exist.");
            return Err(TopicRefusal::new(ResponseError::UnknownTopicOrPartition, text));
        };
        check_overrides(&overrides)?;
        if !dry_run {
            topic.config = Effective::of(&overrides);
            topic.overrides = overrides;
            self.store(name, changes);
        }
        Ok(())
    }

    /// Deletes a topic. Returns its logs, which the caller must delete, too.
    pub(crate) fn delete(&mut self, name: &str, changes: &mut Vec<Change>) -> Option<Vec<LogId>> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.id);
        self.by_metric.remove(&metric(name));
        self.partitions -= topic.logs.len();
        changes.push(Change::delete(Table::Topics, name));
        Some(topic.logs)
    }

    fn check_room(&self, partitions: i32) -> Result<(), TopicRefusal> {
        if partitions > MOST_PARTITIONS
            || self.partitions + partitions as usize > MOST_PARTITIONS_OF_ALL
            || self.next_log > LAST_LOG_ID - partitions as u32
        {
            let text = format!(
                "The dev stack has no room for {partitions} more partitions: a topic may have {MOST_PARTITIONS}, all \
                 of them together {MOST_PARTITIONS_OF_ALL}."
            );
            return Err(TopicRefusal::new(ResponseError::InvalidPartitions, text));
        }
        Ok(())
    }

    fn next_logs(&mut self, count: i32, changes: &mut Vec<Change>) -> Vec<LogId> {
        let first = self.next_log;
        self.next_log += count as LogId;
        changes.push(Change::put(Table::Meta, NEXT_LOG_ID, &self.next_log));
        (first..self.next_log).collect()
    }

    fn store(&self, name: &str, changes: &mut Vec<Change>) {
        let Topic { id, logs, overrides, .. } = &self.by_name[name];
        let entry = StoredTopic { id: *id, logs: logs.clone(), config: overrides.clone() };
        changes.push(Change::put(Table::Topics, name, &entry));
    }
}

/// Checks the name of a topic (`Topic.validate`).
///
/// # Errors
///
/// The name is invalid, with Kafka's text.
pub(crate) fn check_name(name: &str) -> Result<(), TopicRefusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        "'.' or '..' is not allowed".to_owned()
    } else if name.len() > LONGEST_NAME {
        format!("the length of '{name}' is longer than the max allowed length {LONGEST_NAME}")
    } else if !name.chars().all(legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return Ok(());
    };
    let text = format!("Topic name is invalid: {reason}");
    Err(TopicRefusal::new(ResponseError::InvalidTopicException, text))
}

fn metric(name: &str) -> String {
    name.replace('.', "_")
}

fn check_overrides(overrides: &Overrides) -> Result<(), TopicRefusal> {
    for (name, value) in overrides {
        config::check(name, value)
            .map_err(|text| TopicRefusal::new(ResponseError::InvalidConfig, text))?;
    }
    Ok(())
}
