//! OffsetFetch. Up to version 7 a request names one group, from 8 on a list (KIP-709).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::distinct;
use crate::group::{Committed, Coordinator};

/// The last version with one group instead of a list.
pub(super) const ONE_GROUP: i16 = 7;

/// A topic and the partitions that are asked for.
type WantedTopic = (TopicName, Vec<i32>);

/// The committed offset of a partition, if there is one, or an error.
type FoundCommit<'a> = Result<Option<&'a Committed>, ResponseError>;

pub(crate) fn fetch(
    coordinator: &Coordinator,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if version > ONE_GROUP {
        let groups = distinct(request.groups, |group| group.group_id.clone());
        let groups = groups.into_iter().map(|group| {
            let wanted = group.topics.map(|topics| {
                once(
                    topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect(),
                )
            });
            let wanted = wanted.unwrap_or_else(|| committed_topics(coordinator, &group.group_id));
            let topics = wanted.into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|partition| {
                    let found =
                        coordinator.committed(&group.group_id, &name, partition, require_stable);
                    in_batch(partition, found)
                });
                let partitions = partitions.collect();
                OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions)
            });
            let topics = topics.collect();
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }

    let group = request.group_id;
    let wanted = request.topics.map(|topics| {
        once(topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect())
    });
    let wanted: Vec<WantedTopic> = wanted.unwrap_or_else(|| committed_topics(coordinator, &group));
    let topics = wanted.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|partition| {
            alone(partition, coordinator.committed(&group, &name, partition, require_stable))
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions)
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

/// Each topic and each of its partitions once.
fn once(wanted: Vec<WantedTopic>) -> Vec<WantedTopic> {
    let wanted = distinct(wanted, |(name, _)| name.clone()).into_iter();
    wanted.map(|(name, partitions)| (name, distinct(partitions, |index| *index))).collect()
}

/// All topics and partitions with committed offsets, for a request that names no topics.
fn committed_topics(coordinator: &Coordinator, group: &str) -> Vec<WantedTopic> {
    let mut topics: Vec<WantedTopic> = Vec::new();
    for (topic, partition) in coordinator.committed_partitions(group) {
        match topics.last_mut() {
            Some((name, partitions)) if name.as_str() == topic => partitions.push(partition),
            _ => topics.push((TopicName(topic.to_owned().into()), vec![partition])),
        }
    }
    topics
}

fn alone(partition: i32, found: FoundCommit<'_>) -> OffsetFetchResponsePartition {
    let (offset, leader_epoch, metadata, error_code) = fields(found);
    OffsetFetchResponsePartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(leader_epoch)
        .with_metadata(Some(metadata))
        .with_error_code(error_code)
}

fn in_batch(partition: i32, found: FoundCommit<'_>) -> OffsetFetchResponsePartitions {
    let (offset, leader_epoch, metadata, error_code) = fields(found);
    OffsetFetchResponsePartitions::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(leader_epoch)
        .with_metadata(Some(metadata))
        .with_error_code(error_code)
}

fn fields(found: FoundCommit<'_>) -> (i64, i32, StrBytes, i16) {
    match found {
        Ok(Some(committed)) => {
            (committed.offset, committed.leader_epoch, committed.metadata.clone().into(), 0)
        }
        Ok(None) => (-1, -1, StrBytes::default(), 0),
        Err(error) => (-1, -1, StrBytes::default(), error.code()),
    }
}
