#![doc = include_str!("../README.md")]
//!
//! [`judge()`] is pure: the rows of a [`Ledger`] in, a [`Verdict`] out. [`run()`] reads the rows from Kafka.

mod config;
pub mod consume;
pub mod decode;
mod error;
mod judge;
mod ledger;
mod report;
mod rows;
mod rules;
mod run;
pub mod settings;
mod snapshot;
mod trip;
mod verdict;

pub use config::Config;
pub use error::VerifyError;
pub use judge::judge;
pub use ledger::{Ledger, Progress};
pub use report::Report;
pub use rows::{Input, Place};
pub use rules::Rules;
pub use run::run;
pub use verdict::{Fate, Fates, Kind, Offence, OffenceCounts, Verdict};
