//! The topics of the pipeline and their configuration section, `[topics]`.

use serde::{Deserialize, Serialize};

use crate::Side;

/// A topic: what it is called and what it is created with when absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The topic's name.
    pub name: String,
    /// Number of partitions to create it with. At least 1.
    #[serde(default = "default_partitions")]
    pub partitions: i32,
    /// Replication factor to create it with; -1 leaves it to the broker.
    #[serde(default = "default_replicas")]
    pub replicas: i32,
}

/// Partitions of a topic that nothing else is said of.
pub const DEFAULT_PARTITIONS: i32 = 3;
/// Replication factor of a topic that nothing else is said of: the broker's own default.
pub const DEFAULT_REPLICAS: i32 = -1;

/// The joiner's consumer group, unless it is told another.
pub const JOINER_GROUP: &str = "tripstream-joiner";
/// The joiner's internal topic for rows on their way to their home partition, unless it is told another.
pub const REPARTITION_TOPIC: &str = "tripstream-joiner-repartition";
/// The joiner's internal topic that its state is restored from, unless it is told another.
pub const CHANGELOG_TOPIC: &str = "tripstream-joiner-changelog";

const fn default_partitions() -> i32 {
    DEFAULT_PARTITIONS
}

const fn default_replicas() -> i32 {
    DEFAULT_REPLICAS
}

impl Topic {
    /// A topic with the default number of partitions and replicas.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: DEFAULT_PARTITIONS, replicas: DEFAULT_REPLICAS }
    }

    /// The subject of the topic's values in the schema registry (Confluent's TopicNameStrategy).
    pub fn value_subject(&self) -> String {
        format!("{}-value", self.name)
    }
}

/// The topics of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topics {
    /// Trips.
    pub trips: Topic,
    /// Driver earnings.
    pub drivers: Topic,
    /// Riders.
    pub riders: Topic,
    /// The joined rows.
    pub joined_streams: Topic,
    /// Trips that were not complete when their window closed.
    pub unmatched: Topic,
    /// Rows that could not take part in the join, as they came.
    pub rejects: Topic,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            trips: Topic::new("hw.fake.trips"),
            drivers: Topic::new("hw.fake.drivers"),
            riders: Topic::new("hw.fake.riders"),
            joined_streams: Topic::new("hw.fake.joinedstreams"),
            unmatched: Topic::new("hw.fake.unmatched"),
            rejects: Topic::new("hw.fake.rejects"),
        }
    }
}

impl Topics {
    /// The topic that carries `side`.
    pub const fn input(&self, side: Side) -> &Topic {
        match side {
            Side::Trip => &self.trips,
            Side::Driver => &self.drivers,
            Side::Rider => &self.riders,
        }
    }

    /// The three inputs of the join, in the order of [`Side::ALL`].
    pub fn inputs(&self) -> [&Topic; 3] {
        Side::ALL.map(|side| self.input(side))
    }

    /// The three outputs of the join: joined, unmatched, rejects.
    pub const fn outputs(&self) -> [&Topic; 3] {
        [&self.joined_streams, &self.unmatched, &self.rejects]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_are_those_of_the_contract() {
        let topics = Topics::default();
        let names = topics.inputs().map(|topic| topic.name.as_str());
        assert_eq!(names, ["hw.fake.trips", "hw.fake.drivers", "hw.fake.riders"]);
        let names = topics.outputs().map(|topic| topic.name.as_str());
        assert_eq!(names, ["hw.fake.joinedstreams", "hw.fake.unmatched", "hw.fake.rejects"]);
        assert_eq!(topics.trips.value_subject(), "hw.fake.trips-value");
    }
}
