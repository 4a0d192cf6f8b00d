//! The consumer group: which partitions are ours, and their records one partition at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka::{KafkaConfig, LogContext, log_ends};
use models::{Partition, Side};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use tracing::debug;

use avro_schemas::SchemaId;

use crate::config::JoinerSection;
use crate::pulse::Pulse;
use crate::session::Position;
use crate::topology::Topology;

/// A change of the assignment. Nothing is read before it is answered.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// Answer with [`Group::assign`].
    Assigned(TopicPartitionList),
    /// Answer with [`Group::unassign`].
    Revoked,
}

/// Notes rebalances for the loop, which answers them outside of librdkafka's callback: it has a transaction to
/// commit before, and a state to restore after.
#[derive(Default)]
pub(crate) struct GroupContext {
    log: LogContext,
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// Nobody listens any more.
    closing: AtomicBool,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                debug!(%error, "giving up the partitions while closing");
            }
            return;
        }
        let rebalance = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Rebalance::Assigned(partitions.clone())
            }
            _ => Rebalance::Revoked,
        };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}

/// What a consumed partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A partition of an input.
    Input(Side, Partition),
    /// A partition of the repartition topic.
    Repartition(Partition),
}

impl Source {
    /// Its number in its topic.
    pub(crate) const fn partition(self) -> Partition {
        match self {
            Self::Input(_, partition) | Self::Repartition(partition) => partition,
        }
    }

    /// The task that reads it, of `tasks`.
    pub(crate) const fn task(self, tasks: Partition) -> usize {
        match self {
            Self::Input(_, partition) => (partition % tasks) as usize,
            Self::Repartition(partition) => partition as usize,
        }
    }
}

/// One assigned partition. Each has a queue of its own, so that it can wait without the others, and the end of
/// it is told apart from the end of another topic's partition with the same number.
pub(crate) struct Feed {
    pub(crate) source: Source,
    pub(crate) topic: String,
    pub(crate) partition: Partition,
    pub(crate) queue: PartitionQueue<GroupContext>,
    /// The offset to read next: that of the last row that was dealt with, plus one.
    pub(crate) next: i64,
    /// Whether something was read that isn't committed yet.
    pub(crate) uncommitted: bool,
    /// A row that waits for its schema. Nothing behind it is read.
    pub(crate) held: Option<(OwnedMessage, SchemaId)>,
    /// How far it has come.
    pub(crate) position: Position,
    /// Has come too far to be read now.
    pub(crate) waits: bool,
    /// Whether it says what it has to say.
    pub(crate) pulse: Pulse,
}

impl Feed {
    /// The record at `offset` is dealt with.
    pub(crate) const fn done(&mut self, offset: i64) {
        self.next = offset + 1;
        self.uncommitted = true;
    }
}

/// Membership in the consumer group.
pub(crate) struct Group {
    consumer: Arc<BaseConsumer<GroupContext>>,
}

impl Group {
    /// Joins the group. Partitions come with a [`Rebalance`].
    pub(crate) fn join(
        kafka: &KafkaConfig,
        section: &JoinerSection,
        topology: &Topology,
    ) -> Result<Self, KafkaError> {
        let client = consumer_config(kafka, section);
        let consumer: BaseConsumer<GroupContext> =
            client.create_with_context(GroupContext::default())?;
        consumer.subscribe(&topology.consumed())?;
        Ok(Self { consumer: Arc::new(consumer) })
    }

    /// Serves the membership, for as long as `timeout` if nothing happens. To be called regularly, or the group
    /// takes us for dead (`max.poll.interval.ms`).
    ///
    /// # Errors
    ///
    /// If the consumer is of no use any more.
    pub(crate) fn serve(&self, timeout: Duration) -> Result<Option<Rebalance>, KafkaError> {
        match self.consumer.poll(timeout) {
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            Some(Err(error)) => debug!(%error, "consumer"),
            // All partitions have queues of their own. If one had lost its queue, going on would skip the record.
            Some(Ok(message)) => {
                let place = format!("{}/{}", message.topic(), message.partition());
                return Err(KafkaError::Subscription(format!("{place} has lost its queue")));
            }
            None => {}
        }
        let mut rebalances =
            self.consumer.context().rebalances.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rebalances.pop_front())
    }

    /// Where each of `partitions` goes on: at its committed offset, or at its beginning if it has none.
    ///
    /// None while the offset of one is part of a transaction that is under way. When there is an answer, every
    /// transaction that a former owner could still commit is committed: one that names its offsets later is of an
    /// old generation of the group, and refused.
    ///
    /// # Errors
    ///
    /// If Kafka can't be asked. No answer in time, or no leader yet, is no error.
    pub(crate) fn positions(
        &self,
        partitions: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<Option<TopicPartitionList>, KafkaError> {
        let committed = match self.consumer.committed_offsets(partitions.clone(), timeout) {
            Err(error) if is_passing(&error) => return Ok(None),
            committed => committed?,
        };
        let elements = committed.elements();
        for element in &elements {
            match element.error() {
                // Each partition has an answer of its own, and one that is not known must not pass for "none".
                Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnstableOffsetCommit)) => {
                    return Ok(None);
                }
                outcome => outcome?,
            }
        }
        let is_known = |offset: Offset| matches!(offset, Offset::Offset(_));
        let new = elements.iter().filter(|element| !is_known(element.offset()));
        let new = new.map(|element| (element.topic(), element.partition()));
        let starts = match log_ends::starts(&self.consumer, new, timeout) {
            Err(error) if is_passing(&error) => return Ok(None),
            starts => starts?,
        };
        let mut starts = starts.into_iter().map(Offset::Offset);
        let mut positions = TopicPartitionList::with_capacity(partitions.count());
        for element in &elements {
            let known = Some(element.offset()).filter(|offset| is_known(*offset));
            let offset = known.or_else(|| starts.next()).expect("each new one has been asked for");
            positions.add_partition_offset(element.topic(), element.partition(), offset)?;
        }
        Ok(Some(positions))
    }

    /// Takes the partitions. They are read from `positions`.
    pub(crate) fn assign(
        &self,
        positions: &TopicPartitionList,
        topology: &Topology,
    ) -> Result<Vec<Feed>, KafkaError> {
        let mut feeds = Vec::with_capacity(positions.count());
        for element in positions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let source = source_of(topic, partition, topology);
            let next = element.offset().to_raw().unwrap_or_default();
            // Before assign(), or the first records would come by the common queue.
            let queue = self.consumer.split_partition_queue(topic, partition);
            let queue = queue.ok_or_else(|| {
                KafkaError::Subscription(format!("no queue for {topic}/{partition}"))
            })?;
            let topic = topic.to_owned();
            let pulse = Pulse::new(Instant::now());
            let (uncommitted, held, waits) = (false, None, false);
            feeds.push(Feed {
                source,
                topic,
                partition,
                queue,
                next,
                uncommitted,
                held,
                position: Position::START,
                waits,
                pulse,
            });
        }
        self.consumer.assign(positions)?;
        Ok(feeds)
    }

    /// Gives the partitions back.
    pub(crate) fn unassign(&self) -> Result<(), KafkaError> {
        self.consumer.unassign()
    }

    /// Whether the partitions may already be another member's.
    pub(crate) fn assignment_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// Our membership in the group's present generation. A transaction that names it fails if the group has gone
    /// on without us.
    ///
    /// To be taken once, with the partitions: later it may be one that no longer owns them, or, after the group has
    /// thrown us out, nobody's, which Kafka accepts unchecked.
    pub(crate) fn membership(&self) -> ConsumerGroupMetadata {
        self.consumer.group_metadata().expect("the consumer has a group")
    }

    /// Where a partition of another topic ends now.
    pub(crate) fn end_of(
        &self,
        topic: &str,
        partition: Partition,
        timeout: Duration,
    ) -> Result<i64, KafkaError> {
        Ok(log_ends::ends(&self.consumer, [(topic, partition)], timeout)?[0])
    }
}

/// Whether it is worth while to ask again soon.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::OperationTimedOut
        )
    )
}

/// What a partition of one of the consumed topics is.
pub(crate) fn source_of(topic: &str, partition: Partition, topology: &Topology) -> Source {
    let side = Side::ALL.into_iter().find(|side| topology.inputs[side.index()].name == topic);
    side.map_or(Source::Repartition(partition), |side| Source::Input(side, partition))
}

impl Drop for Group {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
        // Closing waits until all rebalances are answered, and one of them may be the reason why we leave.
        if let Err(error) = self.consumer.unassign() {
            debug!(%error, "giving up the partitions while closing");
        }
    }
}

fn consumer_config(kafka: &KafkaConfig, section: &JoinerSection) -> ClientConfig {
    let mut client = kafka.client().expect("validated with the configuration");
    client.set("group.id", &section.group_id);
    if let Some(instance) = section.instance() {
        client.set("group.instance.id", format!("{}-{instance}", section.group_id));
    }
    let fixed = [
        // Offsets go with the transactions.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "earliest"),
        // The same partition numbers of all topics together.
        ("partition.assignment.strategy", "range"),
        // The end of a partition is what idleness counts from.
        ("enable.partition.eof", "true"),
    ];
    for (name, value) in fixed {
        client.set(name, value);
    }
    let tuned = [
        // The default, a second, makes a backlog of several topics stall.
        ("fetch.queue.backoff.ms", "5"),
        // One request asks for all partitions that are not full. If those that have something are full at the moment, it
        // asks for the rest alone, which have nothing, and waits; and until it is answered nothing else is asked for.
        ("fetch.wait.max.ms", "10"),
        // Per partition, of which there are many.
        ("queued.max.messages.kbytes", "512"),
        ("max.partition.fetch.bytes", "262144"),
        // After a crash the partitions are free again in 10 s instead of 45 s.
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "3000"),
    ];
    for (name, value) in tuned {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
}
