//! The consumer group: which partitions are ours, and a queue of records for each.
//!
//! `session/rebalance.rs` says how a rebalance proceeds.

mod assigned_partition;
mod config;
mod context;
mod partition_time;
mod stall_timer;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kafka::{KafkaConfig, log_ends};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use tracing::debug;

use crate::config::JoinerSection;
use crate::topology::Topology;

use config::consumer_config;
use context::GroupContext;

pub(crate) use assigned_partition::AssignedPartition;
pub(crate) use context::Rebalance;
pub(crate) use partition_time::{PartitionTime, TURN};

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
    ) -> Result<Vec<AssignedPartition>, KafkaError> {
        let mut partitions = Vec::with_capacity(positions.count());
        for element in positions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let source = topology.source_of(topic, partition);
            let next_offset = element.offset().to_raw().unwrap_or_default();
            // Before assign(), or the first records would come by the common queue.
            let queue = self.consumer.split_partition_queue(topic, partition);
            let queue = queue.ok_or_else(|| {
                KafkaError::Subscription(format!("no queue for {topic}/{partition}"))
            })?;
            let place = (topic, partition);
            partitions.push(AssignedPartition::new(source, place, queue, next_offset));
        }
        self.consumer.assign(positions)?;
        Ok(partitions)
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

impl Drop for Group {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
        // Closing waits until all rebalances are answered, and one of them may be the reason why we leave.
        if let Err(error) = self.consumer.unassign() {
            debug!(%error, "giving up the partitions while closing");
        }
    }
}
