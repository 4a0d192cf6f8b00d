//! OffsetCommit, TxnOffsetCommit and OffsetDelete.
//!
//! The caller says which partitions exist. Kafka, too, checks that before it asks its group coordinator (`KafkaApis`).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use crate::clock::Millis;
use crate::group::{Commit, Coordinator, NewOffset};
use crate::storage::Change;

/// Whether a topic has a partition.
pub(crate) type Exists<'a> = &'a dyn Fn(&str, i32) -> bool;

/// The result for one partition.
type PartitionOutcome = Result<(), ResponseError>;

/// The offsets in a request to commit them. OffsetCommit and TxnOffsetCommit have the same fields in types of their
/// own.
macro_rules! new_offsets {
    ($topics:expr) => {{
        let offsets = $topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| NewOffset {
                topic: topic.name.as_str().to_owned(),
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.as_deref().unwrap_or_default().to_owned(),
            })
        });
        offsets.collect()
    }};
}

pub(crate) fn commit(
    coordinator: &mut Coordinator,
    request: &OffsetCommitRequest,
    version: i16,
    exists: Exists<'_>,
    now: Millis,
    changes: &mut Vec<Change>,
) -> OffsetCommitResponse {
    let commit = Commit {
        group: request.group_id.as_str().to_owned(),
        member_id: request.member_id.as_str().to_owned(),
        instance_id: request.group_instance_id.as_deref().map(str::to_owned),
        generation: request.generation_id_or_member_epoch,
        producer_id: None,
        offsets: new_offsets!(request.topics),
    };
    let mut outcomes = commit_existing(coordinator, commit, version >= 9, exists, now, changes);
    let topics = each_partition!(
        request.topics => OffsetCommitResponseTopic, OffsetCommitResponsePartition,
        code(outcomes.next().expect("there is one for each partition"))
    );
    OffsetCommitResponse::default().with_topics(topics)
}

/// The caller has checked that the producer has an open transaction with this group.
pub(crate) fn commit_in_transaction(
    coordinator: &mut Coordinator,
    request: &TxnOffsetCommitRequest,
    exists: Exists<'_>,
    now: Millis,
    changes: &mut Vec<Change>,
) -> TxnOffsetCommitResponse {
    let commit = Commit {
        group: request.group_id.as_str().to_owned(),
        member_id: request.member_id.as_str().to_owned(),
        instance_id: request.group_instance_id.as_deref().map(str::to_owned),
        generation: request.generation_id,
        producer_id: Some(request.producer_id.0),
        offsets: new_offsets!(request.topics),
    };
    let mut outcomes = if commit.group.is_empty() {
        vec![Err(ResponseError::InvalidGroupId); commit.offsets.len()].into_iter()
    } else {
        commit_existing(coordinator, commit, false, exists, now, changes)
    };
    let topics = each_partition!(
        request.topics => TxnOffsetCommitResponseTopic, TxnOffsetCommitResponsePartition,
        code(outcomes.next().expect("there is one for each partition"))
    );
    TxnOffsetCommitResponse::default().with_topics(topics)
}

/// Commits the offsets of partitions that exist. Without any, the coordinator isn't asked.
fn commit_existing(
    coordinator: &mut Coordinator,
    mut commit: Commit,
    knows_missing_groups: bool,
    exists: Exists<'_>,
    now: Millis,
    changes: &mut Vec<Change>,
) -> std::vec::IntoIter<PartitionOutcome> {
    let existing: Vec<bool> =
        commit.offsets.iter().map(|new| exists(&new.topic, new.partition)).collect();
    let mut is_there = existing.iter().copied();
    commit.offsets.retain(|_| is_there.next().unwrap_or(false));

    let count = commit.offsets.len();
    let committed = match count {
        0 => Ok(Vec::new()),
        _ => coordinator.commit(commit, now, changes),
    };
    let committed = committed.unwrap_or_else(|error| {
        let error = match error {
            // Older versions know this error instead.
            ResponseError::GroupIdNotFound if !knows_missing_groups => {
                ResponseError::IllegalGeneration
            }
            error => error,
        };
        vec![Err(error); count]
    });
    merge(&existing, committed)
}

/// The results in the order of the request: those of the coordinator, and an error for partitions that don't exist.
fn merge(
    existing: &[bool],
    outcomes: Vec<PartitionOutcome>,
) -> std::vec::IntoIter<PartitionOutcome> {
    let mut outcomes = outcomes.into_iter();
    let mut outcome_of = |is_there: &bool| {
        let outcome = if *is_there { outcomes.next() } else { None };
        outcome.unwrap_or(Err(ResponseError::UnknownTopicOrPartition))
    };
    existing.iter().map(&mut outcome_of).collect::<Vec<_>>().into_iter()
}

pub(crate) fn delete(
    coordinator: &mut Coordinator,
    request: &OffsetDeleteRequest,
    exists: Exists<'_>,
    changes: &mut Vec<Change>,
) -> OffsetDeleteResponse {
    let response = OffsetDeleteResponse::default();
    let mut existing = Vec::new();
    let mut wanted = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let is_there = exists(&topic.name, partition.partition_index);
            existing.push(is_there);
            if is_there {
                wanted.push((topic.name.as_str().to_owned(), partition.partition_index));
            }
        }
    }
    let mut outcomes = match coordinator.delete_offsets(&request.group_id, &wanted, changes) {
        Ok(outcomes) => merge(&existing, outcomes),
        Err(error) => return response.with_error_code(error.code()),
    };
    let topics = each_partition!(
        request.topics => OffsetDeleteResponseTopic, OffsetDeleteResponsePartition,
        code(outcomes.next().expect("there is one for each partition"))
    );
    response.with_topics(topics)
}

fn code(outcome: PartitionOutcome) -> i16 {
    outcome.map_or_else(|error| error.code(), |()| 0)
}

#[cfg(test)]
mod tests;
