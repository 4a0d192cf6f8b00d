//! Heartbeat (Kafka's `GroupMetadataManager.classicGroupHeartbeatToClassicGroup`).

use kafka_protocol::ResponseError;

use super::classic::{Group, GroupState};
use crate::clock::Millis;

impl Group {
    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Millis,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        self.member(member_id).renew_session(now);
        match self.state {
            GroupState::PreparingRebalance { .. } => Err(ResponseError::RebalanceInProgress),
            // Consumers send heartbeats as soon as they have joined.
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }
}
