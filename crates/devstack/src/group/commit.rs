//! Committing, fetching and deleting offsets (Kafka's `ClassicGroup.validateOffsetCommit`, `OffsetMetadataManager`).

use kafka_protocol::ResponseError;

use super::classic::{Group, GroupState};
use super::coordinator::Coordinator;
use super::offsets::Committed;
use super::request::Commit;
use crate::clock::Millis;
use crate::storage::Change;

impl Coordinator {
    /// OffsetCommit and TxnOffsetCommit. Returns the results in the order of the offsets.
    ///
    /// # Errors
    ///
    /// The whole request is refused. A member of an unknown group gets `GROUP_ID_NOT_FOUND`.
    pub(crate) fn commit(
        &mut self,
        commit: Commit,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let is_full = self.groups.len() >= self.options.max_groups;
        match self.groups.get(&commit.group) {
            Some(group) => group.check_commit(&commit)?,
            None if commit.generation >= 0 => return Err(ResponseError::GroupIdNotFound),
            None if is_full => return Err(ResponseError::PolicyViolation),
            // Without the group protocol, a group is created by committing.
            None => {}
        }
        let group = self.groups.entry(commit.group.clone()).or_insert_with_key(|id| Group::new(id));
        if commit.producer_id.is_none() {
            group.renew_session_by_commit(&commit.member_id, now);
        }
        let mut results = Vec::with_capacity(commit.offsets.len());
        for new in commit.offsets {
            // Kafka counts UTF-16 code units.
            if new.metadata.encode_utf16().count() > self.options.max_metadata_bytes {
                results.push(Err(ResponseError::OffsetMetadataTooLarge));
                continue;
            }
            let committed = Committed {
                offset: new.offset,
                leader_epoch: new.leader_epoch,
                metadata: new.metadata,
                timestamp: now,
                order: self.offsets.next_order(),
            };
            let partition = (new.topic, new.partition);
            self.offsets.put(&commit.group, partition, commit.producer_id, committed, changes);
            results.push(Ok(()));
        }
        Ok(results)
    }

    /// OffsetFetch of one partition. With `require_stable`, an offset that an open transaction may change is an error
    /// (KIP-447).
    pub(crate) fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        require_stable: bool,
    ) -> Result<Option<&Committed>, ResponseError> {
        if require_stable && self.offsets.is_unstable(group, topic, partition) {
            return Err(ResponseError::UnstableOffsetCommit);
        }
        Ok(self.offsets.get(group, topic, partition))
    }

    /// The partitions with committed offsets of a group, in order.
    pub(crate) fn committed_partitions(&self, group: &str) -> impl Iterator<Item = (&str, i32)> {
        self.offsets.all(group).map(|(topic, partition, _)| (topic, partition))
    }

    /// OffsetDelete. Returns the results in the order of the partitions.
    ///
    /// # Errors
    ///
    /// The whole request is refused.
    pub(crate) fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &[(String, i32)],
        changes: &mut Vec<Change>,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        if group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let found = self.groups.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        if !found.is_empty() && !found.is_of_consumers() {
            return Err(ResponseError::NonEmptyGroup);
        }
        let delete = |(topic, partition): &(String, i32)| {
            if found.is_subscribed_to(topic) {
                return Err(ResponseError::GroupSubscribedToTopic);
            }
            self.offsets.delete(group, topic, *partition, changes);
            Ok(())
        };
        Ok(partitions.iter().map(delete).collect())
    }

    /// Ends a transaction: its offsets are committed or dropped.
    pub(crate) fn complete(
        &mut self,
        producer_id: i64,
        committed: bool,
        changes: &mut Vec<Change>,
    ) {
        self.offsets.complete(producer_id, committed, changes);
    }

    /// Removes the offsets of a deleted topic.
    pub(crate) fn topic_deleted(&mut self, topic: &str, changes: &mut Vec<Change>) {
        self.offsets.delete_topic(topic, changes);
    }
}

impl Group {
    fn check_commit(&self, commit: &Commit) -> Result<(), ResponseError> {
        if commit.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let is_transactional = commit.producer_id.is_some();
        let names_member =
            commit.generation >= 0 || !commit.member_id.is_empty() || commit.instance_id.is_some();
        if names_member {
            self.check_member(&commit.member_id, commit.instance_id.as_deref())?;
            if commit.generation != self.generation {
                return Err(ResponseError::IllegalGeneration);
            }
        } else if !is_transactional {
            return Err(ResponseError::UnknownMemberId);
        }
        // A member that knows the generation has joined it, and can wait for its assignment. In a transaction the state
        // is not checked: before KIP-447 its requests named no member.
        if !is_transactional && self.state == GroupState::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    fn renew_session_by_commit(&mut self, member_id: &str, now: Millis) {
        let renews =
            matches!(self.state, GroupState::Stable | GroupState::PreparingRebalance { .. });
        if let Some(member) = self.members.get_mut(member_id).filter(|_| renews) {
            member.renew_session(now);
        }
    }
}
