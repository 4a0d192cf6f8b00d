//! The three rows of a trip.

use chrono::{DateTime, TimeDelta, Utc};
use models::records::{CompleteTrip, DriverEarning, Rider, Trip};

use crate::address::address;
use crate::ride::{Ride, RiderView};
use crate::stream::Stream;
use crate::text;

/// Draws a trip. The rows share the trip's and the driver's id and the ride; the start is as long before the
/// completion as the row says in words.
pub(crate) fn trip(stream: &mut Stream, completion: DateTime<Utc>) -> CompleteTrip {
    let trip_id = text::id(stream);
    let driver_id = text::id(stream);
    let ride = Ride::draw(stream);
    let trip_data = Trip {
        trip_id: trip_id.clone(),
        driver_id: driver_id.clone(),
        duration: text::minutes(ride.whole_minutes()),
        mileage: text::miles(ride.whole_miles()),
        pickup_location: address(stream),
        destination_location: address(stream),
        start_time: Some(text::time(start(completion, ride.whole_minutes()))),
        completion_time: Some(text::time(completion)),
    };
    let driver_earning_data =
        DriverEarning { driver_id, trip_id: trip_id.clone(), earnings_from_trip: ride.earnings() };
    let rider_id = text::id(stream);
    let view = RiderView::draw(stream, ride.rider_minutes());
    let rider_data = Rider {
        rider_id,
        trip_id: trip_id.clone(),
        duration_estimate: text::minutes(view.estimate_minutes),
        initial_fare_estimate: view.initial_fare_estimate,
        final_adjusted_fare: view.final_adjusted_fare,
        payment_status: view.payment_status.to_owned(),
        rating_to_driver: view.rating,
    };
    CompleteTrip { trip_id, trip_data, driver_earning_data, rider_data }
}

/// When a ride of `minutes` that was over at `completion` began.
pub(crate) fn start(completion: DateTime<Utc>, minutes: u32) -> DateTime<Utc> {
    completion
        .checked_sub_signed(TimeDelta::minutes(minutes.into()))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}
