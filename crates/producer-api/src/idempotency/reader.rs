//! From the topic of keys to what is known.

use std::time::{Duration, Instant};

use kafka::{KafkaConfig, LogContext, log_ends};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use tracing::{debug, warn};

use super::entry::Entry;
use super::key::Key;
use crate::error::Error;

/// The only partition that is used: who writes to it has read it to its end, so it has one order.
pub(crate) const PARTITION: Partition = 0;
const POLL: Duration = Duration::from_millis(100);
/// How long nothing may come before reading is given up for this time.
const STALLED: Duration = Duration::from_secs(3);

/// Why the topic was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("reading topic {topic}: {source}")]
    Kafka { topic: String, source: KafkaError },
    #[error("reading topic {topic}: nothing came for {STALLED:?}{}", because(.last.as_ref()))]
    Stalled { topic: String, last: Option<KafkaError> },
}

fn because(last: Option<&KafkaError>) -> String {
    last.map_or_else(String::new, |error| format!(" ({error})"))
}

/// Reads the topic from where it came to last.
pub(crate) struct Reader {
    consumer: BaseConsumer<LogContext>,
    topic: String,
    next: Offset,
}

impl Reader {
    pub(crate) fn new(kafka: &KafkaConfig, topic: &str) -> Result<Self, Error> {
        let mut client = kafka.client()?;
        // A group is needed to assign partitions, though it is never joined.
        client.set("group.id", "tripstream-producer-idempotency");
        client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        client.set("enable.partition.eof", "true");
        client.set("isolation.level", "read_committed");
        client.set("auto.offset.reset", "earliest");
        // How long the broker waits for more at the end of the partition before it says that this is the end.
        client.set("fetch.wait.max.ms", "10");
        client.set("reconnect.backoff.max.ms", "1000");
        // With it, a follower near by may answer, which need not know all yet that the leader does.
        client.remove("client.rack");
        let consumer =
            client.create_with_context(LogContext::default()).map_err(Error::Producer)?;
        Ok(Self { consumer, topic: topic.to_owned(), next: Offset::Beginning })
    }

    /// Hands over every record up to the end of what is committed when this is called. Blocks.
    pub(crate) fn catch_up(
        &mut self,
        mut apply: impl FnMut(Key, Option<Entry>),
    ) -> Result<(), ReadError> {
        if self.next == Offset::Beginning {
            // Asked for once it is wanted, a partition's leader is known a second later only.
            let metadata = self.consumer.fetch_metadata(Some(&self.topic), STALLED);
            metadata.map_err(|source| self.failed(source))?;
        }
        let partition = [(self.topic.as_str(), PARTITION)];
        let ends = log_ends::ends(&self.consumer, partition, STALLED);
        let end = ends.map_err(|source| self.failed(source))?[0];
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, PARTITION, self.next)
            .expect("an offset that was read is valid");
        // Each time anew: the end of a partition is told once for an assignment unless something comes.
        self.consumer.assign(&assignment).map_err(|source| self.failed(source))?;
        let read = self.read(end, &mut apply);
        let unassigned = self.consumer.unassign().map_err(|source| self.failed(source));
        read.and(unassigned)
    }

    fn read(
        &mut self,
        end: i64,
        apply: &mut impl FnMut(Key, Option<Entry>),
    ) -> Result<(), ReadError> {
        let mut heard = Instant::now();
        let mut last = None;
        loop {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    self.next = Offset::Offset(message.offset() + 1);
                    match parse(message.key(), message.payload()) {
                        Ok((key, entry)) => apply(key, entry),
                        Err(reason) => warn!(
                            topic = self.topic,
                            offset = message.offset(),
                            "a record is no idempotency key and is left out: {reason}"
                        ),
                    }
                }
                // A leader that is new may not know yet how much of its log is committed, and tells an end before the
                // real one. It goes on from there by itself.
                Some(Err(KafkaError::PartitionEOF(_))) if self.is_at(end)? => return Ok(()),
                Some(Err(error)) => {
                    debug!(%error, "reading idempotency keys");
                    last = Some(error);
                }
                None => {}
            }
            if heard.elapsed() > STALLED {
                return Err(ReadError::Stalled { topic: self.topic.clone(), last });
            }
        }
    }

    /// Whether all before `end` was read.
    fn is_at(&self, end: i64) -> Result<bool, ReadError> {
        if self.next == Offset::Offset(end) {
            return Ok(true);
        }
        // Unlike `next`, this counts the markers that end transactions.
        let position = self.consumer.position().map_err(|source| self.failed(source))?;
        let position = position.find_partition(&self.topic, PARTITION);
        if let Some(Offset::Offset(position)) = position.map(|position| position.offset())
            && position >= end
        {
            return Ok(true);
        }
        // Nothing is left of a log whose records were deleted, so nothing moves the position.
        let partition = [(self.topic.as_str(), PARTITION)];
        let starts = log_ends::starts(&self.consumer, partition, STALLED);
        Ok(starts.map_err(|source| self.failed(source))?[0] >= end)
    }

    fn failed(&self, source: KafkaError) -> ReadError {
        ReadError::Kafka { topic: self.topic.clone(), source }
    }
}

fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(Key, Option<Entry>), String> {
    let key =
        Key::from_bytes(key.unwrap_or_default()).map_err(|error| format!("its key {error}"))?;
    let entry = value.map(Entry::from_value).transpose();
    entry.map(|entry| (key, entry)).map_err(|error| error.to_string())
}
