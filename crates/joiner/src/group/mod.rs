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
pub(crate) struct GroupMember {
    consumer: Arc<BaseConsumer<GroupContext>>,
}

impl GroupMember {
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

    /// Serves the membership; waits for at most `timeout` until something happens. It must be called regularly, or the
    /// group drops us (`max.poll.interval.ms`).
    ///
    /// # Errors
    ///
    /// If the consumer is of no use any more.
    pub(crate) fn serve(&self, timeout: Duration) -> Result<Option<Rebalance>, KafkaError> {
        match self.consumer.poll(timeout) {
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            Some(Err(error)) => debug!(%error, "consumer"),
            // Each partition has a queue of its own. This record came by another way, and going on would skip it.
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

    /// The offset to read each of `partitions` from: the committed one, or the first one if none is committed.
    ///
    /// None while a transaction is under way that contains an offset of one of them. Once there is an answer, a former
    /// owner can't commit any more: a transaction that sends its offsets later names an old generation of the group,
    /// and Kafka refuses it.
    ///
    /// # Errors
    ///
    /// If Kafka can't be asked. A time-out or a partition without a leader is not an error, but None.
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
                // Each partition has an answer of its own. An error must not be taken for "no offset is committed".
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

    /// Takes the partitions. They are read from `positions` on.
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

    /// Our membership in the group's present generation. A transaction that names it fails if the group has a newer
    /// generation.
    ///
    /// It must be taken once for each assignment. Later it may be that of a generation in which the partitions are no
    /// longer ours; and after the group has dropped us it is empty, which Kafka accepts without a check.
    pub(crate) fn membership(&self) -> ConsumerGroupMetadata {
        self.consumer.group_metadata().expect("the consumer has a group")
    }

    /// The end offset of a partition of another topic.
    pub(crate) fn end_of(
        &self,
        topic: &str,
        partition: Partition,
        timeout: Duration,
    ) -> Result<i64, KafkaError> {
        Ok(log_ends::ends(&self.consumer, [(topic, partition)], timeout)?[0])
    }
}

/// Whether the same request may succeed soon.
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

impl Drop for GroupMember {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
        // Closing waits until all rebalances are answered. One of them may be the reason why the session has ended.
        if let Err(error) = self.consumer.unassign() {
            debug!(%error, "giving up the partitions while closing");
        }
    }
}
