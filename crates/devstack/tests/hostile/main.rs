//! Clients that send anything but what they should: each gets an error or loses its connection, nothing panics, memory
//! stays bounded, and a client that behaves well all the while notices nothing.
#![allow(clippy::unwrap_used, reason = "a test that can't talk to its own dev stack fails")]

mod batches;
mod bystander;
mod connections;
mod frames;
mod registry;
mod scene;
mod wire;
