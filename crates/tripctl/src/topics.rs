//! `tripctl topics`: create, describe, delete.

use std::fmt::Write;

use kafka::topics::{Description, TopicError, Wanted};
use models::topics::Topic;

use crate::names::{self, UnknownTopic};
use verify::settings::{JoinerView, Settings};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// There is no such topic in the pipeline.
    #[error(transparent)]
    Unknown(#[from] UnknownTopic),
    /// The cluster didn't do it.
    #[error(transparent)]
    Topics(#[from] TopicError),
    /// Deleting was not confirmed.
    #[error("nothing was deleted; this would delete {}: say --yes to do it", .0.join(", "))]
    NotConfirmed(Vec<String>),
}

/// Creates those topics of the pipeline that are absent. The joiner creates its internal ones by itself, with the
/// configuration that they need.
///
/// # Errors
///
/// [`TopicsError`].
pub async fn create(settings: &Settings, chosen: &[String]) -> Result<String, TopicsError> {
    let topics = pipeline(settings, chosen)?;
    let wanted: Vec<Wanted<'_>> = topics.iter().map(|topic| Wanted::from(*topic)).collect();
    let counts = kafka::topics::ensure(&settings.kafka, &wanted).await?;
    let mut text = String::new();
    for topic in topics {
        let count = counts.get(&topic.name).copied().unwrap_or_default();
        line(&mut text, format_args!("{}: {count} partitions", topic.name));
    }
    Ok(text)
}

/// Describes the topics of the pipeline and the joiner's internal ones, with the number of offsets in use.
///
/// # Errors
///
/// [`TopicsError`].
pub async fn describe(
    settings: &Settings,
    joiner: &JoinerView,
    chosen: &[String],
) -> Result<String, TopicsError> {
    let names = with_internal(settings, joiner, chosen)?;
    let found = kafka::topics::describe(&settings.kafka, &as_strs(&names)).await?;
    Ok(table(&names, &found))
}

/// Deletes the topics of the pipeline and the joiner's internal ones, if `confirmed`.
///
/// # Errors
///
/// [`TopicsError`].
pub async fn delete(
    settings: &Settings,
    joiner: &JoinerView,
    chosen: &[String],
    confirmed: bool,
) -> Result<String, TopicsError> {
    let names = with_internal(settings, joiner, chosen)?;
    let found = kafka::topics::describe(&settings.kafka, &as_strs(&names)).await?;
    let there: Vec<String> = found.into_iter().map(|topic| topic.name).collect();
    if there.is_empty() {
        return Ok("there is nothing to delete\n".to_owned());
    }
    if !confirmed {
        return Err(TopicsError::NotConfirmed(there));
    }
    kafka::topics::delete(&settings.kafka, &as_strs(&there)).await?;
    let mut text = String::new();
    for name in there {
        line(&mut text, format_args!("{name}: deleted"));
    }
    Ok(text)
}

fn pipeline<'s>(settings: &'s Settings, chosen: &[String]) -> Result<Vec<&'s Topic>, UnknownTopic> {
    if chosen.is_empty() {
        return Ok(settings.pipeline());
    }
    chosen.iter().map(|name| names::find(&settings.topics, name)).collect()
}

/// The chosen topics; without a choice all, the joiner's internal ones included.
fn with_internal(
    settings: &Settings,
    joiner: &JoinerView,
    chosen: &[String],
) -> Result<Vec<String>, UnknownTopic> {
    let internal = [&joiner.repartition_topic, &joiner.changelog_topic];
    if chosen.is_empty() {
        let pipeline = settings.pipeline().into_iter().map(|topic| &topic.name);
        return Ok(pipeline.chain(internal).cloned().collect());
    }
    chosen
        .iter()
        .map(|name| match internal.into_iter().find(|internal| *internal == name) {
            Some(internal) => Ok(internal.clone()),
            None => names::find(&settings.topics, name).map(|topic| topic.name.clone()),
        })
        .collect()
}

fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

fn table(names: &[String], found: &[Description]) -> String {
    let width = names.iter().map(String::len).max().unwrap_or(0).max(5);
    let mut text = String::new();
    line(
        &mut text,
        format_args!(
            "{:<width$}  {:>9}  {:>8}  {:>7}  {:>12}  {:>12}",
            "topic", "partition", "replicas", "in sync", "oldest", "next"
        ),
    );
    for name in names {
        let Some(topic) = found.iter().find(|topic| topic.name == *name) else {
            line(&mut text, format_args!("{name:<width$}  {:>9}", "absent"));
            continue;
        };
        for partition in &topic.partitions {
            line(
                &mut text,
                format_args!(
                    "{name:<width$}  {:>9}  {:>8}  {:>7}  {:>12}  {:>12}",
                    partition.partition,
                    partition.replicas,
                    partition.in_sync,
                    partition.low,
                    partition.high
                ),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use kafka::topics::PartitionDescription;

    use super::*;

    #[test]
    fn absent_topics_are_shown_as_such() {
        let partition = PartitionDescription {
            partition: 0,
            leader: 1,
            replicas: 3,
            in_sync: 2,
            low: 5,
            high: 41,
        };
        let found = [Description { name: "trips".to_owned(), partitions: vec![partition] }];
        let shown = table(&["trips".to_owned(), "riders".to_owned()], &found);
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn without_a_choice_the_internal_topics_are_included() {
        let (settings, joiner) = (Settings::default(), JoinerView::default());
        let all = with_internal(&settings, &joiner, &[]).expect("known");
        assert_eq!(all.len(), 8);
        let chosen = ["joined".to_owned(), joiner.changelog_topic.clone()];
        let names = with_internal(&settings, &joiner, &chosen).expect("known");
        assert_eq!(names, ["hw.fake.joinedstreams", "tripstream-joiner-changelog"]);
        assert!(with_internal(&settings, &joiner, &["buses".to_owned()]).is_err());
    }
}
