//! What Apache Kafka 4.1 answers, asked of whichever broker `TRIPSTREAM_TEST_BOOTSTRAP` names.
//!
//! `deploy/with-kafka cargo test -p devstack --test conformance` asks Apache Kafka itself, the oracle: an answer that
//! is asserted here and isn't Apache Kafka's is a mistake of this test.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod cluster;
mod committed_offsets;
mod configs;
mod fetch;
mod group_clients;
mod groups;
mod idempotence;
mod isolation;
mod list_offsets;
mod produce;
mod races;
mod record_clients;
mod rig;
mod static_members;
mod topics;
mod transaction_clients;
mod transaction_offsets;
mod transactions;
#[path = "../waiting/mod.rs"]
mod waiting;
mod wire;
