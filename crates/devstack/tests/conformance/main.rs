//! The answers of Apache Kafka 4.1, expected from the dev stack or from the broker in `TRIPSTREAM_TEST_BOOTSTRAP`.
//!
//! `deploy/with-kafka cargo test -p devstack --test conformance` runs these tests on Apache Kafka. If one fails there,
//! the test is wrong.

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
mod log_dirs;
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
