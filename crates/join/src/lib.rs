#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! [`Task`] puts the rules together. Rule 3, which entry a row goes to, is `entry.rs`; the entries
//! by trip and by time are `trips.rs`, `index.rs` and `expiry.rs`; watermarks (rules 4 and 8) are
//! `watermark.rs`; the form of the state in the changelog (rule 10) is [`Changes`].

mod changes;
mod config;
mod decision;
mod entry;
mod expiry;
mod index;
mod keys;
mod row;
mod task;
mod trips;
mod watermark;

pub use changes::{Changes, EntryRef, EntryState, RestoreError, TaskState, TripRef, TripState};
pub use config::{Duplicates, JoinConfig, SetupError, TaskLayout};
pub use decision::{
    Counters, Decision, JoinedRows, RejectReason, RejectedRow, RowFate, UnmatchedReason,
    UnmatchedRows,
};
pub use entry::{OpenRow, Span};
pub use row::{Row, RowOrigin, RowPayload, WallTime};
pub use task::Task;
pub use watermark::{InputWatermark, Watermark};
