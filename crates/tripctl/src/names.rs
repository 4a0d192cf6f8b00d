//! Topics by their short names.

use models::topics::{Topic, Topics};

/// What may be written instead of a topic's name, in the order of the pipeline.
pub(crate) const ALIASES: [&str; 6] =
    ["trips", "drivers", "riders", "joined", "unmatched", "rejects"];

/// A name that is neither a topic of the pipeline nor an alias of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no topic {name:?} in the pipeline; it has {}", known.join(", "))]
pub struct UnknownTopic {
    name: String,
    known: Vec<String>,
}

/// The topic of the pipeline that is called `name`, or that `name` is short for.
pub(crate) fn find<'t>(topics: &'t Topics, name: &str) -> Result<&'t Topic, UnknownTopic> {
    let all: Vec<&Topic> = topics.inputs().into_iter().chain(topics.outputs()).collect();
    let by_name = all.iter().find(|topic| topic.name == name);
    let by_alias = || ALIASES.iter().position(|alias| *alias == name).map(|index| &all[index]);
    by_name.or_else(by_alias).copied().ok_or_else(|| UnknownTopic {
        name: name.to_owned(),
        known: ALIASES
            .iter()
            .zip(&all)
            .map(|(alias, topic)| format!("{alias} ({})", topic.name))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found_by_name_and_alias() {
        let topics = Topics { joined_streams: Topic::new("other"), ..Topics::default() };
        let cases = [
            ("trips", "hw.fake.trips"),
            ("drivers", "hw.fake.drivers"),
            ("riders", "hw.fake.riders"),
            ("joined", "other"),
            ("unmatched", "hw.fake.unmatched"),
            ("rejects", "hw.fake.rejects"),
            ("hw.fake.riders", "hw.fake.riders"),
            ("other", "other"),
        ];
        for (name, expected) in cases {
            assert_eq!(find(&topics, name).map(|topic| topic.name.as_str()), Ok(expected));
        }
        let error = find(&topics, "buses").expect_err("no such topic").to_string();
        assert!(error.contains("\"buses\"") && error.contains("joined (other)"), "{error}");
    }
}
