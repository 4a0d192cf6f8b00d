//! What comes in: a row of one of the three streams, and the wall clock.

use std::sync::Arc;

use models::{EventTime, Partition, Side, TripId};

/// What a row carries besides its trip and time. The join keeps it and hands it out again; it
/// never looks into it.
pub trait RowPayload: Clone {
    /// How many bytes it holds on the heap. Must be the same again after the payload went through
    /// the changelog, or a restored task counts its state differently.
    fn size_bytes(&self) -> usize;
}

impl RowPayload for Vec<u8> {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

impl RowPayload for Arc<[u8]> {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// Where a row was first read: a place in the input topic of its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowOrigin {
    /// The partition of the input topic.
    pub partition: Partition,
    /// The offset in it.
    pub offset: i64,
}

/// A row of one of the three streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<P> {
    /// The trip that it belongs to.
    pub trip_id: TripId,
    /// The stream that it comes from.
    pub side: Side,
    /// The timestamp of its record; none if the record has none. One before 1970 (Kafka's -1, "no
    /// timestamp", among them) counts as none.
    pub ts: Option<EventTime>,
    /// What it carries.
    pub payload: P,
    /// Where it was first read.
    pub origin: RowOrigin,
}

/// What the wall clock shows, in milliseconds since the Unix epoch.
///
/// The join reads no clock; every call brings this along. It need not be exact, only the same
/// clock throughout. If it goes back, the join goes on with the latest time that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(i64);

impl WallTime {
    pub(crate) const MIN: WallTime = WallTime(i64::MIN);
    pub(crate) const MAX: WallTime = WallTime(i64::MAX);

    /// A time from milliseconds since the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    pub(crate) const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    pub(crate) const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The event time of a row that happens at this moment.
    pub(crate) const fn as_event_time(self) -> EventTime {
        EventTime::from_millis(self.0)
    }
}
