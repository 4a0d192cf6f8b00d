#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! A request comes in through `server.rs`, `connection.rs` and `wire/`, finds its function in `api/`, changes the state
//! that `broker.rs` guards, and is answered when `journal.rs` has made the change durable in `storage/`. What the state
//! consists of are state machines without sockets, clocks or files: `log/` (a partition), `transactions.rs` and `group/`
//! (the coordinators), `topics/`, and `registry/catalog.rs`.
//! [`DevStack`] puts them together and breaks them on demand.

mod addresses;
mod api;
mod batch;
mod broker;
mod cleaner;
mod clock;
mod connection;
mod faults;
mod group;
mod journal;
mod log;
mod peer;
mod registry;
mod server;
mod stack;
mod storage;
mod sweeper;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;
mod waiting;
mod wire;

pub use addresses::Addresses;
pub use faults::Fault;
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use stack::{DevStack, Options, StartError};
