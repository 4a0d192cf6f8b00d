//! What a run works with: topics that nobody else has.

use models::Side;
use models::topics::Topic;

use verify::settings::Settings;

/// The names of one run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What all names of the run begin with.
    pub(super) prefix: String,
    /// The tool's settings, but with the run's topics.
    pub(super) settings: Settings,
    /// What the raw limit is measured with, in the order of [`Side::ALL`].
    pub(super) limit: [Topic; 3],
}

impl Plan {
    /// A plan whose names begin with `prefix`.
    pub(super) fn new(base: &Settings, prefix: String) -> Self {
        let mut settings = base.clone();
        let topics = &mut settings.topics;
        for (topic, side) in
            [&mut topics.trips, &mut topics.drivers, &mut topics.riders].into_iter().zip(Side::ALL)
        {
            topic.name = format!("{prefix}.{side}");
        }
        let limit = settings.topics.inputs().map(|topic| Topic {
            name: topic.name.replace(&prefix, &format!("{prefix}.limit")),
            ..topic.clone()
        });
        Self { prefix, settings, limit }
    }

    /// All topics of the run: those of the API, then those of the limit.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.settings.topics.inputs().into_iter().chain(&self.limit)
    }

    /// Their names.
    pub(super) fn all_topics(&self) -> Vec<&str> {
        self.topics().map(|topic| topic.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_a_run_touches_is_its_own_and_has_the_configured_partitions() {
        let mut base = Settings::default();
        base.topics.drivers.partitions = 7;
        let plan = Plan::new(&base, "bench-1".to_owned());
        let mut names = plan.all_topics();
        assert!(names.iter().all(|name| name.starts_with("bench-1.")), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 6, "{names:?}");
        let partitions: Vec<_> = plan.topics().map(|topic| topic.partitions).collect();
        assert_eq!(partitions, [3, 7, 3, 3, 7, 3]);
    }
}
