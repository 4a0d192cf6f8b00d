//! The coordinator of all groups: finds the group of a request.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;

use super::answer::{Effects, Ticket};
use super::classic::{Group, GroupState};
use super::offsets::Offsets;
use super::options::GroupOptions;
use super::request::{Join, Leaving, Sync};
use crate::clock::Millis;
use crate::storage::{StorageError, Table};

/// The coordinator of all groups.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    pub(super) options: GroupOptions,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) offsets: Offsets,
}

impl Coordinator {
    /// Loads the entries of [`Table::Groups`] and [`Table::Offsets`]. Members stay in their generation, and their
    /// sessions start again.
    ///
    /// # Errors
    ///
    /// The first entry that can't be read.
    pub(crate) fn load(
        options: GroupOptions,
        groups: Vec<(String, String)>,
        offsets: Vec<(String, String)>,
        now: Millis,
    ) -> Result<Self, StorageError> {
        let mut coordinator = Self { options, ..Self::default() };
        coordinator.offsets = Offsets::load(offsets)?;
        for (id, json) in groups {
            let group = Group::restore(id.clone(), &json, now).map_err(|source| {
                StorageError::Entry { table: Table::Groups, key: id.clone(), source }
            })?;
            coordinator.groups.insert(id, group);
        }
        // A group with offsets only has no entry of its own.
        for id in coordinator.offsets.groups() {
            coordinator.groups.entry(id.clone()).or_insert_with(|| Group::new(&id));
        }
        Ok(coordinator)
    }

    /// JoinGroup.
    pub(crate) fn join(&mut self, join: Join, ticket: Ticket, now: Millis, effects: &mut Effects) {
        if join.group.is_empty() {
            return effects.refuse(ticket, ResponseError::InvalidGroupId, join.member_id);
        }
        if !self.options.session_timeout.contains(&join.session_timeout) {
            return effects.refuse(ticket, ResponseError::InvalidSessionTimeout, join.member_id);
        }
        let is_new = !self.groups.contains_key(&join.group);
        if is_new && !join.member_id.is_empty() {
            return effects.refuse(ticket, ResponseError::UnknownMemberId, join.member_id);
        }
        if is_new && self.groups.len() >= self.options.max_groups {
            return effects.refuse(ticket, ResponseError::PolicyViolation, join.member_id);
        }
        let room = match self.groups.get(&join.group) {
            Some(group) => group.check_room(&join, &self.options),
            None => Group::default().check_room(&join, &self.options),
        };
        if let Err(error) = room {
            return effects.refuse(ticket, error, join.member_id);
        }
        let id = join.group.clone();
        let group = self.groups.entry(id).or_insert_with_key(|id| Group::new(id));
        if is_new {
            group.store(effects);
        }
        group.join(join, ticket, now, effects);
    }

    /// SyncGroup.
    pub(crate) fn sync(&mut self, sync: Sync, ticket: Ticket, now: Millis, effects: &mut Effects) {
        match self.group_with_members(&sync.group) {
            Ok(group) => group.sync(sync, ticket, now, effects),
            Err(error) => effects.sync(ticket, Err(error)),
        }
    }

    /// Heartbeat.
    pub(crate) fn heartbeat(
        &mut self,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Millis,
    ) -> Result<(), ResponseError> {
        self.group_with_members(group)?.heartbeat(member_id, instance_id, generation, now)
    }

    /// LeaveGroup. Returns the results in the order of `leaving`.
    ///
    /// # Errors
    ///
    /// The group id is invalid.
    pub(crate) fn leave(
        &mut self,
        group: &str,
        leaving: &[Leaving],
        now: Millis,
        effects: &mut Effects,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        if group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        Ok(match self.groups.get_mut(group) {
            Some(group) => group.leave(leaving, now, effects),
            None => vec![Err(ResponseError::UnknownMemberId); leaving.len()],
        })
    }

    /// The time of the next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// Handles the deadlines that have passed.
    pub(crate) fn tick(&mut self, now: Millis, effects: &mut Effects) {
        for group in self.groups.values_mut() {
            group.tick(now, effects);
        }
    }

    /// Ends the session of a member, or of all members of a group, as if it had timed out. Returns the number of
    /// members.
    pub(crate) fn expire_sessions(
        &mut self,
        group: &str,
        member_id: Option<&str>,
        now: Millis,
        effects: &mut Effects,
    ) -> usize {
        let Some(group) = self.groups.get_mut(group) else { return 0 };
        let ids = group.members.keys().filter(|id| member_id.is_none_or(|wanted| wanted == *id));
        let ids: Vec<String> = ids.cloned().collect();
        for id in &ids {
            group.remove(id, effects);
        }
        if !ids.is_empty() {
            group.rebalance(now, effects);
        }
        ids.len()
    }

    fn group_with_members(&mut self, id: &str) -> Result<&mut Group, ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let group = self.groups.get_mut(id).filter(|group| group.state != GroupState::Empty);
        group.ok_or(ResponseError::UnknownMemberId)
    }
}
