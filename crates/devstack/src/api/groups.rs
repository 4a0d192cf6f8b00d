//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and DescribeGroups, ListGroups, DeleteGroups.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::distinct;
use crate::clock::Millis;
use crate::group::{
    Client, Coordinator, Effects, GroupDescription, Join, JoinAnswer, Leaving, Member, Protocol,
    Sync, SyncAnswer, Ticket,
};
use crate::storage::Change;

/// The only supported group type (KIP-848 has added others).
const CLASSIC: &str = "classic";

/// All operations on a group as a set of `AclOperation` codes: READ, DELETE, DESCRIBE, `DESCRIBE_CONFIGS` and
/// `ALTER_CONFIGS` (`AclEntry.supportedOperations`). There is no authorizer, so everything is allowed.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

/// Joins a group. The answer, for [`join_response`], is in `effects` of this call or of a later one.
pub(crate) fn join(
    coordinator: &mut Coordinator,
    request: JoinGroupRequest,
    version: i16,
    client: &Client,
    ticket: Ticket,
    now: Millis,
    effects: &mut Effects,
) {
    let instance_id = optional(request.group_instance_id);
    let prefix = instance_id.as_ref().unwrap_or(&client.id);
    let protocols = request.protocols.into_iter().map(|protocol| Protocol {
        name: text(&protocol.name),
        metadata: copy(&protocol.metadata),
    });
    let session_timeout = Millis::from(request.session_timeout_ms);
    let join = Join {
        group: text(&request.group_id),
        member_id: text(&request.member_id),
        fresh_member_id: format!("{prefix}-{}", Uuid::new_v4()),
        instance_id,
        client: client.clone(),
        session_timeout,
        rebalance_timeout: match version {
            0 => session_timeout,
            _ => Millis::from(request.rebalance_timeout_ms),
        },
        protocol_type: text(&request.protocol_type),
        protocols: protocols.collect(),
        returns_with_member_id: version >= 4,
        skips_assignment: version >= 9,
    };
    coordinator.join(join, ticket, now, effects);
}

/// The response to a member that joins.
pub(crate) fn join_response(answer: JoinAnswer, version: i16) -> JoinGroupResponse {
    // Null is allowed from version 7 on.
    let protocol = |name: Option<String>| match version {
        7.. => name.map(StrBytes::from_string),
        _ => Some(StrBytes::from_string(name.unwrap_or_default())),
    };
    let response = JoinGroupResponse::default();
    match answer {
        Ok(joined) => response
            .with_generation_id(joined.generation)
            .with_protocol_type(joined.protocol_type.map(StrBytes::from_string))
            .with_protocol_name(protocol(joined.protocol))
            .with_leader(joined.leader.into())
            .with_skip_assignment(joined.skip_assignment)
            .with_member_id(joined.member_id.into())
            .with_members(
                joined
                    .members
                    .into_iter()
                    .map(|member| {
                        JoinGroupResponseMember::default()
                            .with_member_id(member.member_id.into())
                            .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
                            .with_metadata(member.metadata)
                    })
                    .collect(),
            ),
        Err((error, member_id)) => response
            .with_error_code(error.code())
            .with_protocol_name(protocol(None))
            .with_member_id(member_id.into()),
    }
}

/// Asks for an assignment. The answer, for [`sync_response`], is in `effects` of this call or of a later one.
pub(crate) fn sync(
    coordinator: &mut Coordinator,
    request: SyncGroupRequest,
    version: i16,
    ticket: Ticket,
    now: Millis,
    effects: &mut Effects,
) {
    // `SyncGroupRequest.areMandatoryProtocolTypeAndNamePresent`
    if version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return effects.sync(ticket, Err(ResponseError::InconsistentGroupProtocol));
    }
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        group: text(&request.group_id),
        member_id: text(&request.member_id),
        instance_id: optional(request.group_instance_id),
        generation: request.generation_id,
        protocol_type: optional(request.protocol_type),
        protocol: optional(request.protocol_name),
        assignments: assignments.map(|to| (text(&to.member_id), copy(&to.assignment))).collect(),
    };
    coordinator.sync(sync, ticket, now, effects);
}

/// The response with a member's assignment.
pub(crate) fn sync_response(answer: SyncAnswer) -> SyncGroupResponse {
    let response = SyncGroupResponse::default();
    match answer {
        Ok(synced) => response
            .with_protocol_type(synced.protocol_type.map(StrBytes::from_string))
            .with_protocol_name(synced.protocol.map(StrBytes::from_string))
            .with_assignment(synced.assignment),
        Err(error) => response.with_error_code(error.code()),
    }
}

pub(crate) fn heartbeat(
    coordinator: &mut Coordinator,
    request: &HeartbeatRequest,
    now: Millis,
) -> HeartbeatResponse {
    let result = coordinator.heartbeat(
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id,
        now,
    );
    HeartbeatResponse::default().with_error_code(code(result))
}

/// Before version 3 a request names one member, and the response has the error of that member.
pub(crate) fn leave(
    coordinator: &mut Coordinator,
    request: &LeaveGroupRequest,
    version: i16,
    now: Millis,
    effects: &mut Effects,
) -> LeaveGroupResponse {
    let leaving: Vec<Leaving> = if version >= 3 {
        let members = request.members.iter().map(|member| Leaving {
            member_id: text(&member.member_id),
            instance_id: optional(member.group_instance_id.clone()),
        });
        members.collect()
    } else {
        vec![Leaving { member_id: text(&request.member_id), instance_id: None }]
    };
    let response = LeaveGroupResponse::default();
    match coordinator.leave(&request.group_id, &leaving, now, effects) {
        Err(error) => response.with_error_code(error.code()),
        Ok(results) if version < 3 => {
            response.with_error_code(results.into_iter().map(code).next().unwrap_or(0))
        }
        Ok(results) => response.with_members(
            leaving
                .into_iter()
                .zip(results)
                .map(|(member, result)| {
                    MemberResponse::default()
                        .with_member_id(member.member_id.into())
                        .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
                        .with_error_code(code(result))
                })
                .collect(),
        ),
    }
}

/// An unknown group has the state `Dead`. From version 6 on that is an error, too (KIP-1043).
pub(crate) fn describe(
    coordinator: &Coordinator,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let describe = |id: GroupId| {
        let Some(group) = coordinator.describe(&id) else {
            let message = format!("Group {} not found.", id.as_str());
            let dead = DescribedGroup::default().with_group_id(id).with_group_state("Dead".into());
            return match version {
                6.. => dead
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(message.into())),
                _ => dead,
            };
        };
        let described = described(group).with_group_id(id);
        if version >= 3 && request.include_authorized_operations {
            return described.with_authorized_operations(ALL_OPERATIONS);
        }
        described
    };
    DescribeGroupsResponse::default()
        .with_groups(distinct(request.groups, GroupId::clone).into_iter().map(describe).collect())
}

fn described(group: GroupDescription<'_>) -> DescribedGroup {
    let as_described = |(member, metadata): (&Member, _)| {
        DescribedGroupMember::default()
            .with_member_id(member.id.clone().into())
            .with_group_instance_id(member.instance_id.clone().map(StrBytes::from_string))
            .with_client_id(member.client.id.clone().into())
            .with_client_host(member.client.host.clone().into())
            .with_member_metadata(metadata)
            .with_member_assignment(member.assignment.clone())
    };
    DescribedGroup::default()
        .with_group_state(group.state().name().into())
        .with_protocol_type(group.protocol_type().to_owned().into())
        .with_protocol_data(group.protocol().unwrap_or_default().to_owned().into())
        .with_members(group.members().map(as_described).collect())
}

/// An empty filter matches every group. States and types are compared ignoring case.
pub(crate) fn list(coordinator: &Coordinator, request: &ListGroupsRequest) -> ListGroupsResponse {
    let passes = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
    };
    let groups = coordinator.list().filter(|group| {
        passes(&request.states_filter, group.state.name()) && passes(&request.types_filter, CLASSIC)
    });
    let groups = groups.map(|group| {
        ListedGroup::default()
            .with_group_id(GroupId(group.group.to_owned().into()))
            .with_protocol_type(group.protocol_type.to_owned().into())
            .with_group_state(group.state.name().into())
            .with_group_type(CLASSIC.into())
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(crate) fn delete(
    coordinator: &mut Coordinator,
    request: DeleteGroupsRequest,
    changes: &mut Vec<Change>,
) -> DeleteGroupsResponse {
    let delete = |id: GroupId| {
        let result = coordinator.delete(&id, changes);
        DeletableGroupResult::default().with_error_code(code(result)).with_group_id(id)
    };
    DeleteGroupsResponse::default()
        .with_results(request.groups_names.into_iter().map(delete).collect())
}

/// A copy, which doesn't keep the memory of the whole request.
fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn text(text: &StrBytes) -> String {
    text.as_str().to_owned()
}

fn optional(text: Option<StrBytes>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

fn code(result: Result<(), ResponseError>) -> i16 {
    result.map_or_else(|error| error.code(), |()| 0)
}

#[cfg(test)]
mod tests;
