//! What goes out: the fates of rows and the counts of them.

use models::{EventTime, TripId};
use serde::{Deserialize, Serialize};

use crate::Row;

/// Something to write to an output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<P> {
    /// The three rows of a trip met within the window (rule 1).
    Joined(JoinedRows<P>),
    /// A trip was not complete when it had to be decided (rules 5 and 11).
    Unmatched(UnmatchedRows<P>),
    /// A row can't take part in the join.
    Rejected(RejectedRow<P>),
}

/// A complete trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedRows<P> {
    /// The trip; the key of the output.
    pub trip_id: TripId,
    /// The latest timestamp of the three rows; the timestamp of the output.
    pub ts: EventTime,
    /// What the rows carried, in the order of [`Side::ALL`](models::Side::ALL).
    pub payloads: [P; 3],
}

/// A trip that lacks one or two of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedRows<P> {
    /// The trip; the key of the output.
    pub trip_id: TripId,
    /// The latest timestamp of the rows that came; the timestamp of the output.
    pub ts: EventTime,
    /// What the rows carried that came, in the order of [`Side::ALL`](models::Side::ALL).
    pub payloads: [Option<P>; 3],
    /// Why it was decided.
    pub reason: UnmatchedReason,
    /// The task's watermark at that moment.
    pub watermark: EventTime,
}

/// A row that can't take part in the join, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow<P> {
    /// The row.
    pub row: Row<P>,
    /// Why.
    pub reason: RejectReason,
}

/// Why a trip was decided without being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnmatchedReason {
    /// The watermark passed the window of its earliest row.
    WindowExpired,
    /// The state had no room left and this was among the oldest.
    StateFull,
}

impl UnmatchedReason {
    /// The name used in records, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WindowExpired => "window_expired",
            Self::StateFull => "state_full",
        }
    }
}

/// Why a row was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Its trip is already decided, or would have been (rule 3).
    Late,
    /// It has no timestamp, one before 1970, or one too far in the future (rule 6).
    Timestamp,
    /// Its side of the trip is taken, and duplicates are to be rejected (rule 3).
    Duplicate,
}

impl RejectReason {
    /// The name used in records, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Timestamp => "timestamp",
            Self::Duplicate => "duplicate",
        }
    }
}

/// What became of a row in the moment it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFate {
    /// It took its place in an open entry; that entry's decision is its fate.
    Open,
    /// It was the last of its trip: the trip is joined.
    Joined,
    /// Its side of the trip was taken: it is dropped.
    Duplicate,
    /// It is rejected.
    Rejected(RejectReason),
}

/// How many rows met which fate since the state began. Part of the state: the counts survive a
/// restart, so that the conservation law does. A count that a state of an older release does not have is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Rows that came to be joined here, and rows rejected here on their way to another task.
    pub rows_in: u64,
    /// Trips joined; each has three rows.
    pub joined: u64,
    /// Trips decided incomplete because their window had passed.
    pub unmatched_expired: u64,
    /// Trips decided incomplete because the state was full.
    pub unmatched_state_full: u64,
    /// Rows that were part of an unmatched trip.
    pub unmatched_rows: u64,
    /// Duplicates dropped.
    pub duplicates: u64,
    /// Rows rejected as [`RejectReason::Late`].
    pub rejected_late: u64,
    /// Rows rejected as [`RejectReason::Timestamp`].
    pub rejected_timestamp: u64,
    /// Rows rejected as [`RejectReason::Duplicate`].
    pub rejected_duplicate: u64,
    /// Rows passed on to their home task, which counts them as its own.
    pub passed_on: u64,
    /// Closed entries dropped early because the state was full (rule 11). No row is lost by that, but a straggler of
    /// such a trip is no longer recognised.
    // The name in the changelog, which writes this as JSON.
    #[serde(rename = "marks_forgotten")]
    pub closed_forgotten: u64,
}

impl Counters {
    /// All rejected rows.
    pub const fn rejected(&self) -> u64 {
        self.rejected_late + self.rejected_timestamp + self.rejected_duplicate
    }

    /// All rows that have met their fate. With the rows still open it is
    /// [`rows_in`](Self::rows_in): the conservation law of rule 2.
    pub const fn decided_rows(&self) -> u64 {
        3 * self.joined + self.unmatched_rows + self.duplicates + self.rejected()
    }

    pub(crate) const fn count_rejected(&mut self, reason: RejectReason) {
        match reason {
            RejectReason::Late => self.rejected_late += 1,
            RejectReason::Timestamp => self.rejected_timestamp += 1,
            RejectReason::Duplicate => self.rejected_duplicate += 1,
        }
    }
}
