//! The group coordinator: consumer groups of the classic protocol, and the offsets that they commit.
//!
//! A pure state machine: the time is an argument, and every call adds its changes and answers to [`Effects`]. A request
//! that has to wait has a [`Ticket`], and a later call answers it. The rules are those of Apache Kafka's
//! `GroupMetadataManager`, `ClassicGroup` and `OffsetMetadataManager`.

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
mod options;
mod rebalance;
mod request;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use admin::GroupDescription;
#[cfg(test)]
pub(crate) use answer::JoinedGroup;
pub(crate) use answer::{Effects, GroupAnswer, JoinAnswer, SyncAnswer, Ticket};
pub(crate) use coordinator::Coordinator;
pub(crate) use member::Member;
pub(crate) use offsets::Committed;
pub(crate) use options::GroupOptions;
pub(crate) use request::{Client, Commit, Join, Leaving, NewOffset, Protocol, Sync};
