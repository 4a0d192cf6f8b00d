//! The limits that the coordinator keeps.

use std::ops::RangeInclusive;

use crate::clock::Millis;

/// The limits of the coordinator.
#[derive(Debug, Clone)]
pub(crate) struct GroupOptions {
    /// `group.min.session.timeout.ms` to `group.max.session.timeout.ms`. Kafka's default minimum is 6 s, which is too
    /// long for tests.
    pub(crate) session_timeout: RangeInclusive<Millis>,
    /// `offset.metadata.max.bytes`.
    pub(crate) max_metadata_bytes: usize,
    /// The largest number of groups. Kafka has no such limit.
    pub(crate) max_groups: usize,
    /// `group.max.size`. Kafka has no limit by default.
    pub(crate) max_members: usize,
    /// The largest size of the metadata of all members of a group. Kafka stores it in one record, which is limited by
    /// `max.message.bytes`.
    pub(crate) max_group_bytes: usize,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            session_timeout: 100..=30 * 60 * 1000,
            max_metadata_bytes: 4096,
            max_groups: 10_000,
            max_members: 1_000,
            max_group_bytes: 4 << 20,
        }
    }
}
