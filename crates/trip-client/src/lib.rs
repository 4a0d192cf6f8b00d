#![doc = include_str!("../README.md")]

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
mod meters;
mod outlook;
mod plan;
mod progress;
mod report;
mod schedule;
mod tick_log;
mod timings;

pub use admission::{Admission, Overrun, SkipReason, Verdict};
pub use backoff::Backoff;
pub use client::TripClient;
pub use config::{ClientConfig, Load};
pub use counts::{Counts, Trips};
pub use driver::drive;
pub use failure::Failure;
pub use joined::{Joined, JoinerError, JoinerWatch};
pub use plan::{Job, Plan};
pub use report::{JobReport, Report, ReportError, RunError, RunFailed};
pub use schedule::{Due, Extent, Schedule, Tick};
pub use tick_log::{TickLog, TickOutcome, TickRecord};
pub use timings::Timings;
