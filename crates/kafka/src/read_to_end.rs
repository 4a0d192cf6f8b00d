//! Reading partitions of a topic up to where they ended when they were asked.
//!
//! librdkafka tells the end of a partition (`PartitionEOF`) whenever a broker's answer ends where that broker's log
//! does. A leader that is new, or a follower, may not know yet how much of the log is committed, and then tells an end
//! that lies before the real one. So the ends are asked for once, and the position is compared with them, as Kafka
//! Streams does (`StoreChangelogReader.hasRestoredToEnd`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tracing::debug;

use crate::{LogContext, log_ends};

const POLL: Duration = Duration::from_millis(100);
/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// Reads one topic without being a member of a consumer group.
pub struct TopicReader {
    client: ClientConfig,
    consumer: BaseConsumer<LogContext>,
    topic: String,
    request_timeout: Duration,
    knows_leaders: bool,
}

/// A part of a partition: the offsets `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// The partition.
    pub partition: Partition,
    /// The first offset. Where records were deleted since, reading begins with the oldest that is left.
    pub from: i64,
    /// The offset behind the last one.
    pub to: i64,
}

/// How far a reader is, in offsets of all its ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many offsets are behind it.
    pub read: i64,
    /// How many there are.
    pub all: i64,
}

/// How a read is watched from outside.
pub struct Watch<'a> {
    /// How long nothing may come before reading is given up.
    pub patience: Duration,
    /// Asked all the time: whether to stop.
    pub stop: &'a dyn Fn() -> bool,
    /// Told each second how far it is.
    pub progress: &'a dyn Fn(Progress),
}

/// Why ranges were not read to their ends. `E` is the error of the caller's own function.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// Kafka could not be asked.
    #[error(transparent)]
    Kafka(KafkaError),
    /// Nothing came for as long as [`Watch::patience`] says.
    #[error("nothing came for too long")]
    Stalled {
        /// The last that librdkafka said of it; it tries again by itself whatever it says.
        last: Option<KafkaError>,
    },
    /// [`Watch::stop`] said so.
    #[error("stopped while reading")]
    Stopped,
    /// The caller's function could not take a record.
    #[error(transparent)]
    Record(E),
}

impl TopicReader {
    /// A reader of `topic` that sees committed records only. Doesn't connect yet. A question to Kafka may take
    /// `request_timeout`; `client` is [`KafkaConfig::client`](crate::KafkaConfig::client) with what the caller adds.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the configuration.
    pub fn new(
        mut client: ClientConfig,
        topic: &str,
        request_timeout: Duration,
    ) -> Result<Self, KafkaError> {
        if client.get("group.id").is_none() {
            // A group is needed to assign partitions, though it is never joined.
            client.set("group.id", "tripstream-reader");
        }
        client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        client.set("enable.partition.eof", "true");
        client.set("isolation.level", "read_committed");
        // Records may be deleted while they are read: then the oldest that is left is where to go on. The default
        // would be to go on at the end, and to miss all between.
        client.set("auto.offset.reset", "earliest");
        // Its default of a second stalls a reader of a backlog whenever its queue was full.
        client.set("fetch.queue.backoff.ms", "5");
        // How long the broker waits for more at the end of a partition before it says that this is the end.
        client.set("fetch.wait.max.ms", "10");
        // With it, a follower near by may answer, which need not know all yet that the leader does.
        client.remove("client.rack");
        let consumer = client.create_with_context(LogContext::default())?;
        let topic = topic.to_owned();
        Ok(Self { client, consumer, topic, request_timeout, knows_leaders: false })
    }

    /// The offset behind the last record that can be read, of each of `partitions`: before the first open transaction.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// If Kafka doesn't say so in time.
    pub fn ends(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, KafkaError> {
        self.learn_leaders()?;
        log_ends::ends(&self.consumer, self.of_topic(partitions), self.request_timeout)
    }

    /// As [`TopicReader::ends`], but behind the records of open transactions, too.
    ///
    /// # Errors
    ///
    /// If Kafka doesn't say so in time.
    pub fn written_ends(&self, partitions: &[Partition]) -> Result<Vec<i64>, KafkaError> {
        let mut client = self.client.clone();
        client.set("isolation.level", "read_uncommitted");
        let uncommitted: BaseConsumer<LogContext> =
            client.create_with_context(LogContext::default())?;
        uncommitted.fetch_metadata(Some(&self.topic), self.request_timeout)?;
        log_ends::ends(&uncommitted, self.of_topic(partitions), self.request_timeout)
    }

    /// All that can be read of `partitions`, from where each begins to where it ends. Blocks.
    ///
    /// # Errors
    ///
    /// If Kafka doesn't say so in time.
    pub fn extent(&mut self, partitions: &[Partition]) -> Result<Vec<OffsetRange>, KafkaError> {
        self.learn_leaders()?;
        let starts = self.of_topic(partitions);
        let starts = log_ends::starts(&self.consumer, starts, self.request_timeout)?;
        let ends = self.ends(partitions)?;
        let offsets = starts.into_iter().zip(ends);
        let range = |(&partition, (from, to))| OffsetRange { partition, from, to };
        Ok(partitions.iter().zip(offsets).map(range).collect())
    }

    /// Passes the records of `ranges` (one a partition) to `record`, in order within each partition, until all are
    /// read. Blocks.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; some records may have been passed on by then.
    pub fn read<E>(
        &mut self,
        ranges: &[OffsetRange],
        watch: &Watch<'_>,
        mut record: impl FnMut(&BorrowedMessage<'_>) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        self.learn_leaders().map_err(ReadError::Kafka)?;
        let mut assignment = TopicPartitionList::new();
        for range in ranges.iter().filter(|range| range.from < range.to) {
            let from = Offset::Offset(range.from);
            assignment
                .add_partition_offset(&self.topic, range.partition, from)
                .map_err(ReadError::Kafka)?;
        }
        if assignment.count() == 0 {
            return Ok(());
        }
        // Each time anew: the end of a partition is told once for an assignment unless something comes.
        self.consumer.assign(&assignment).map_err(ReadError::Kafka)?;
        let outcome = self.read_assigned(ranges, watch, &mut record);
        let unassigned = self.consumer.unassign().map_err(ReadError::Kafka);
        outcome.and(unassigned)
    }

    fn read_assigned<E>(
        &self,
        ranges: &[OffsetRange],
        watch: &Watch<'_>,
        record: &mut impl FnMut(&BorrowedMessage<'_>) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let unread = ranges.iter().filter(|range| range.from < range.to);
        // What is left of each range.
        let mut unread: BTreeMap<Partition, OffsetRange> =
            unread.map(|range| (range.partition, *range)).collect();
        let mut heard = Instant::now();
        let mut told = heard;
        let mut last = None;
        while !unread.is_empty() {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    // After the end there may be more, which came with the same answer of the broker.
                    if let Some(left) = unread.get_mut(&partition)
                        && offset < left.to
                    {
                        record(&message).map_err(ReadError::Record)?;
                        left.from = offset + 1;
                        if left.from >= left.to {
                            unread.remove(&partition);
                        }
                    } else {
                        unread.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    heard = Instant::now();
                    // If not, librdkafka goes on from there by itself.
                    if let Some(left) = unread.get(&partition)
                        && self.is_past(left).map_err(ReadError::Kafka)?
                    {
                        unread.remove(&partition);
                    }
                }
                Some(Err(error)) => {
                    debug!(topic = self.topic, %error, "reading to the end");
                    last = Some(error);
                }
                None => {}
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                (watch.progress)(Progress::of(ranges, &unread));
            }
            if (watch.stop)() {
                return Err(ReadError::Stopped);
            }
            if heard.elapsed() > watch.patience {
                return Err(ReadError::Stalled { last });
            }
        }
        Ok(())
    }

    /// Whether there is nothing more to come of a range at whose last record a broker tells the end. Behind that record
    /// may be what is never handed over: the markers that end transactions, and the records of aborted ones.
    fn is_past(&self, left: &OffsetRange) -> Result<bool, KafkaError> {
        // Counts the markers.
        let position = self.consumer.position()?;
        let position = position.find_partition(&self.topic, left.partition);
        if let Some(Offset::Offset(position)) = position.map(|position| position.offset())
            && position >= left.to
        {
            return Ok(true);
        }
        // Nothing is left of a log whose records were deleted, so nothing moves the position.
        let starts = self.of_topic(std::slice::from_ref(&left.partition));
        let starts = log_ends::starts(&self.consumer, starts, self.request_timeout)?;
        Ok(starts[0] >= left.to)
    }

    /// Asked for once it is wanted, a partition's leader is known a second later only.
    fn learn_leaders(&mut self) -> Result<(), KafkaError> {
        if !self.knows_leaders {
            self.consumer.fetch_metadata(Some(&self.topic), self.request_timeout)?;
            self.knows_leaders = true;
        }
        Ok(())
    }

    fn of_topic<'a>(
        &'a self,
        partitions: &'a [Partition],
    ) -> impl Iterator<Item = (&'a str, Partition)> {
        partitions.iter().map(|&partition| (self.topic.as_str(), partition))
    }
}

impl Progress {
    /// How much of it is read, in percent.
    pub fn percent(self) -> i64 {
        (self.read * 100).checked_div(self.all).unwrap_or(100)
    }

    fn of(ranges: &[OffsetRange], unread: &BTreeMap<Partition, OffsetRange>) -> Self {
        let sum = |ranges: &mut dyn Iterator<Item = &OffsetRange>| -> i64 {
            ranges.map(|range| (range.to - range.from).max(0)).sum()
        };
        let all = sum(&mut ranges.iter());
        Self { read: all - sum(&mut unread.values()), all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_percent() {
        assert_eq!(Progress { read: 40, all: 160 }.percent(), 25);
        assert_eq!(Progress { read: 0, all: 0 }.percent(), 100);
    }
}
