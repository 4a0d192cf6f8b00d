//! What a run works with: topics, a group and internal topics that nobody else has.

use std::time::Duration;

use models::topics::Topic;
use serde::Deserialize;
use serde_json::Value as Json;
use service::ConfigError;

use super::Keys;
use verify::settings::{JoinerView, Settings};

/// The names of one run, and how much it does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What all names of the run begin with.
    pub(super) prefix: String,
    /// How many trips are loaded.
    pub(super) trips: u64,
    /// How they lie there.
    pub(super) backlog: Backlog,
    /// The tool's settings, but with the run's topics, group and internal topics.
    pub(super) settings: Settings,
    /// What the pass-through writes.
    pub(super) limit_output: Topic,
    /// How long a transaction stays open: the joiner's setting, for both.
    pub(super) commit_interval: Duration,
    joiner: JoinerView,
}

/// How the rows lie in the inputs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backlog {
    /// How much event time they are spread over.
    pub(super) spread: Duration,
    /// By what they are keyed.
    pub(super) keys: Keys,
}

/// When rows pass through: before they are joined, and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Before,
    After,
}

/// The one rule of the joiner that the pass-through shares.
#[derive(Deserialize)]
#[serde(default)]
struct Interval {
    #[serde(with = "humantime_serde")]
    commit_interval: Duration,
}

impl Default for Interval {
    fn default() -> Self {
        Self { commit_interval: Duration::from_millis(100) }
    }
}

impl Plan {
    /// A plan whose names begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if section `[joiner]` can't be read.
    pub(super) fn new(base: &Settings, prefix: String, trips: u64) -> Result<Self, ConfigError> {
        let mut settings = base.clone();
        let topics = &mut settings.topics;
        let named = [
            (&mut topics.trips, "trips"),
            (&mut topics.drivers, "drivers"),
            (&mut topics.riders, "riders"),
            (&mut topics.joined_streams, "joined"),
            (&mut topics.unmatched, "unmatched"),
            (&mut topics.rejects, "rejects"),
        ];
        for (topic, name) in named {
            topic.name = format!("{prefix}.{name}");
        }
        let output = &settings.topics.joined_streams;
        let limit_output = Topic { name: format!("{prefix}.limit"), ..output.clone() };
        let own = [
            ("group_id", prefix.clone()),
            ("transactional_id", prefix.clone()),
            ("repartition_topic", format!("{prefix}.repartition")),
            ("changelog_topic", format!("{prefix}.changelog")),
        ];
        for (key, value) in own {
            settings.joiner.insert(key.to_owned(), Json::String(value));
        }
        let joiner = settings.joiner()?;
        let section = Json::Object(settings.joiner.clone().into_iter().collect());
        let Interval { commit_interval } =
            serde_json::from_value(section).map_err(|error| ConfigError::Invalid {
                key: "joiner.commit_interval".to_owned(),
                reason: error.to_string(),
            })?;
        let backlog = Backlog::default();
        Ok(Self { prefix, trips, backlog, settings, limit_output, commit_interval, joiner })
    }

    /// All topics of the run, those that the joiner creates included.
    pub(super) fn all_topics(&self) -> Vec<&str> {
        let pipeline = self.settings.pipeline().into_iter().map(|topic| topic.name.as_str());
        let JoinerView { repartition_topic, changelog_topic, .. } = &self.joiner;
        pipeline
            .chain([self.limit_output.name.as_str(), repartition_topic, changelog_topic])
            .collect()
    }

    /// The consumer groups of the run: the joiner's, the pass-through's and that of the joined rows' reader.
    pub(super) fn groups(&self) -> [String; 4] {
        let [before, after] = [Round::Before, Round::After].map(|round| self.limit_group(round));
        [self.joiner.group_id.clone(), before, after, self.reader_group()]
    }

    /// The consumer group of who waits for joined rows.
    pub(super) fn reader_group(&self) -> String {
        format!("{}-reader", self.prefix)
    }

    /// The pass-through's consumer group and transactional id. It reads everything each time.
    pub(super) fn limit_group(&self, round: Round) -> String {
        let round = match round {
            Round::Before => "before",
            Round::After => "after",
        };
        format!("{}-limit-{round}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_a_run_touches_is_its_own() {
        let base = Settings::default();
        let plan = Plan::new(&base, "bench-1".to_owned(), 10).expect("valid");
        let topics = plan.all_topics();
        assert_eq!(topics.len(), 9);
        assert_eq!(topics.iter().collect::<BTreeSet<_>>().len(), 9, "{topics:?}");
        assert!(topics.iter().all(|name| name.starts_with("bench-1.")), "{topics:?}");
        let others =
            ["limit-before", "limit-after", "reader"].map(|name| format!("bench-1-{name}"));
        assert_eq!(plan.groups()[0], "bench-1");
        assert_eq!(plan.groups()[1..], others);
        assert_eq!(plan.settings.joiner["transactional_id"], "bench-1");
        assert_eq!(plan.commit_interval, Duration::from_millis(100));
    }

    #[test]
    fn partitions_and_the_rules_of_the_join_are_as_configured() {
        let mut base = Settings::default();
        base.topics.trips.partitions = 7;
        base.joiner.insert("commit_interval".to_owned(), "10ms".into());
        let plan = Plan::new(&base, "bench-2".to_owned(), 10).expect("valid");
        assert_eq!(plan.settings.topics.trips.partitions, 7);
        assert_eq!(plan.commit_interval, Duration::from_millis(10));
        base.joiner.insert("commit_interval".to_owned(), "soon".into());
        assert!(Plan::new(&base, "bench-2".to_owned(), 10).is_err());
    }
}
