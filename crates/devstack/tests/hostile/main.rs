//! Clients that send invalid input. Each gets an error or loses its connection, nothing panics, memory stays bounded,
//! and a well-behaved client at the same time notices nothing.
#![allow(clippy::unwrap_used, reason = "a test that can't talk to its own dev stack fails")]

mod batches;
mod bystander;
mod connections;
mod frames;
mod registry;
mod scene;
mod wire;
