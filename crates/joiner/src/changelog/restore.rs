//! Restores the state from the changelog.

use std::collections::BTreeMap;
use std::time::Duration;

use join::{JoinConfig, RestoreError, SetupError, Task, TaskLayout};
use kafka::KafkaConfig;
use kafka::read_to_end::{Progress, ReadError, TopicReader, Watch};
use models::Partition;
use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
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

/// Reads the changelog partitions of tasks from their start to their end.
pub(crate) struct Restorer<'a> {
    pub(crate) kafka: &'a KafkaConfig,
    pub(crate) changelog: &'a Stream,
    pub(crate) rules: &'a JoinConfig,
    pub(crate) inputs: [Partition; 3],
    pub(crate) shutdown: &'a Shutdown,
    /// Called each second with the progress.
    pub(crate) tell: &'a dyn Fn(Progress),
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
            let mut reader = self.reader()?;
            self.wait_until_stable(&mut reader, partitions)?;
            self.read(&mut reader, partitions, &mut tasks)?;
        }
        Ok(tasks.into_values().collect())
    }

    fn empty(&self, partition: Partition) -> Result<Task<AvroPayload>, RestoreFailure> {
        let layout = TaskLayout::new(partition, self.changelog.partitions, self.inputs)?;
        Ok(Task::new(self.rules, layout)?)
    }

    fn reader(&self) -> Result<TopicReader, RestoreFailure> {
        let mut client = self.kafka.client().expect("validated with the configuration");
        client.set("group.id", "tripstream-joiner-restore");
        let reader = TopicReader::new(client, &self.changelog.name, REQUEST_TIMEOUT);
        reader.map_err(|source| self.failed(source))
    }

    /// Waits until no transaction is under way in the partitions: one of a former owner of the task may still be
    /// committed, and would be missing from what is read now.
    fn wait_until_stable(
        &self,
        reader: &mut TopicReader,
        partitions: &[Partition],
    ) -> Result<(), RestoreFailure> {
        let written = reader.written_ends(partitions).map_err(|source| self.failed(source))?;
        loop {
            let committed = reader.ends(partitions).map_err(|source| self.failed(source))?;
            if committed.iter().zip(&written).all(|(committed, written)| committed >= written) {
                return Ok(());
            }
            debug!("a transaction is under way in the changelog");
            if self.shutdown.requested() {
                return Err(RestoreFailure::Stopped);
            }
            std::thread::sleep(POLL);
        }
    }

    fn read(
        &self,
        reader: &mut TopicReader,
        partitions: &[Partition],
        tasks: &mut BTreeMap<Partition, Restored>,
    ) -> Result<(), RestoreFailure> {
        let ranges = reader.extent(partitions).map_err(|source| self.failed(source))?;
        let stop = || self.shutdown.requested();
        let watch = Watch { patience: STALLED, stop: &stop, progress: self.tell };
        let mut decoders: BTreeMap<Partition, (RecordReader, i64)> = BTreeMap::new();
        let read = reader.read(&ranges, &watch, |record| {
            let partition = record.partition();
            let restored = tasks.get_mut(&partition).expect("only these are assigned");
            let (decoder, at) = decoders.entry(partition).or_default();
            *at = record.offset();
            self.apply(restored, decoder, record)
        });
        read.map_err(|error| match error {
            ReadError::Kafka(source) => self.failed(source),
            ReadError::Stalled { .. } => {
                RestoreFailure::Stalled { topic: self.changelog.name.clone(), after: STALLED }
            }
            ReadError::Stopped => RestoreFailure::Stopped,
            ReadError::Record(failure) => failure,
        })?;
        for (partition, (decoder, at)) in decoders {
            decoder.finish().map_err(|source| self.unreadable(partition, at, source))?;
        }
        Ok(())
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
