//! `tripctl tail`: the rows of a topic, decoded, one JSON object a line.

mod from;
mod row;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use avro_schemas::{RegistryClient, RegistryError, SchemaCache};
use kafka::KafkaConfig;
use kafka::topics::{Description, TopicError};
use models::Partition;
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use service::Shutdown;
use tokio::runtime::Handle;

pub use from::{From, NotAStart};

use crate::names::{self, UnknownTopic};
use verify::consume::{self, ConsumeError, Next, REQUEST_TIMEOUT, Range};
use verify::decode::{ValueError, Values};
use verify::settings::Settings;

/// What is shown.
#[derive(Debug, Clone)]
pub struct Options {
    /// A topic of the pipeline: its name or its alias.
    pub topic: String,
    /// Whether to go on when the end is reached.
    pub follow: bool,
    /// Where to start; the beginning, or the end when following, if not said.
    pub from: Option<From>,
    /// Stop after this many rows.
    pub limit: Option<u64>,
}

/// Why rows can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// There is no such topic in the pipeline.
    #[error(transparent)]
    Unknown(#[from] UnknownTopic),
    /// The topic is part of the pipeline, but not there.
    #[error("there is no topic {0} on this cluster; `tripctl topics create` creates it")]
    Absent(String),
    /// The cluster could not be asked for the topic.
    #[error(transparent)]
    Topics(#[from] TopicError),
    /// The topic could not be read.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// The registry could not be asked for a schema.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The rows could not be written.
    #[error("writing rows: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes rows to `out` until there are no more, `out` is closed by its reader, or stopping is asked for.
///
/// # Errors
///
/// [`TailError`]. A row that can't be decoded is none: it is shown as such.
pub async fn run(
    settings: &Settings,
    options: &Options,
    shutdown: &Shutdown,
    mut out: impl Write + Send + 'static,
) -> Result<(), TailError> {
    let topic = names::find(&settings.topics, &options.topic)?.name.clone();
    let found = kafka::topics::describe(&settings.kafka, &[&topic]).await?;
    let description = found.into_iter().next().ok_or_else(|| TailError::Absent(topic.clone()))?;
    let cache = SchemaCache::new(RegistryClient::new(&settings.registry)?);
    let values = Values::new(cache, Handle::current());
    let (kafka, options, shutdown) = (settings.kafka.clone(), options.clone(), shutdown.clone());
    let work = move || {
        let ranges = ranges(&kafka, &description, &options)?;
        let mut left = options.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(());
        }
        consume::read(&kafka, &topic, &ranges, &shutdown, |message| {
            let decoded = match message.payload().map(|value| values.read_json(value)) {
                None => None,
                Some(Ok(value)) => Some(Ok(value)),
                Some(Err(ValueError::Row(error))) => Some(Err(error.to_string())),
                Some(Err(ValueError::Outage(error))) => return Err(TailError::Registry(error)),
            };
            writeln!(out, "{}", row::line(message, decoded))?;
            if options.follow {
                out.flush()?;
            }
            left -= 1;
            Ok(if left == 0 { Next::Stop } else { Next::Continue })
        })?;
        out.flush()?;
        Ok(())
    };
    match tokio::task::spawn_blocking(work).await.expect("showing rows doesn't panic") {
        // Both are how a user ends it: Ctrl-C, and `| head`.
        Err(TailError::Consume(ConsumeError::Interrupted)) => Ok(()),
        Err(TailError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Where to start and end in each partition.
fn ranges(
    kafka: &KafkaConfig,
    topic: &Description,
    options: &Options,
) -> Result<Vec<Range>, ConsumeError> {
    let default = if options.follow { From::End } else { From::Beginning };
    let from = options.from.unwrap_or(default);
    let since = match from {
        From::Time(time) => Some(time),
        From::Ago(ago) => Some(SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH)),
        _ => None,
    };
    let by_time = since.map(|time| offsets_at(kafka, topic, time)).transpose()?;
    let range = |partition: &kafka::topics::PartitionDescription| {
        let (low, high) = (partition.low, partition.high);
        let start = match from {
            From::Beginning => low,
            From::End => high,
            From::Offset(offset) => offset,
            From::Last(rows) => high.saturating_sub(rows),
            From::Time(_) | From::Ago(_) => by_time
                .as_ref()
                .and_then(|by_time| by_time.get(&partition.partition))
                .copied()
                .unwrap_or(high),
        };
        Range {
            partition: partition.partition,
            from: start.clamp(low, high),
            to: (!options.follow).then_some(high),
        }
    };
    Ok(topic.partitions.iter().map(range).collect())
}

/// The offset of the first row at or after `time`, for the partitions that have one.
fn offsets_at(
    kafka: &KafkaConfig,
    topic: &Description,
    time: SystemTime,
) -> Result<BTreeMap<Partition, i64>, ConsumeError> {
    let failed = |source| ConsumeError::Kafka {
        doing: "looking for a time in",
        topic: topic.name.clone(),
        source,
    };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let mut times = TopicPartitionList::new();
    for partition in &topic.partitions {
        times
            .add_partition_offset(&topic.name, partition.partition, Offset::Offset(ms))
            .map_err(failed)?;
    }
    let consumer = consume::consumer(kafka, crate::NAME)?;
    let found = consumer.offsets_for_times(times, REQUEST_TIMEOUT).map_err(failed)?;
    let offsets = found.elements().into_iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        _ => None,
    });
    Ok(offsets.collect())
}
