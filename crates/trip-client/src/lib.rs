#![doc = include_str!("../README.md")]

mod addresses;
mod admission;
mod answer;
mod backoff;
mod circuit;
mod client;
mod config;
mod counts;
mod driver;
mod failure;
mod joined;
mod load;
mod outlook;
mod plan;
mod progress;
mod report;
mod run_file;
mod run_metrics;
mod schedule;
mod tick_log;
mod timings;

pub use admission::{Admission, AdmissionDecision, Overrun, SkipReason};
pub use backoff::Backoff;
pub use client::TripClient;
pub use config::ClientConfig;
pub use counts::{Counts, TripCounts};
pub use driver::drive;
pub use failure::RequestFailure;
pub use joined::{JoinerError, JoinerWait, JoinerWatch};
pub use load::RunLoad;
pub use plan::{Job, RunPlan};
pub use report::{JobReport, RunError, RunFailed, RunReport};
pub use run_file::RunFileError;
pub use schedule::{Due, Extent, Schedule, Tick};
pub use tick_log::{TickLog, TickOutcome, TickRecord};
pub use timings::Timings;
