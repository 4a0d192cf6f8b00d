#![doc = include_str!("../README.md")]
//!
//! [`Ledger`] and what it calls are pure: rows in, [`Verdict`] out. [`run()`] reads the rows from Kafka.

pub mod consume;
pub mod decode;
mod judge;
mod ledger;
mod report;
mod rows;
mod run;
pub mod settings;
mod snapshot;
mod trip;
mod verdict;

pub use judge::Rules;
pub use ledger::{Ledger, Progress};
pub use report::Report;
pub use rows::{Input, Place};
pub use run::{Config, VerifyError, run};
pub use verdict::{Fate, Fates, Kind, Offence, OffenceCounts, Verdict};
