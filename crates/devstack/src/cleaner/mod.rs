//! Retention by age and size (`cleanup.policy=delete`) and compaction by key (`cleanup.policy=compact`).
//!
//! Kafka applies both to segments, the dev stack to batches. This module only decides which changes to make;
//! `sweeper.rs` makes them.

mod compaction;
mod retention;

pub(crate) use compaction::{Compaction, Scope};
pub(crate) use retention::{Retention, cleanable_end, retained_from};

#[cfg(test)]
mod tests;
