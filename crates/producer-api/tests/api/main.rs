//! The producer API over HTTP, as its clients meet it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod access;
mod answers;
mod atomic;
mod certificate;
mod delivery;
mod harness;
mod idempotency;
mod methods;
mod mutated;
mod patience;
mod process;
mod records;
mod startup;
mod streaming;
mod tls;
#[path = "../topics/mod.rs"]
mod topics;
mod traces;
mod trouble;
mod wire;
