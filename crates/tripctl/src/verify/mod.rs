//! `tripctl verify`: has every row of the inputs exactly one fate in the outputs?
//!
//! [`Ledger`] and what it calls are pure: rows in, [`Verdict`] out. [`run()`] reads the rows from Kafka.

mod judge;
mod ledger;
mod report;
mod rows;
mod run;
mod snapshot;
mod trip;
mod verdict;

pub use judge::Rules;
pub use ledger::{Ledger, Progress};
pub use report::Report;
pub use rows::{Input, Place};
pub use run::{Config, VerifyError, run};
pub use verdict::{Fate, Fates, Kind, Offence, OffenceCounts, Verdict};
