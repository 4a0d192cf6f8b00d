#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! [`Task`] puts the rules together. Rule 3, which entry a row goes to, is `entry.rs`; the entries
//! by trip and by time are `trips.rs`, `index.rs` and `expiry.rs`; watermarks (rules 4 and 8) are
//! `watermark.rs`; the form of the state in the changelog (rule 10) is [`Changes`].
//!
//! # What the rules leave open, and what is decided here
//!
//! - **A row counts for the watermark before it is judged.** It can lift the watermark to its own
//!   time less the grace at most, and so changes nothing that it could fit.
//! - **Expiry happens in the call that moves the watermark**, before the row of that call is
//!   placed. No outcome depends on when [`Task::advance`] is called.
//! - **Which entry**, if a row fits several: one with its side free goes before *duplicate*,
//!   duplicate before *late*. Among free ones, the one that it completes, else the one that
//!   expires first.
//! - **Bounds are inclusive.** A span of exactly the window joins; a row is late only when the
//!   watermark is *more* than the window past it; a row exactly `max_future` ahead is taken.
//! - **A late row that fits an open entry takes its side**, as rule 3 says. If it completes the
//!   trip, the trip is joined. If not, its own time puts the entry behind the watermark, and the
//!   entry is decided unmatched in that moment.
//! - **A trip_id used again** within the window of a joined trip meets that trip's closed entry: its rows
//!   are duplicates as far as they fit. "Never both joined and unmatched" holds of rows that fit
//!   together; rows of one trip_id that lie further apart than the window are different trips to
//!   the join, and each has its own decision.
//! - **Arrival order.** With at most one row a side and none late, it doesn't matter to which trips
//!   are joined and which rows are not. Two things do depend on it: which of two rows for one side
//!   wins, and, for a trip whose rows are too far apart to join, which of them share an unmatched row.
//! - **A row ahead of the wall clock** lifts the watermark only as far as a row of this moment would.
//!   Within `max_future` it takes part in the join with its own time, but it does not cut the window
//!   of everybody else short.
//! - **When all inputs are idle** the watermark runs on at the pace of the wall clock from where it
//!   stands, rather than jump to the wall clock; `watermark.rs` says why.
//! - **A row whose time can't be true** does not keep its partition awake either: a client with a
//!   wrong clock must neither make the others late nor stop the watermark.
//! - **A full state** drops the oldest closed entries once they fill more than half of it, before it
//!   decides open entries early. A straggler of such a trip opens an entry of its own;
//!   [`Counters::closed_forgotten`] says how often that was risked. Rows that come for an entry
//!   decided early are rejected as late, though they may be on time.

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
