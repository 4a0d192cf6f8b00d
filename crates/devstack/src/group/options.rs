//! The limits that the coordinator keeps.

use std::ops::RangeInclusive;

use crate::clock::Millis;

/// What can be set.
#[derive(Debug, Clone)]
pub(crate) struct GroupOptions {
    /// `group.min.session.timeout.ms` to `group.max.session.timeout.ms`. Kafka's own minimum is 6 s; tests can't wait
    /// that long.
    pub(crate) session_timeout: RangeInclusive<Millis>,
    /// `offset.metadata.max.bytes`.
    pub(crate) max_metadata_bytes: usize,
    /// How many groups there may be. Kafka has no such limit.
    pub(crate) max_groups: usize,
    /// `group.max.size`, which has no limit by default in Kafka.
    pub(crate) max_members: usize,
    /// What the members of a group may say of themselves together, in bytes. Kafka keeps that in one record, which is
    /// limited by `max.message.bytes`.
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
