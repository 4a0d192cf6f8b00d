#![doc = include_str!("../README.md")]

pub mod cli;
pub mod demo;
mod names;
pub mod tail;
pub mod topics;

/// The name of the binary, in its log and its help.
pub const NAME: &str = "tripctl";
