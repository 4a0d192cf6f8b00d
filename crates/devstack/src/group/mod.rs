//! The group coordinator: consumer groups of the classic protocol, and the offsets that they commit.
//!
//! A pure state machine. The time is an argument; a request that has to wait leaves a [`Ticket`] and is answered by a
//! later call, in the [`Effects`] that every call adds to; what has to outlive the process is there as changes. The
//! rules are those of Apache Kafka's `GroupMetadataManager`, `ClassicGroup` and `OffsetMetadataManager`.

mod admin;
mod answer;
mod classic;
mod commit;
mod coordinator;
mod heartbeat;
mod hex;
mod join;
mod leave;
mod member;
mod offsets;
mod rebalance;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use admin::Description;
#[cfg(test)]
pub(crate) use answer::Joined;
pub(crate) use answer::{Answer, Effects, JoinAnswer, SyncAnswer, Ticket};
pub(crate) use commit::{Commit, NewOffset};
pub(crate) use coordinator::{Coordinator, Options};
pub(crate) use join::Join;
pub(crate) use leave::Leaving;
pub(crate) use member::{Client, Member, Protocol};
pub(crate) use offsets::Committed;
pub(crate) use sync::Sync;
