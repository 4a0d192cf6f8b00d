//! The APIs: one file per group of APIs, and one function per API, from a request to its answer.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::broker::Broker;
use crate::peer::Peer;
use crate::wire::{Request, WireError};

/// The answer to each topic and partition of a request: its name or index, and an error code. Several APIs have the
/// same fields for this, each in types of its own.
macro_rules! each_partition {
    ($topics:expr => $topic:ident, $partition:ident, $code:expr) => {{
        let topics = $topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                $partition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code($code)
            });
            $topic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        topics.collect()
    }};
}

mod cluster;
mod configs;
mod fetch;
mod groups;
mod list_offsets;
mod log_dirs;
mod membership;
mod offset_fetch;
mod offsets;
mod produce;
mod refusal;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;

pub(crate) use refusal::refuse;

/// The only epoch that the only leader ever has.
pub(crate) const LEADER_EPOCH: i32 = 0;

fn code(error: ResponseError) -> i16 {
    error.code()
}

/// Checks the leader epoch that a client knows (KIP-320). -1 means that it knows none.
fn check_leader_epoch(epoch: i32) -> Result<(), ResponseError> {
    if epoch > LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}

/// `list` without repetitions, so that a request that names one thing many times gets no huge answer.
fn distinct<T, K: Eq + Hash>(mut list: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity(list.len());
    list.retain(|one| seen.insert(key(one)));
    list
}

/// Handles a request and returns its answer. `None` if the client wants none (Produce with `acks=0`).
pub(crate) async fn handle(
    broker: &Arc<Broker>,
    request: &Request,
    peer: Peer,
) -> Result<Option<Bytes>, WireError> {
    broker.journal.room().await;
    let version = request.version;
    if !request.is_served() {
        // Every client can decode version 0.
        let unsupported = cluster::api_versions(Some(ResponseError::UnsupportedVersion));
        return request.answer_in_version(&unsupported, 0).map(Some);
    }
    let answer = match request.api {
        ApiKey::Produce => return produce_answer(broker, request).await,
        ApiKey::Fetch => {
            request.answer(&fetch::fetch(broker, request.body()?, version, None).await)
        }
        ApiKey::ListOffsets => {
            request.answer(&list_offsets::list(broker, request.body()?, version).await)
        }
        ApiKey::OffsetForLeaderEpoch => {
            request.answer(&list_offsets::of_leader_epochs(broker, request.body()?))
        }
        ApiKey::ApiVersions => request.answer(&cluster::api_versions(None)),
        ApiKey::Metadata => {
            request.answer(&cluster::metadata(broker, request.body()?, version, peer.reached_at))
        }
        ApiKey::FindCoordinator => {
            let body = request.body()?;
            request.answer(&cluster::find_coordinator(broker, body, version, peer.reached_at))
        }
        ApiKey::DescribeCluster => {
            request.answer(&cluster::describe(broker, &request.body()?, version, peer.reached_at))
        }
        ApiKey::DescribeAcls => request.answer(&cluster::describe_acls()),
        ApiKey::DescribeLogDirs => {
            request.answer(&log_dirs::describe(broker, request.body()?).await)
        }
        ApiKey::CreateTopics => request.answer(&topics::create(broker, request.body()?)),
        ApiKey::DeleteTopics => request.answer(&topics::delete(broker, request.body()?, version)),
        ApiKey::CreatePartitions => {
            request.answer(&topics::create_partitions(broker, request.body()?))
        }
        ApiKey::DeleteRecords => request.answer(&topics::delete_records(broker, request.body()?)),
        ApiKey::DescribeConfigs => request.answer(&configs::describe(broker, request.body()?)),
        ApiKey::AlterConfigs => request.answer(&configs::replace(broker, request.body()?)),
        ApiKey::IncrementalAlterConfigs => request.answer(&configs::alter(broker, request.body()?)),
        ApiKey::InitProducerId => {
            request.answer(&transactions::init_producer_id(broker, &request.body()?, version))
        }
        ApiKey::AddPartitionsToTxn => {
            request.answer(&transactions::add_partitions(broker, request.body()?, version))
        }
        ApiKey::AddOffsetsToTxn => {
            request.answer(&transactions::add_offsets(broker, &request.body()?, version))
        }
        ApiKey::EndTxn => request.answer(&transactions::end(broker, &request.body()?, version)),
        ApiKey::DescribeProducers => {
            request.answer(&transactions::describe_producers(broker, request.body()?))
        }
        ApiKey::DescribeTransactions => {
            request.answer(&transactions::describe(broker, request.body()?))
        }
        ApiKey::ListTransactions => request.answer(&transactions::list(broker, &request.body()?)),
        ApiKey::JoinGroup => request.answer(&membership::join(broker, request, peer).await?),
        ApiKey::SyncGroup => request.answer(&membership::sync(broker, request).await?),
        ApiKey::Heartbeat => request.answer(&membership::heartbeat(broker, request)?),
        ApiKey::LeaveGroup => request.answer(&membership::leave(broker, request)?),
        ApiKey::DescribeGroups => {
            let body = request.body()?;
            request.answer(&broker.look(|state| groups::describe(&state.groups, body, version)))
        }
        ApiKey::ListGroups => {
            let body = request.body()?;
            request.answer(&broker.look(|state| groups::list(&state.groups, &body)))
        }
        ApiKey::DeleteGroups => {
            let body = request.body()?;
            request.answer(&broker.update(|state, _, effects| {
                groups::delete(&mut state.groups, body, &mut effects.changes)
            }))
        }
        ApiKey::OffsetCommit => request.answer(&membership::commit(broker, request)?),
        ApiKey::TxnOffsetCommit => {
            request.answer(&membership::commit_in_transaction(broker, request)?)
        }
        ApiKey::OffsetFetch => {
            let body = request.body()?;
            request.answer(&broker.look(|state| offset_fetch::fetch(&state.groups, body, version)))
        }
        ApiKey::OffsetDelete => request.answer(&membership::delete_offsets(broker, request)?),
        _ => unreachable!("{:?} is served, so it has its line here", request.api),
    };
    answer.map(Some)
}

/// Handles a Fetch as a replica does whose logs end at `end`.
pub(crate) async fn fetch_before(
    broker: &Broker,
    request: &Request,
    end: i64,
) -> Result<Bytes, WireError> {
    broker.journal.room().await;
    let answer = fetch::fetch(broker, request.body()?, request.version, Some(end)).await;
    request.answer(&answer)
}

async fn produce_answer(broker: &Broker, request: &Request) -> Result<Option<Bytes>, WireError> {
    let body = request.produce_body()?;
    let wants_answer = body.acks != 0;
    let answer = produce::produce(broker, body, request.version).await;
    if wants_answer {
        return request.answer(&answer).map(Some);
    }
    // Closing the connection is the only way to tell a producer that wants no answer.
    let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find_map(|partition| ResponseError::try_from_code(partition.error_code)) {
        Some(error) => Err(WireError::Unanswered { api: request.api, error }),
        None => Ok(None),
    }
}
