//! The deadlines of a group: sessions, joins, syncs.

use super::answer::Effects;
use super::classic::{Group, GroupState};
use crate::clock::Millis;

impl Group {
    /// The time of the next deadline.
    pub(super) fn next_deadline(&self) -> Option<Millis> {
        let sessions = self.members.values().filter_map(|member| member.session_ends);
        let rebalance = match self.state {
            GroupState::PreparingRebalance { until } => Some(until),
            _ => None,
        };
        let sync = (!self.unsynced.members.is_empty()).then_some(self.unsynced.until);
        sessions.chain(self.promised.values().copied()).chain(rebalance).chain(sync).min()
    }

    /// Handles the deadlines that have passed.
    pub(super) fn tick(&mut self, now: Millis, effects: &mut Effects) {
        let promised = self.promised.len();
        self.promised.retain(|_, until| *until > now);
        if self.promised.len() < promised {
            self.complete_join_if_all_are_there(now, effects);
        }

        let ended = self
            .members
            .values()
            .filter(|member| member.session_ends.is_some_and(|end| end <= now));
        let ended: Vec<String> = ended.map(|member| member.id.clone()).collect();
        for id in ended {
            let Some(member) = self.members.get_mut(&id) else { continue };
            // Removing members before it may have renewed its session.
            if member.session_ends.is_none_or(|end| end > now) {
                continue;
            }
            if member.is_excused_from_heartbeats() {
                // The answer to its waiting request renews its session.
                member.session_ends = None;
            } else {
                self.remove_and_rebalance(&id, now, effects);
            }
        }

        if matches!(self.state, GroupState::PreparingRebalance { until } if until <= now) {
            self.complete_join(now, effects);
        }
        if !self.unsynced.members.is_empty() && self.unsynced.until <= now {
            self.expire_syncs(now, effects);
        }
    }
}
