//! The records of the streams, field by field as in `schemas/*.avsc`.
//!
//! Field order is the order of the Avro schemas and of the JSON answers.

use serde::{Deserialize, Serialize};

/// A trip as the ride happened: value of `hw.fake.trips`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trip {
    /// Identifies the trip in all three streams.
    pub trip_id: String,
    /// Who drove.
    pub driver_id: String,
    /// How long it took, in words: `24 minutes`.
    pub duration: String,
    /// How far it went, in words: `17 miles`.
    pub mileage: String,
    /// Where it began: a US address over two lines.
    pub pickup_location: String,
    /// Where it ended: a US address over two lines.
    pub destination_location: String,
    /// When it began: ISO-8601 in UTC with offset.
    #[serde(default)]
    pub start_time: Option<String>,
    /// When it ended: ISO-8601 in UTC with offset.
    #[serde(default)]
    pub completion_time: Option<String>,
}

/// What the driver got for a trip: value of `hw.fake.drivers`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DriverEarning {
    /// Who drove.
    pub driver_id: String,
    /// Identifies the trip in all three streams.
    pub trip_id: String,
    /// US dollars.
    pub earnings_from_trip: f64,
}

/// The rider's view of a trip: value of `hw.fake.riders`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rider {
    /// Who rode.
    pub rider_id: String,
    /// Identifies the trip in all three streams.
    pub trip_id: String,
    /// What was expected, in words: `21 minutes`.
    pub duration_estimate: String,
    /// US dollars, before the ride.
    pub initial_fare_estimate: f64,
    /// US dollars, after the ride.
    pub final_adjusted_fare: f64,
    /// `Completed` or `Refunded`.
    pub payment_status: String,
    /// 1 (poor) to 5.
    pub rating_to_driver: i32,
}

/// The part of a [`JoinedStream`] that tells of the ride.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TripInfo {
    /// See [`Trip::duration`].
    pub duration: String,
    /// See [`Rider::duration_estimate`].
    pub duration_estimate: String,
    /// See [`Trip::mileage`].
    pub mileage: String,
    /// See [`Trip::pickup_location`].
    pub pickup_location: String,
    /// See [`Trip::destination_location`].
    pub destination_location: String,
    /// See [`Trip::start_time`].
    #[serde(default)]
    pub start_time: Option<String>,
    /// See [`Trip::completion_time`].
    #[serde(default)]
    pub completion_time: Option<String>,
}

/// The part of a [`JoinedStream`] that tells of the rider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RiderInfo {
    /// See [`Rider::rider_id`].
    pub rider_id: String,
    /// See [`Rider::initial_fare_estimate`].
    pub initial_fare_estimate: f64,
    /// See [`Rider::final_adjusted_fare`].
    pub final_adjusted_fare: f64,
    /// See [`Rider::payment_status`].
    pub payment_status: String,
    /// See [`Rider::rating_to_driver`].
    pub rating_to_driver: i32,
}

/// The part of a [`JoinedStream`] that tells of the driver's earnings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DriverEarningInfo {
    /// See [`DriverEarning::driver_id`].
    pub driver_id: String,
    /// See [`DriverEarning::trip_id`].
    pub trip_id: String,
    /// See [`DriverEarning::earnings_from_trip`].
    pub earnings_from_trip: f64,
}

/// The three rows of one trip as one: value of `hw.fake.joinedstreams`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JoinedStream {
    /// Identifies the trip.
    pub trip_id: String,
    /// The ride.
    pub trip_info: TripInfo,
    /// The rider.
    pub rider_info: RiderInfo,
    /// The earnings.
    pub driver_earning_info: DriverEarningInfo,
}

impl JoinedStream {
    /// Puts the three rows of a trip together. The caller has matched them: all carry one trip_id.
    pub fn new(trip: Trip, driver: DriverEarning, rider: Rider) -> Self {
        Self {
            trip_id: trip.trip_id,
            trip_info: TripInfo {
                duration: trip.duration,
                duration_estimate: rider.duration_estimate,
                mileage: trip.mileage,
                pickup_location: trip.pickup_location,
                destination_location: trip.destination_location,
                start_time: trip.start_time,
                completion_time: trip.completion_time,
            },
            rider_info: RiderInfo {
                rider_id: rider.rider_id,
                initial_fare_estimate: rider.initial_fare_estimate,
                final_adjusted_fare: rider.final_adjusted_fare,
                payment_status: rider.payment_status,
                rating_to_driver: rider.rating_to_driver,
            },
            driver_earning_info: DriverEarningInfo {
                driver_id: driver.driver_id,
                trip_id: driver.trip_id,
                earnings_from_trip: driver.earnings_from_trip,
            },
        }
    }
}

/// A trip that was not complete when its window closed: value of `hw.fake.unmatched`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UnmatchedTrip {
    /// Identifies the trip.
    pub trip_id: String,
    /// The trip row, if it came.
    #[serde(default)]
    pub trip: Option<Trip>,
    /// The driver row, if it came.
    #[serde(default)]
    pub driver_earning: Option<DriverEarning>,
    /// The rider row, if it came.
    #[serde(default)]
    pub rider: Option<Rider>,
    /// The sides that did not come: `trip`, `driver`, `rider`.
    pub missing: Vec<String>,
    /// Why it was decided: `window_expired`, or `state_full`.
    pub reason: String,
    /// The watermark that decided it, in milliseconds since the Unix epoch.
    pub watermark: i64,
}

/// The three records of one trip, as the API answers them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CompleteTrip {
    /// Identifies the trip.
    pub trip_id: String,
    /// What went to `hw.fake.trips`.
    pub trip_data: Trip,
    /// What went to `hw.fake.drivers`.
    pub driver_earning_data: DriverEarning,
    /// What went to `hw.fake.riders`.
    pub rider_data: Rider,
}
