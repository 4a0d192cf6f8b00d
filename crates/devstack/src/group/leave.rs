//! LeaveGroup (Kafka's `GroupMetadataManager.classicGroupLeaveToClassicGroup`).

use kafka_protocol::ResponseError;

use super::answer::Effects;
use super::classic::Group;
use super::request::Leaving;
use crate::clock::Millis;

impl Group {
    /// Removes members. Returns the results in the order of `leaving`.
    pub(super) fn leave(
        &mut self,
        leaving: &[Leaving],
        now: Millis,
        effects: &mut Effects,
    ) -> Vec<Result<(), ResponseError>> {
        let mut results = Vec::with_capacity(leaving.len());
        for Leaving { member_id, instance_id } in leaving {
            results.push(self.take_out(member_id, instance_id.as_deref(), effects));
        }
        if results.iter().any(Result::is_ok) && !self.is_empty() {
            self.rebalance(now, effects);
        }
        results
    }

    fn take_out(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        effects: &mut Effects,
    ) -> Result<(), ResponseError> {
        if member_id.is_empty() {
            let member = instance_id.and_then(|id| self.static_member(id));
            let id =
                member.map(|member| member.id.clone()).ok_or(ResponseError::UnknownMemberId)?;
            self.remove(&id, effects);
        } else if self.promised.remove(member_id).is_none() {
            self.check_member(member_id, instance_id)?;
            self.remove(member_id, effects);
        }
        Ok(())
    }
}
