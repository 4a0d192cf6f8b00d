//! The requests of group members, from the broker's state to the group coordinator. JoinGroup and SyncGroup may wait
//! for other members.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::{groups, offsets, refusal, transactions};
use crate::broker::{Broker, BrokerState};
use crate::group::{Client, GroupAnswer};
use crate::peer::Peer;
use crate::topics::Topics;
use crate::wire::{Request, WireError};

/// From this version of TxnOffsetCommit on clients know `TRANSACTION_ABORTABLE`.
const ABORTABLE_FROM: i16 = 4;

pub(super) async fn join(
    broker: &Broker,
    request: &Request,
    peer: Peer,
) -> Result<JoinGroupResponse, WireError> {
    let (body, version) = (request.body()?, request.version);
    let client = Client { id: request.client_id.clone(), host: format!("/{}", peer.addr.ip()) };
    let ticket = broker.next_ticket();
    let answer = broker.waiting.wait(ticket);
    broker.update(|state, now, effects| {
        groups::join(&mut state.groups, body, version, &client, ticket, now, effects);
    });
    let answer = match answer.await {
        Ok(GroupAnswer::Join(answer)) => answer,
        _ => Err((ResponseError::RebalanceInProgress, String::new())),
    };
    Ok(groups::join_response(answer, version))
}

pub(super) async fn sync(
    broker: &Broker,
    request: &Request,
) -> Result<SyncGroupResponse, WireError> {
    let (body, version) = (request.body()?, request.version);
    let ticket = broker.next_ticket();
    let answer = broker.waiting.wait(ticket);
    broker.update(|state, now, effects| {
        groups::sync(&mut state.groups, body, version, ticket, now, effects);
    });
    let answer = match answer.await {
        Ok(GroupAnswer::Sync(answer)) => answer,
        _ => Err(ResponseError::RebalanceInProgress),
    };
    Ok(groups::sync_response(answer))
}

pub(super) fn heartbeat(
    broker: &Broker,
    request: &Request,
) -> Result<HeartbeatResponse, WireError> {
    let body = request.body()?;
    Ok(broker.update(|state, now, _| groups::heartbeat(&mut state.groups, &body, now)))
}

pub(super) fn leave(broker: &Broker, request: &Request) -> Result<LeaveGroupResponse, WireError> {
    let (body, version) = (request.body()?, request.version);
    Ok(broker.update(|state, now, effects| {
        groups::leave(&mut state.groups, &body, version, now, effects)
    }))
}

pub(super) fn commit(
    broker: &Broker,
    request: &Request,
) -> Result<OffsetCommitResponse, WireError> {
    let (body, version): (OffsetCommitRequest, _) = (request.body()?, request.version);
    Ok(broker.update(|state, now, effects| {
        let BrokerState { topics, groups, .. } = state;
        let exists = has_partition(topics);
        offsets::commit(groups, &body, version, &exists, now, &mut effects.changes)
    }))
}

pub(super) fn commit_in_transaction(
    broker: &Broker,
    request: &Request,
) -> Result<TxnOffsetCommitResponse, WireError> {
    let (body, version): (TxnOffsetCommitRequest, _) = (request.body()?, request.version);
    let claim = transactions::claim(body.producer_id, body.producer_epoch);
    Ok(broker.update(|state, now, effects| {
        let BrokerState { topics, groups, transactions, .. } = state;
        let allowed =
            transactions.may_commit_offsets(&body.transactional_id, claim, &body.group_id);
        if let Err(error) = allowed {
            let error = transactions::abortable_as(error, version, ABORTABLE_FROM);
            return refusal::txn_offset_commit(&body, error.code());
        }
        let exists = has_partition(topics);
        offsets::commit_in_transaction(groups, &body, &exists, now, &mut effects.changes)
    }))
}

pub(super) fn delete_offsets(
    broker: &Broker,
    request: &Request,
) -> Result<OffsetDeleteResponse, WireError> {
    let body: OffsetDeleteRequest = request.body()?;
    Ok(broker.update(|state, _, effects| {
        let BrokerState { topics, groups, .. } = state;
        offsets::delete(groups, &body, &has_partition(topics), &mut effects.changes)
    }))
}

fn has_partition(topics: &Topics) -> impl Fn(&str, i32) -> bool {
    |topic, partition| topics.log(topic, partition).is_some()
}
