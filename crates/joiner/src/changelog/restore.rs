//! Restores the state from the changelog.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use join::{JoinConfig, RestoreError, SetupError, Task, TaskLayout};
use kafka::{KafkaConfig, LogContext, log_ends};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use service::Shutdown;
use tracing::debug;

use super::format::{FormatError, RecordReader};
use crate::avro_payload::AvroPayload;
use crate::topology::Stream;

/// A task as it was restored.
pub(crate) struct Restored {
    pub(crate) task: Task<AvroPayload>,
    /// Bytes of the changelog that it was restored from.
    pub(crate) bytes: usize,
}

/// Why a state can't be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreFailure {
    /// Kafka could not be asked; it may be later.
    #[error("reading changelog {topic}")]
    Kafka {
        /// The changelog topic.
        topic: String,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// The changelog has stopped answering.
    #[error("changelog {topic} is not read to its end: nothing came for {after:?}")]
    Stalled {
        /// The changelog topic.
        topic: String,
        /// How long nothing came.
        after: Duration,
    },
    /// A record can't be read.
    #[error(
        "changelog {topic}, partition {partition}, offset {offset}: {source}; \
             to start with an empty state, delete {topic}"
    )]
    Format {
        /// The changelog topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// The offset of the record.
        offset: i64,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The changelog is not of this task.
    #[error("changelog {topic}: {source}; to start with an empty state, delete {topic}")]
    State {
        /// The changelog topic.
        topic: String,
        /// What is wrong.
        source: RestoreError,
    },
    /// The settings of the join can't be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Shutdown was asked for in the middle of it.
    #[error("stopped while restoring")]
    Stopped,
}

impl RestoreFailure {
    /// Whether trying again can't help.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Format { .. } | Self::State { .. } | Self::Setup(_))
    }
}

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
const STALLED: Duration = Duration::from_secs(60);
const TELL: Duration = Duration::from_secs(1);

/// Reads the changelog partitions of tasks from their start to their end.
pub(crate) struct Restorer<'a> {
    pub(crate) kafka: &'a KafkaConfig,
    pub(crate) changelog: &'a Stream,
    pub(crate) rules: &'a JoinConfig,
    pub(crate) inputs: [Partition; 3],
    pub(crate) shutdown: &'a Shutdown,
    /// Called each second with the progress.
    pub(crate) tell: &'a dyn Fn(RestoreProgress),
}

/// How far a restore is, in offsets of the changelog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestoreProgress {
    pub(crate) read: i64,
    pub(crate) all: i64,
}

impl fmt::Display for RestoreProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, all } = self;
        let percent = (read * 100).checked_div(*all).unwrap_or(100);
        write!(f, "restoring the state: {percent} % of {all} changelog offsets")
    }
}

impl Restorer<'_> {
    /// The tasks of `partitions`, in that order.
    pub(crate) fn restore(
        &self,
        partitions: &[Partition],
    ) -> Result<Vec<Restored>, RestoreFailure> {
        let mut tasks = BTreeMap::new();
        for &partition in partitions {
            tasks.insert(partition, Restored { task: self.empty(partition)?, bytes: 0 });
        }
        if !partitions.is_empty() {
            let committed = self.consumer("read_committed")?;
            self.wait_until_stable(&committed, partitions)?;
            self.read(&committed, &mut tasks)?;
        }
        Ok(tasks.into_values().collect())
    }

    fn empty(&self, partition: Partition) -> Result<Task<AvroPayload>, RestoreFailure> {
        let layout = TaskLayout::new(partition, self.changelog.partitions, self.inputs)?;
        Ok(Task::new(self.rules, layout)?)
    }

    fn consumer(&self, isolation: &str) -> Result<BaseConsumer<LogContext>, RestoreFailure> {
        let mut client = self.kafka.client().expect("validated with the configuration");
        // A group is needed to assign partitions, though it is never joined.
        client.set("group.id", "tripstream-joiner-restore");
        client.set("enable.auto.commit", "false");
        client.set("enable.auto.offset.store", "false");
        client.set("enable.partition.eof", "true");
        client.set("isolation.level", isolation);
        // Its former owner may just be deleting what is before a snapshot: then that is where to go on. The default
        // would be to go on at the end, with an empty state.
        client.set("auto.offset.reset", "earliest");
        client.set("fetch.queue.backoff.ms", "5");
        // How long the broker waits for more at the end of a partition before it says that this is the end.
        client.set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer<LogContext> = client
            .create_with_context(LogContext::default())
            .map_err(|source| self.failed(source))?;
        // Asked for once it is wanted, a partition's leader is known a second later only.
        let metadata = consumer.fetch_metadata(Some(&self.changelog.name), REQUEST_TIMEOUT);
        metadata.map_err(|source| self.failed(source))?;
        Ok(consumer)
    }

    /// Waits until no transaction is under way in the partitions: one of a former owner of the task may still be
    /// committed, and would be missing from what is read now.
    fn wait_until_stable(
        &self,
        committed: &BaseConsumer<LogContext>,
        partitions: &[Partition],
    ) -> Result<(), RestoreFailure> {
        let topic = &self.changelog.name;
        let uncommitted = self.consumer("read_uncommitted")?;
        for &partition in partitions {
            let end = |consumer: &BaseConsumer<LogContext>| {
                let end = log_ends::ends(consumer, [(topic.as_str(), partition)], REQUEST_TIMEOUT);
                end.map(|ends| ends[0]).map_err(|source| self.failed(source))
            };
            let high = end(&uncommitted)?;
            while end(committed)? < high {
                debug!(partition, "a transaction is under way in the changelog");
                if self.shutdown.requested() {
                    return Err(RestoreFailure::Stopped);
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    fn read(
        &self,
        consumer: &BaseConsumer<LogContext>,
        tasks: &mut BTreeMap<Partition, Restored>,
    ) -> Result<(), RestoreFailure> {
        let topic = &self.changelog.name;
        let extent = self.extent(consumer, tasks)?;
        let mut assignment = TopicPartitionList::new();
        for &partition in tasks.keys() {
            assignment
                .add_partition_offset(topic, partition, Offset::Beginning)
                .expect("the beginning is an offset");
        }
        consumer.assign(&assignment).map_err(|source| self.failed(source))?;
        let mut readers: BTreeMap<Partition, (RecordReader, i64)> = BTreeMap::new();
        let mut unread: Vec<Partition> = tasks.keys().copied().collect();
        let mut last = Instant::now();
        let mut told = last;
        while !unread.is_empty() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let restored = tasks.get_mut(&partition).expect("only these are assigned");
                    let (reader, at) = readers.entry(partition).or_default();
                    *at = message.offset();
                    self.apply(restored, reader, &message)?;
                    last = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let (reader, at) = readers.remove(&partition).unwrap_or_default();
                    reader.finish().map_err(|source| self.unreadable(partition, at, source))?;
                    unread.retain(|&unread| unread != partition);
                    last = Instant::now();
                }
                Some(Err(error)) => debug!(%error, "reading the changelog"),
                None => {}
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                let read = extent.iter().map(|(partition, offsets)| match readers.get(partition) {
                    Some((_, at)) => at - offsets.start,
                    None if unread.contains(partition) => 0,
                    None => offsets.end - offsets.start,
                });
                let all = extent.values().map(|offsets| offsets.end - offsets.start);
                (self.tell)(RestoreProgress { read: read.sum(), all: all.sum() });
            }
            if self.shutdown.requested() {
                return Err(RestoreFailure::Stopped);
            }
            if last.elapsed() > STALLED {
                return Err(RestoreFailure::Stalled { topic: topic.clone(), after: STALLED });
            }
        }
        Ok(())
    }

    /// The offsets of the changelog by task.
    fn extent(
        &self,
        consumer: &BaseConsumer<LogContext>,
        tasks: &BTreeMap<Partition, Restored>,
    ) -> Result<BTreeMap<Partition, Range<i64>>, RestoreFailure> {
        let partitions = || tasks.keys().map(|&task| (self.changelog.name.as_str(), task));
        let ask = || {
            let starts = log_ends::starts(consumer, partitions(), REQUEST_TIMEOUT)?;
            let ends = log_ends::ends(consumer, partitions(), REQUEST_TIMEOUT)?;
            Ok(starts.into_iter().zip(ends).map(|(start, end)| start..end))
        };
        let ranges = ask().map_err(|source| self.failed(source))?;
        Ok(tasks.keys().copied().zip(ranges).collect())
    }

    fn apply(
        &self,
        restored: &mut Restored,
        reader: &mut RecordReader,
        record: &BorrowedMessage<'_>,
    ) -> Result<(), RestoreFailure> {
        let (partition, offset) = (record.partition(), record.offset());
        let value = record.payload().unwrap_or_default();
        let read = reader.read(value);
        let (resets, changes) =
            read.map_err(|source| self.unreadable(partition, offset, source))?;
        if resets {
            *restored = Restored { task: self.empty(partition)?, bytes: 0 };
        }
        restored.bytes += value.len();
        restored
            .task
            .apply(changes)
            .map_err(|source| RestoreFailure::State { topic: self.changelog.name.clone(), source })
    }

    fn unreadable(&self, partition: Partition, offset: i64, source: FormatError) -> RestoreFailure {
        RestoreFailure::Format { topic: self.changelog.name.clone(), partition, offset, source }
    }

    fn failed(&self, source: KafkaError) -> RestoreFailure {
        RestoreFailure::Kafka { topic: self.changelog.name.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_percent() {
        let told = |read, all| RestoreProgress { read, all }.to_string();
        assert_eq!(told(40, 160), "restoring the state: 25 % of 160 changelog offsets");
        assert_eq!(told(0, 0), "restoring the state: 100 % of 0 changelog offsets");
    }
}
