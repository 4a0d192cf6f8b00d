#![doc = include_str!("../README.md")]

pub mod records;
pub mod secret;
pub mod topics;
mod types;

pub use types::{EmptyTripId, EventTime, Partition, Side, TripId};
