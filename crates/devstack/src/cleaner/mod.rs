//! What may go from a log: by age and size (`cleanup.policy=delete`), or because there is something newer for the same
//! key (`cleanup.policy=compact`).
//!
//! Kafka does both to segments; here a batch is what a segment is there. Nothing of this writes: it decides, and says
//! what is to be written.

mod compaction;
mod retention;

pub(crate) use compaction::{Compaction, Scope};
pub(crate) use retention::{Retention, cleanable_end, retained_from};

#[cfg(test)]
mod tests;
