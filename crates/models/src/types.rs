//! The small types that every stage of the pipeline speaks in.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A partition number, as Kafka counts them: from 0.
pub type Partition = i32;

/// The identifier that the three rows of a trip share. Never empty. Cloning it is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TripId(Arc<str>);

/// The error of [`TripId::new`]: a row without a trip_id belongs to no trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trip_id is empty")]
pub struct EmptyTripId;

impl TripId {
    /// Takes over `id` as a trip id.
    ///
    /// # Errors
    ///
    /// [`EmptyTripId`] if `id` has no characters.
    pub fn new(id: impl Into<Arc<str>>) -> Result<Self, EmptyTripId> {
        let id = id.into();
        if id.is_empty() { Err(EmptyTripId) } else { Ok(Self(id)) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TripId {
    type Error = EmptyTripId;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<TripId> for String {
    fn from(id: TripId) -> Self {
        id.as_str().to_owned()
    }
}

impl Borrow<str> for TripId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TripId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TripId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// One of the three streams that the join reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `hw.fake.trips`.
    Trip,
    /// `hw.fake.drivers`.
    Driver,
    /// `hw.fake.riders`.
    Rider,
}

impl Side {
    /// All sides, in the order in which they index arrays.
    pub const ALL: [Side; 3] = [Side::Trip, Side::Driver, Side::Rider];

    /// The position of this side in [`Side::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in records, metrics and logs: `trip`, `driver` or `rider`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Trip => "trip",
            Side::Driver => "driver",
            Side::Rider => "rider",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a row happened: the timestamp of its Kafka record, in milliseconds since the Unix epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventTime(i64);

impl EventTime {
    /// The time before all others; what a watermark is until something is known.
    pub const MIN: EventTime = EventTime(i64::MIN);

    /// A time from milliseconds since the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time plus `ms` milliseconds; stays at the ends of the range instead of overflowing.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative if `self` is the earlier one.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_trip_id_is_refused() {
        assert_eq!(TripId::new(""), Err(EmptyTripId));
        assert!(serde_json::from_str::<TripId>("\"\"").is_err());
    }

    #[test]
    fn event_time_saturates_instead_of_overflowing() {
        let end = EventTime::from_millis(i64::MAX);
        assert_eq!(end.plus_millis(1), end);
        assert_eq!(end.millis_since(EventTime::MIN), i64::MAX);
    }
}
