//! The producer API over HTTP, as its clients meet it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod answers;
mod atomic;
mod delivery;
mod harness;
mod idempotency;
mod mutated;
mod records;
mod startup;
mod streaming;
#[path = "../topics/mod.rs"]
mod topics;
