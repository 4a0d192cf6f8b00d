#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, reason = "everything in this crate is test code")]

mod jvm;
pub mod outage;
pub mod pipeline;
pub mod rows;
pub mod stack;
pub mod wait;
