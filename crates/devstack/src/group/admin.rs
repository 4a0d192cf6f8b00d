//! Listing, describing and deleting groups.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::classic::{Group, GroupState};
use super::coordinator::Coordinator;
use super::member::Member;
use crate::storage::{Change, Table};

/// A group in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed<'a> {
    pub(crate) group: &'a str,
    /// Empty if the group never had members.
    pub(crate) protocol_type: &'a str,
    pub(crate) state: GroupState,
}

/// A group with all details.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupDescription<'a>(&'a Group);

impl<'a> GroupDescription<'a> {
    pub(crate) fn state(self) -> GroupState {
        self.0.state
    }

    /// Empty if the group never had members.
    pub(crate) fn protocol_type(self) -> &'a str {
        self.0.protocol_type.as_deref().unwrap_or_default()
    }

    /// The protocol of a stable group. In other states it may be about to change.
    pub(crate) fn protocol(self) -> Option<&'a str> {
        self.0.protocol.as_deref().filter(|_| self.0.state == GroupState::Stable)
    }

    /// Each member with its metadata under that protocol.
    pub(crate) fn members(self) -> impl Iterator<Item = (&'a Member, Bytes)> {
        let metadata = move |member: &Member| {
            self.protocol().map(|protocol| member.metadata(protocol)).unwrap_or_default()
        };
        self.0.members.values().map(move |member| (member, metadata(member)))
    }
}

impl Coordinator {
    /// All groups, in the order of their ids.
    pub(crate) fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.groups.values().map(|group| Listed {
            group: &group.id,
            protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
            state: group.state,
        })
    }

    /// A group with all details, if there is such a group.
    pub(crate) fn describe(&self, group: &str) -> Option<GroupDescription<'_>> {
        self.groups.get(group).map(GroupDescription)
    }

    /// Deletes a group without members, and its offsets.
    pub(crate) fn delete(
        &mut self,
        group: &str,
        changes: &mut Vec<Change>,
    ) -> Result<(), ResponseError> {
        let found = self.groups.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        if !found.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.groups.remove(group);
        self.offsets.delete_group(group, changes);
        changes.push(Change::delete(Table::Groups, group));
        Ok(())
    }
}
