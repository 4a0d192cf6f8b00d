#![doc = include_str!("../README.md")]

mod admission;
mod answer;
mod backoff;
mod client;
mod config;
mod counts;
mod driver;
mod failure;
mod meters;
mod outlook;
mod report;
mod schedule;
mod timings;

pub use admission::{Admission, Overrun, SkipReason, Verdict};
pub use backoff::Backoff;
pub use client::{Sent, TripClient};
pub use config::{ClientConfig, validate_load};
pub use counts::{Counts, Trips};
pub use driver::{Plan, drive};
pub use failure::Failure;
pub use report::{Report, ReportError, RunError, RunFailed};
pub use schedule::{Due, Extent, Schedule, Tick};
pub use timings::Timings;
