//! What is kept of each row: where it lies, when it happened, and fingerprints of what it says.
//!
//! Millions of rows are held at once, so their texts are not. Two rows with the same fingerprint say the same,
//! but for one chance in 2^64.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};
use models::{EventTime, Partition, Side};

/// Where a row lies within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// A row of an input, with its value decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Of the trips.
    Trip(Trip),
    /// Of the drivers.
    Driver(DriverEarning),
    /// Of the riders.
    Rider(Rider),
}

impl Input {
    /// The input that it belongs to.
    pub const fn side(&self) -> Side {
        match self {
            Self::Trip(_) => Side::Trip,
            Self::Driver(_) => Side::Driver,
            Self::Rider(_) => Side::Rider,
        }
    }

    /// The trip that it says it belongs to.
    pub fn trip_id(&self) -> &str {
        match self {
            Self::Trip(trip) => &trip.trip_id,
            Self::Driver(driver) => &driver.trip_id,
            Self::Rider(rider) => &rider.trip_id,
        }
    }
}

/// A fingerprint of one side of a trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print(u64);

fn print(value: impl Hash) -> Print {
    // Its keys are fixed: the same value has the same fingerprint throughout.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    Print(hasher.finish())
}

/// What is kept of an input row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputRow {
    pub(crate) side: Side,
    pub(crate) place: Place,
    /// None if the row has no timestamp.
    pub(crate) ts: Option<EventTime>,
    /// Of the part that a joined row takes over.
    pub(crate) joined: Print,
    /// Of all of it, as an unmatched row takes it over.
    pub(crate) whole: Print,
}

impl InputRow {
    pub(crate) fn new(place: Place, ts: Option<EventTime>, input: &Input) -> Self {
        let (joined, whole) = match input {
            Input::Trip(trip) => (ride(trip), whole_trip(trip)),
            Input::Driver(driver) => (earning(driver), earning(driver)),
            Input::Rider(rider) => (ridden(rider), ridden(rider)),
        };
        Self { side: input.side(), place, ts, joined, whole }
    }
}

/// What is kept of a joined row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JoinedRow {
    pub(crate) place: Place,
    pub(crate) ts: Option<EventTime>,
    /// In the order of [`Side::ALL`].
    pub(crate) sides: [Print; 3],
}

impl JoinedRow {
    pub(crate) fn new(place: Place, ts: Option<EventTime>, row: &JoinedStream) -> Self {
        let (trip, rider, driver) = (&row.trip_info, &row.rider_info, &row.driver_earning_info);
        let sides = [
            print((
                &row.trip_id,
                &trip.duration,
                &trip.mileage,
                &trip.pickup_location,
                &trip.destination_location,
                &trip.start_time,
                &trip.completion_time,
            )),
            print((&driver.driver_id, &driver.trip_id, driver.earnings_from_trip.to_bits())),
            print((
                &rider.rider_id,
                &row.trip_id,
                &trip.duration_estimate,
                rider.initial_fare_estimate.to_bits(),
                rider.final_adjusted_fare.to_bits(),
                &rider.payment_status,
                rider.rating_to_driver,
            )),
        ];
        Self { place, ts, sides }
    }
}

/// What is kept of an unmatched row.
#[derive(Debug, Clone)]
pub(crate) struct UnmatchedRow {
    pub(crate) place: Place,
    pub(crate) ts: Option<EventTime>,
    /// In the order of [`Side::ALL`].
    pub(crate) sides: [Option<Print>; 3],
    /// Whether `missing` names the sides that are null, and those only.
    pub(crate) names_what_is_missing: bool,
    pub(crate) watermark: EventTime,
}

impl UnmatchedRow {
    pub(crate) fn new(place: Place, ts: Option<EventTime>, row: &UnmatchedTrip) -> Self {
        let sides = [
            row.trip.as_ref().map(whole_trip),
            row.driver_earning.as_ref().map(earning),
            row.rider.as_ref().map(ridden),
        ];
        let null = Side::ALL.into_iter().filter(|side| sides[side.index()].is_none());
        Self {
            place,
            ts,
            sides,
            names_what_is_missing: null
                .map(Side::as_str)
                .eq(row.missing.iter().map(String::as_str)),
            watermark: EventTime::from_millis(row.watermark),
        }
    }
}

fn ride(trip: &Trip) -> Print {
    print((
        &trip.trip_id,
        &trip.duration,
        &trip.mileage,
        &trip.pickup_location,
        &trip.destination_location,
        &trip.start_time,
        &trip.completion_time,
    ))
}

fn whole_trip(trip: &Trip) -> Print {
    print((ride(trip).0, &trip.driver_id))
}

fn earning(driver: &DriverEarning) -> Print {
    print((&driver.driver_id, &driver.trip_id, driver.earnings_from_trip.to_bits()))
}

fn ridden(rider: &Rider) -> Print {
    print((
        &rider.rider_id,
        &rider.trip_id,
        &rider.duration_estimate,
        rider.initial_fare_estimate.to_bits(),
        rider.final_adjusted_fare.to_bits(),
        &rider.payment_status,
        rider.rating_to_driver,
    ))
}
