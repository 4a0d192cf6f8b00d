//! A partition that the group has assigned to this process.

use std::time::Instant;

use avro_schemas::SchemaId;
use models::Partition;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::message::OwnedMessage;

use super::context::GroupContext;
use super::partition_time::PartitionTime;
use super::stall_timer::StallTimer;
use crate::source_partition::SourcePartition;

/// One assigned partition.
///
/// Each has a queue of its own, so that one partition can be paused and the others are read. It also tells the end of
/// this partition from the end of another topic's partition with the same number.
pub(crate) struct AssignedPartition {
    pub(crate) source: SourcePartition,
    pub(crate) topic: String,
    pub(crate) partition: Partition,
    pub(crate) queue: PartitionQueue<GroupContext>,
    /// The offset to read next: that of the last processed record, plus one.
    pub(crate) next_offset: i64,
    /// Whether a record was processed whose offset isn't committed yet.
    pub(crate) uncommitted: bool,
    /// A row that waits for its schema. No record behind it is read.
    pub(crate) awaits_schema: Option<(OwnedMessage, SchemaId)>,
    /// How far it has come in event time.
    pub(crate) time: PartitionTime,
    /// It has come too far to be read in this round.
    pub(crate) is_paused: bool,
    /// Runs while a row or the end of the partition is due.
    pub(crate) stall_timer: StallTimer,
}

impl AssignedPartition {
    /// A partition that is read from `next_offset` on.
    pub(super) fn new(
        source: SourcePartition,
        (topic, partition): (&str, Partition),
        queue: PartitionQueue<GroupContext>,
        next_offset: i64,
    ) -> Self {
        Self {
            source,
            topic: topic.to_owned(),
            partition,
            queue,
            next_offset,
            uncommitted: false,
            awaits_schema: None,
            time: PartitionTime::START,
            is_paused: false,
            stall_timer: StallTimer::new(Instant::now()),
        }
    }
}
