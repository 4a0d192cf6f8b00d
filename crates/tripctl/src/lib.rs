#![doc = include_str!("../README.md")]

pub mod bench;
pub mod cli;
mod consume;
mod decode;
pub mod demo;
mod metrics;
mod names;
mod process;
pub mod settings;
pub mod tail;
pub mod topics;
pub mod verify;

pub use process::ProcessError;

/// The name of the binary, in its log and its help.
pub const NAME: &str = "tripctl";
