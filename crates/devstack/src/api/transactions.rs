//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, and the APIs that list and describe transactions.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use kafka_protocol::messages::list_transactions_response::{
    ListTransactionsResponse, TransactionState as ListedTransaction,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::{code, distinct};
use crate::batch::Marker;
use crate::broker::{Broker, BrokerState};
use crate::log::producers::Active;
use crate::storage::LogId;
use crate::transactions::{ProducerClaim, Status};

/// Assigns a producer id, or the next epoch of a transactional id.
pub(crate) fn init_producer_id(
    broker: &Broker,
    request: &InitProducerIdRequest,
    version: i16,
) -> InitProducerIdResponse {
    let id = request.transactional_id.as_ref().map(|id| &***id);
    let known = request.producer_id.0 >= 0;
    let claim = known.then(|| claim(request.producer_id, request.producer_epoch));
    let initialised = broker.update(|state, now, effects| {
        let changes = &mut effects.changes;
        let timeout_ms = request.transaction_timeout_ms;
        let (claim, ended) = state.transactions.initialise(id, timeout_ms, claim, changes)?;
        if let Some(ended) = ended {
            state.conclude(ended, now, changes);
        }
        Ok(claim)
    });
    let response = InitProducerIdResponse::default();
    match initialised {
        Ok(ProducerClaim { producer_id, epoch }) => {
            response.with_producer_id(ProducerId(producer_id)).with_producer_epoch(epoch)
        }
        // Before KIP-588, clients knew only INVALID_PRODUCER_EPOCH.
        Err(error) => response
            .with_error_code(fenced_as(error, version, 4))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

/// Adds partitions to a transaction: all of them, or none.
pub(crate) fn add_partitions(
    broker: &Broker,
    request: AddPartitionsToTxnRequest,
    version: i16,
) -> AddPartitionsToTxnResponse {
    let claim = claim(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
    let outcome = broker.update(|state, now, effects| {
        let mut logs: Vec<LogId> = Vec::new();
        for topic in &request.v3_and_below_topics {
            for &partition in &topic.partitions {
                let log = state.topics.log(&topic.name, partition);
                logs.push(log.ok_or(ResponseError::UnknownTopicOrPartition)?);
            }
        }
        let id = &request.v3_and_below_transactional_id;
        state.transactions.add_logs(id, claim, logs, now, &mut effects.changes)
    });
    let error_of = |topic: &str, partition: i32| match outcome {
        Ok(()) => 0,
        Err(ResponseError::UnknownTopicOrPartition) => {
            let known = broker.look(|state| state.topics.log(topic, partition).is_some());
            code(if known {
                ResponseError::OperationNotAttempted
            } else {
                ResponseError::UnknownTopicOrPartition
            })
        }
        Err(error) => fenced_as(error, version, 2),
    };
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let results = topic.partitions.iter().map(|&partition| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(partition)
                .with_partition_error_code(error_of(&topic.name, partition))
        });
        let results = results.collect();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(results)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}

/// Adds the offsets of a group to a transaction.
pub(crate) fn add_offsets(
    broker: &Broker,
    request: &AddOffsetsToTxnRequest,
    version: i16,
) -> AddOffsetsToTxnResponse {
    let claim = claim(request.producer_id, request.producer_epoch);
    let added = broker.update(|state, now, effects| {
        let (id, group) = (&request.transactional_id, &request.group_id);
        state.transactions.add_group(id, claim, group, now, &mut effects.changes)
    });
    let error = added.map_or_else(|error| fenced_as(error, version, 2), |()| 0);
    AddOffsetsToTxnResponse::default().with_error_code(error)
}

/// Commits or aborts a transaction. Its markers, its offsets and its state are one change.
pub(crate) fn end(broker: &Broker, request: &EndTxnRequest, version: i16) -> EndTxnResponse {
    let claim = claim(request.producer_id, request.producer_epoch);
    let end = if request.committed { Marker::Commit } else { Marker::Abort };
    let ended = broker.update(|state, now, effects| {
        let changes = &mut effects.changes;
        let id = &request.transactional_id;
        if let Some(ended) = state.transactions.end(id, claim, end, changes)? {
            state.conclude(ended, now, changes);
        }
        Ok(())
    });
    let error = ended.map_or_else(|error| fenced_as(error, version, 2), |()| 0);
    EndTxnResponse::default()
        .with_error_code(error)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

/// Describes the transactions of some transactional ids.
pub(crate) fn describe(
    broker: &Broker,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    broker.look(|state| {
        let partitions = partitions_by_log(state);
        let ids = distinct(request.transactional_ids, TransactionalId::clone).into_iter();
        let states = ids.map(|id| describe_one(state, &partitions, id));
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    })
}

fn partitions_by_log(state: &BrokerState) -> HashMap<LogId, (&str, i32)> {
    let topics = state.topics.iter();
    let partitions = topics.flat_map(|(name, topic)| {
        (0..).zip(&topic.logs).map(|(partition, log)| (*log, (name.as_str(), partition)))
    });
    partitions.collect()
}

fn describe_one(
    state: &BrokerState,
    partitions: &HashMap<LogId, (&str, i32)>,
    id: TransactionalId,
) -> TransactionState {
    let Some(transaction) = state.transactions.get(&id) else {
        let unknown = code(ResponseError::TransactionalIdNotFound);
        return TransactionState::default().with_error_code(unknown).with_transactional_id(id);
    };
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for &(topic, partition) in transaction.logs.iter().filter_map(|log| partitions.get(log)) {
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let name = TopicName(StrBytes::from_string(name.to_owned()));
        TopicData::default().with_topic(name).with_partitions(partitions)
    });
    let since = match transaction.status {
        Status::Ongoing { since } => since,
        _ => -1,
    };
    TransactionState::default()
        .with_transactional_id(id)
        .with_transaction_state(name_of(transaction.status))
        .with_transaction_timeout_ms(transaction.timeout_ms)
        .with_transaction_start_time_ms(since)
        .with_producer_id(ProducerId(transaction.producer_id))
        .with_producer_epoch(transaction.epoch)
        .with_topics(topics.collect())
}

/// The producers of partitions, and their open transactions there (KIP-664).
pub(crate) fn describe_producers(
    broker: &Broker,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    broker.look(|state| {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|&partition| {
                let response = PartitionResponse::default().with_partition_index(partition);
                match state.log(&topic.name, partition) {
                    Some(log) => response
                        .with_error_message(None)
                        .with_active_producers(log.producers().active().map(described).collect()),
                    None => response
                        .with_error_code(code(ResponseError::UnknownTopicOrPartition))
                        .with_error_message(Some("There is no such partition.".into())),
                }
            });
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    })
}

fn described(active: Active) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(active.producer_id))
        .with_producer_epoch(i32::from(active.epoch))
        .with_last_sequence(active.last_sequence.unwrap_or(-1))
        .with_last_timestamp(active.last_append)
        .with_coordinator_epoch(0)
        .with_current_txn_start_offset(active.open_since.unwrap_or(-1))
}

/// Lists the transactional ids that match the filters.
pub(crate) fn list(broker: &Broker, request: &ListTransactionsRequest) -> ListTransactionsResponse {
    let names = [
        Status::Empty,
        Status::Ongoing { since: 0 },
        Status::Complete(Marker::Commit),
        Status::Complete(Marker::Abort),
    ]
    .map(name_of);
    let unknown = request.state_filters.iter().filter(|filter| !names.contains(filter)).cloned();
    let unknown: Vec<StrBytes> = unknown.collect();
    let now = broker.clock.now();
    let states = broker.look(|state| {
        let listed = state.transactions.iter().filter(|(_, transaction)| {
            let open_for = match transaction.status {
                Status::Ongoing { since } => Some(now - since),
                _ => None,
            };
            let id = ProducerId(transaction.producer_id);
            (request.state_filters.is_empty()
                || request.state_filters.contains(&name_of(transaction.status)))
                && (request.producer_id_filters.is_empty()
                    || request.producer_id_filters.contains(&id))
                && (request.duration_filter < 0
                    || open_for.is_some_and(|open_for| open_for > request.duration_filter))
        });
        let state_of = |(id, transaction): (&String, &crate::transactions::Transaction)| {
            ListedTransaction::default()
                .with_transactional_id(TransactionalId(StrBytes::from_string(id.clone())))
                .with_producer_id(ProducerId(transaction.producer_id))
                .with_transaction_state(name_of(transaction.status))
        };
        listed.map(state_of).collect()
    });
    ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown)
        .with_transaction_states(states)
}

fn name_of(status: Status) -> StrBytes {
    StrBytes::from_static_str(match status {
        Status::Empty => "Empty",
        Status::Ongoing { .. } => "Ongoing",
        Status::Complete(Marker::Commit) => "CompleteCommit",
        Status::Complete(Marker::Abort) => "CompleteAbort",
    })
}

pub(super) fn claim(producer_id: ProducerId, epoch: i16) -> ProducerClaim {
    ProducerClaim { producer_id: producer_id.0, epoch }
}

/// `TRANSACTION_ABORTABLE` instead of `INVALID_TXN_STATE`, for clients that know it: from version `known_from` on
/// (KIP-890).
pub(super) fn abortable_as(error: ResponseError, version: i16, known_from: i16) -> ResponseError {
    match error {
        ResponseError::InvalidTxnState if version >= known_from => {
            ResponseError::TransactionAbortable
        }
        other => other,
    }
}

/// The code of an error. Before version `known_from`, clients know `INVALID_PRODUCER_EPOCH` instead of
/// `PRODUCER_FENCED`.
fn fenced_as(error: ResponseError, version: i16, known_from: i16) -> i16 {
    match error {
        ResponseError::ProducerFenced if version < known_from => {
            code(ResponseError::InvalidProducerEpoch)
        }
        other => code(other),
    }
}
