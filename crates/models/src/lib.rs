#![doc = include_str!("../README.md")]

pub mod commands;
mod loopback;
pub mod records;
pub mod secret;
pub mod topics;
mod types;
pub mod validation;

pub use loopback::is_loopback;
pub use types::{EmptyTripId, EventTime, Partition, Side, TripId};
