//! What a trip takes to make: records, memory and time.

/// Records of one trip: trip, driver earning, rider.
pub(crate) const RECORDS_PER_TRIP: u32 = 3;
/// A trip as JSON takes about this much.
pub(crate) const TRIP_JSON_BYTES: usize = 1024;
/// Trips that are made before other requests of the same worker get a turn: about half a millisecond's work.
pub(crate) const TRIPS_PER_TURN: u32 = 64;
