//! How far topics and the joiner have come at one moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::KafkaConfig;
use kafka::headers::{self, WATERMARKS};
use kafka::topics::{Description, TopicError};
use models::{Partition, Side};
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use service::Shutdown;

use crate::config::Config;
use crate::consume::{self, ConsumeError, Next, REQUEST_TIMEOUT, Range};
use crate::error::VerifyError;
use crate::ledger::Progress;

/// How long a transaction may stay open: a little more than Kafka's default time-out for one that was abandoned.
const OPEN_TRANSACTION: Duration = Duration::from_secs(70);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<Partition, i64>;

/// The oldest offset that is kept, and the end of the committed rows, by partition.
pub(crate) type Bounds = BTreeMap<Partition, (i64, i64)>;

/// What there is at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) inputs: [Bounds; 3],
    pub(crate) outputs: [Bounds; 3],
    pub(crate) progress: Progress,
    /// Topics of the pipeline that there are not.
    pub(crate) absent: Vec<String>,
}

/// Asks for the joiner's offsets first, then for the ends of the outputs, then for those of the inputs: so
/// whatever the joiner has read shows in the outputs, and the outputs' rows are in the inputs.
pub(crate) async fn take(config: &Config, shutdown: &Shutdown) -> Result<Snapshot, VerifyError> {
    let internal = [config.joiner.repartition_topic.as_str()];
    let inputs = config.topics.inputs().map(|topic| topic.name.as_str());
    let outputs = config.topics.outputs().map(|topic| topic.name.as_str());

    let describe = async |names: &[&str]| describe(config, names).await;
    // The partitions, to ask for the group's offsets in them.
    let partitions = describe(&inputs).await?;
    let repartition = describe(&internal).await?.remove(0);
    let asked: Vec<(String, Vec<Partition>)> = inputs
        .iter()
        .zip(&partitions)
        .chain(internal.iter().zip([&repartition]))
        .map(|(name, bounds)| ((*name).to_owned(), bounds.keys().copied().collect()))
        .collect();
    let mut next = committed(config, asked).await?.into_iter();
    let read: [Offsets; 3] = std::array::from_fn(|_| next.next().unwrap_or_default());
    let read_internal = next.next().unwrap_or_default();
    // What was forwarded before now and is not read yet.
    let repartition = describe(&internal).await?.remove(0);
    let forwarded = forwarded(config, &repartition, &read_internal, shutdown).await?;

    let output_bounds = output_bounds(config, &outputs, shutdown).await?;
    let input_bounds = describe(&inputs).await?;
    let widest = input_bounds.iter().map(BTreeMap::len).max().unwrap_or(0);
    let tasks = if repartition.is_empty() { widest } else { repartition.len() };
    let absent = |names: &[&str], bounds: &[Bounds]| -> Vec<String> {
        let missing = names.iter().zip(bounds).filter(|(_, bounds)| bounds.is_empty());
        missing.map(|(name, _)| (*name).to_owned()).collect()
    };
    let mut missing = absent(&inputs, &input_bounds);
    missing.extend(absent(&outputs, &output_bounds));
    let cut = |bounds: &[Bounds]| bounds.iter().flat_map(BTreeMap::values).any(|(low, _)| *low > 0);
    let progress = Progress {
        next: read,
        forwarded,
        tasks: tasks as Partition,
        inputs_cut: cut(&input_bounds),
        outputs_cut: cut(&output_bounds),
    };
    Ok(Snapshot {
        inputs: array(input_bounds),
        outputs: array(output_bounds),
        progress,
        absent: missing,
    })
}

impl Snapshot {
    /// The bounds of the input that carries `side`.
    pub(crate) fn input(&self, side: Side) -> &Bounds {
        &self.inputs[side.index()]
    }
}

async fn describe(config: &Config, names: &[&str]) -> Result<Vec<Bounds>, TopicError> {
    let found = kafka::topics::describe(&config.kafka, names).await?;
    Ok(names.iter().map(|name| bounds(&found, name)).collect())
}

/// The bounds of the outputs, once all that is written there now is committed or aborted: rows behind an open
/// transaction of another task don't show, even if their own is committed.
async fn output_bounds(
    config: &Config,
    names: &[&str; 3],
    shutdown: &Shutdown,
) -> Result<Vec<Bounds>, VerifyError> {
    let asked: Vec<(String, Vec<Partition>)> = describe(config, names)
        .await?
        .iter()
        .zip(names)
        .map(|(bounds, name)| ((*name).to_owned(), bounds.keys().copied().collect()))
        .collect();
    let kafka = config.kafka.clone();
    let ask = move || -> Result<Vec<Offsets>, ConsumeError> {
        let ends = |(topic, partitions): &(String, Vec<Partition>)| {
            consume::written_ends(&kafka, topic, partitions)
        };
        asked.iter().map(ends).collect()
    };
    let written = tokio::task::spawn_blocking(ask).await.expect("asking for ends doesn't panic")?;
    let deadline = Instant::now() + OPEN_TRANSACTION;
    loop {
        let committed = describe(config, names).await?;
        let hidden = written.iter().zip(&committed).zip(names).find(|((written, committed), _)| {
            let shows = |partition, end| {
                committed.get(partition).is_some_and(|(_, committed)| committed >= end)
            };
            written.iter().any(|(partition, end)| !shows(partition, end))
        });
        let Some((_, topic)) = hidden else { return Ok(committed) };
        if Instant::now() > deadline {
            return Err(VerifyError::OpenTransaction { topic: (*topic).to_owned() });
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shutdown.wait() => return Err(ConsumeError::Interrupted.into()),
        }
    }
}

fn array(bounds: Vec<Bounds>) -> [Bounds; 3] {
    bounds.try_into().expect("three topics were asked for")
}

fn bounds(found: &[Description], name: &str) -> Bounds {
    let topic = found.iter().find(|topic| topic.name == name);
    let partitions = topic.map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    partitions.iter().map(|p| (p.partition, (p.low, p.high))).collect()
}

/// The offsets that the joiner's group has committed, by partition, for each of `topics`. What a transaction holds
/// is waited for.
async fn committed(
    config: &Config,
    topics: Vec<(String, Vec<Partition>)>,
) -> Result<Vec<Offsets>, VerifyError> {
    let (kafka, group) = (config.kafka.clone(), config.joiner.group_id.clone());
    let ask = move || -> Result<Vec<Offsets>, ConsumeError> {
        let consumer = consume::consumer(&kafka, &group)?;
        let mut wanted = TopicPartitionList::new();
        for (topic, partitions) in &topics {
            for partition in partitions {
                wanted.add_partition(topic, *partition);
            }
        }
        if wanted.count() == 0 {
            return Ok(vec![Offsets::new(); topics.len()]);
        }
        let found = consumer.committed_offsets(wanted, REQUEST_TIMEOUT).map_err(|source| {
            ConsumeError::Kafka { doing: "asking for the offsets of group", topic: group, source }
        })?;
        let offsets_of = |topic: &str| {
            let elements = found.elements_for_topic(topic);
            let set = elements.iter().filter_map(|element| match element.offset() {
                Offset::Offset(next) => Some((element.partition(), next)),
                _ => None,
            });
            set.collect()
        };
        Ok(topics.iter().map(|(topic, _)| offsets_of(topic)).collect())
    };
    Ok(tokio::task::spawn_blocking(ask).await.expect("asking for offsets doesn't panic")?)
}

/// Counts the rows in the repartition topic that the joiner has not read.
async fn forwarded(
    config: &Config,
    bounds: &Bounds,
    read: &Offsets,
    shutdown: &Shutdown,
) -> Result<u64, VerifyError> {
    let range = |(partition, (low, high)): (&Partition, &(i64, i64))| {
        let from = read.get(partition).copied().unwrap_or(*low).max(*low);
        Range { partition: *partition, from, to: Some(*high) }
    };
    let ranges: Vec<Range> = bounds.iter().map(range).collect();
    let (kafka, topic) = (config.kafka.clone(), config.joiner.repartition_topic.clone());
    let shutdown = shutdown.clone();
    let count = move || count_rows(&kafka, &topic, &ranges, &shutdown);
    Ok(tokio::task::spawn_blocking(count).await.expect("counting doesn't panic")?)
}

fn count_rows(
    kafka: &KafkaConfig,
    topic: &str,
    ranges: &[Range],
    shutdown: &Shutdown,
) -> Result<u64, ConsumeError> {
    let mut rows = 0;
    consume::read(kafka, topic, ranges, shutdown, |message| {
        // Watermarks between tasks are no rows.
        if headers::nth_last(message.headers(), 0, WATERMARKS).is_none() {
            rows += 1;
        }
        Ok::<_, ConsumeError>(Next::Continue)
    })?;
    Ok(rows)
}
