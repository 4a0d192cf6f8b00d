#![doc = include_str!("../README.md")]

pub mod bench;
pub mod cli;
pub mod compare;
mod connection;
mod number;
mod plot;

/// The name of the binary, in its log and its help.
pub const NAME: &str = "lab";
