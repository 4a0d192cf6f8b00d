#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! `server.rs` accepts connections, `connection.rs` reads requests and `wire/` decodes them. `api/` has one function
//! per API. It changes the state in `broker.rs`, and the answer is sent when `journal.rs` has made the change durable
//! in `storage/`. The state consists of state machines without sockets, clocks or files: `log/` (a partition),
//! `transactions.rs` and `group/` (the coordinators), `topics/`, and `registry/catalog.rs`. [`DevStack`] starts all of
//! this and injects faults.

mod addresses;
mod advertised;
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
pub use advertised::{HostPort, InvalidHostPort};
pub use faults::Fault;
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use stack::{DevStack, Options, StartError};
