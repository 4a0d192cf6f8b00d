#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! A [`Fleet`] starts each [`Program`] with a [`Configuration`] in a directory of its own (`fleet.rs`, `environment.rs`).
//! [`Process::ready`] waits until it can work and says where it listens. [`metrics`] reads what it shows, [`Usage`] what
//! it takes.

mod configuration;
pub mod devstack;
mod environment;
mod error;
mod fleet;
mod group;
pub mod metrics;
mod process;
mod program;
mod usage;

pub use configuration::Configuration;
pub use error::ProcessError;
pub use fleet::Fleet;
pub use process::Process;
pub use program::Program;
pub use usage::Usage;
