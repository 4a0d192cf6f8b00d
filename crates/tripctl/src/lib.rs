#![doc = include_str!("../README.md")]

pub mod bench;
pub mod cli;
pub mod compare;
mod consume;
mod decode;
pub mod demo;
mod metrics;
mod names;
mod plot;
mod process;
pub mod settings;
pub mod tail;
pub mod topics;
pub mod verify;

pub use process::{ProcessError, Usage};

/// The name of the binary, in its log and its help.
pub const NAME: &str = "tripctl";
