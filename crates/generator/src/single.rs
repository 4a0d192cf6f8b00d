//! Rows on their own: what the single endpoints fill in where the request says nothing.

use chrono::{DateTime, Utc};
use models::records::{DriverEarning, Rider, Trip};
use rand::RngExt;

use crate::address::address;
use crate::complete::start;
use crate::stream::Stream;
use crate::text;

pub(crate) fn trip(stream: &mut Stream, completion: DateTime<Utc>) -> Trip {
    let minutes = stream.random_range(15..=60);
    Trip {
        trip_id: text::id(stream),
        driver_id: text::id(stream),
        duration: text::minutes(minutes),
        mileage: text::miles(stream.random_range(5..=50)),
        pickup_location: address(stream),
        destination_location: address(stream),
        start_time: Some(text::time(start(completion, minutes))),
        completion_time: Some(text::time(completion)),
    }
}

pub(crate) fn driver_earning(stream: &mut Stream) -> DriverEarning {
    DriverEarning {
        driver_id: text::id(stream),
        trip_id: text::id(stream),
        earnings_from_trip: f64::from(stream.random_range(10_000..=99_999)) / 100.0,
    }
}

pub(crate) fn rider(stream: &mut Stream) -> Rider {
    Rider {
        rider_id: text::id(stream),
        trip_id: text::id(stream),
        duration_estimate: text::minutes(stream.random_range(15..=60)),
        initial_fare_estimate: fare(stream),
        final_adjusted_fare: fare(stream),
        payment_status: "Completed".to_owned(),
        rating_to_driver: stream.random_range(1..=5),
    }
}

fn fare(stream: &mut Stream) -> f64 {
    f64::from(stream.random_range(1_000..=9_999)) / 100.0
}
