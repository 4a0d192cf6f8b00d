//! The names by which the parts of the state refer to each other.

/// Where a [`KnownTrip`](crate::index::KnownTrip) is kept. Once that trip is gone, another one may be kept there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TripKey(pub(crate) u32);

/// Where an [`OpenTrip`](crate::entry::OpenTrip) is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenKey(pub(crate) u32);
