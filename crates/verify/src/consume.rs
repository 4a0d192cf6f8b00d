//! Reading a range of one topic, or following it, without being a member of a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::{ConfigError, KafkaConfig, LogContext, log_ends};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use service::Shutdown;

/// How long a topic that has more to give may give nothing before that is an error.
const STALLED: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// The group that consumers name, because librdkafka wants one; none of them joins it.
const GROUP: &str = "tripctl";
/// How long one question to the cluster may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Part of a partition: the offsets `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: Partition,
    /// The first offset.
    pub from: i64,
    /// None to go on for ever.
    pub to: Option<i64>,
}

/// Why a topic could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The configuration can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka refused what was asked of it.
    #[error("{doing} {topic}: {source}")]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// The topic.
        topic: String,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// Nothing came, though there is more.
    #[error("reading {topic}: nothing came for {STALLED:?}; does the broker answer?")]
    Stalled {
        /// The topic.
        topic: String,
    },
    /// Stopping was asked for.
    #[error("interrupted")]
    Interrupted,
}

/// What a reader does after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Reads on.
    Continue,
    /// Reads no more, of any range.
    Stop,
}

/// A consumer of `group`'s name that never becomes a member of it. It sees committed rows only.
///
/// # Errors
///
/// [`ConsumeError`] if the configuration can't work.
pub fn consumer(
    config: &KafkaConfig,
    group: &str,
) -> Result<BaseConsumer<LogContext>, ConsumeError> {
    consumer_with(config, group, &[("isolation.level", "read_committed")])
}

/// The ends of these partitions, rows of open transactions included. Blocks.
///
/// # Errors
///
/// [`ConsumeError`] if the cluster does not tell.
pub fn written_ends(
    config: &KafkaConfig,
    topic: &str,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, i64>, ConsumeError> {
    let consumer = consumer_with(config, GROUP, &[("isolation.level", "read_uncommitted")])?;
    let asked = partitions.iter().map(|partition| (topic, *partition));
    let ends = log_ends::ends(&consumer, asked, REQUEST_TIMEOUT);
    let ends = ends.map_err(|source| ConsumeError::Kafka {
        doing: "asking for the end of",
        topic: topic.to_owned(),
        source,
    })?;
    Ok(partitions.iter().copied().zip(ends).collect())
}

/// As [`consumer`], with these properties of librdkafka.
///
/// # Errors
///
/// [`ConsumeError`] if the configuration can't work.
pub fn consumer_with(
    config: &KafkaConfig,
    group: &str,
    properties: &[(&str, &str)],
) -> Result<BaseConsumer<LogContext>, ConsumeError> {
    let mut client: ClientConfig = config.client()?;
    client.set("group.id", group);
    client.set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false");
    client.set("enable.partition.eof", "true");
    client.set("auto.offset.reset", "earliest");
    // Its default of a second stalls a reader of a backlog whenever its queue was full.
    client.set("fetch.queue.backoff.ms", "5");
    for (name, value) in properties {
        client.set(*name, *value);
    }
    client.create_with_context(LogContext::default()).map_err(|source| ConsumeError::Kafka {
        doing: "creating a consumer of",
        topic: group.to_owned(),
        source,
    })
}

/// Reads `ranges` of `topic` and passes each row to `row`, until all ranges are read, `row` says to stop, or
/// stopping is asked for. Blocks.
///
/// # Errors
///
/// [`ConsumeError`], or what `row` returns.
pub fn read<E: From<ConsumeError>>(
    config: &KafkaConfig,
    topic: &str,
    ranges: &[Range],
    shutdown: &Shutdown,
    mut row: impl FnMut(&BorrowedMessage<'_>) -> Result<Next, E>,
) -> Result<(), E> {
    let mut open: Vec<Range> =
        ranges.iter().copied().filter(|range| range.to.is_none_or(|to| range.from < to)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let failed = |doing, source| ConsumeError::Kafka { doing, topic: topic.to_owned(), source };
    let mut properties = vec![("isolation.level", "read_committed")];
    let endless = open.iter().any(|range| range.to.is_none());
    if !endless {
        // At the end of a partition the broker would otherwise hold back its answer, and with it the news of the
        // end, for half a second.
        properties.push(("fetch.wait.max.ms", "20"));
    }
    let consumer = consumer_with(config, GROUP, &properties)?;
    let mut assignment = TopicPartitionList::new();
    for range in &open {
        assignment
            .add_partition_offset(topic, range.partition, Offset::Offset(range.from))
            .map_err(|source| failed("reading", source))?;
    }
    consumer.assign(&assignment).map_err(|source| failed("reading", source))?;
    let mut last_news = Instant::now();
    while !open.is_empty() {
        if shutdown.requested() {
            return Err(ConsumeError::Interrupted.into());
        }
        let done = match consumer.poll(POLL) {
            None => {
                if !endless && last_news.elapsed() > STALLED {
                    return Err(ConsumeError::Stalled { topic: topic.to_owned() }.into());
                }
                continue;
            }
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                let wanted = |range: &&Range| {
                    range.partition == partition && range.to.is_none_or(|to| offset < to)
                };
                if open.iter().find(wanted).is_some() && row(&message)? == Next::Stop {
                    return Ok(());
                }
                // Behind the last row there may be nothing but a transaction's marker.
                let is_last = |range: &Range| range.to.is_some_and(|to| offset + 1 >= to);
                open.iter().find(|range| range.partition == partition && is_last(range)).copied()
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => open
                .iter()
                .find(|range| range.partition == partition && range.to.is_some())
                .copied(),
            // librdkafka goes on by itself; if it can't, that shows as a stall.
            Some(Err(error)) if passes(&error) => continue,
            Some(Err(source)) => return Err(failed("reading", source).into()),
        };
        last_news = Instant::now();
        open.retain(|range| Some(*range) != done);
    }
    Ok(())
}

/// Whether librdkafka retries by itself after this error.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::RequestTimedOut
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
        )
    )
}
