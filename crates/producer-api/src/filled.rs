//! A drawn record with the fields that the request gives instead.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip};
use models::records::{DriverEarning, Rider, Trip};

/// A given duration in minutes moves the start, so that the row stays true to itself.
pub(crate) fn trip(drawn: Trip, given: GenerateTrip, completion: DateTime<Utc>) -> Trip {
    let start_time = given
        .duration
        .as_deref()
        .and_then(minutes)
        .and_then(|duration| completion.checked_sub_signed(duration))
        .map(|start| start.to_rfc3339_opts(SecondsFormat::Micros, false))
        .or(drawn.start_time);
    Trip {
        trip_id: given.trip_id.unwrap_or(drawn.trip_id),
        driver_id: given.driver_id.unwrap_or(drawn.driver_id),
        duration: given.duration.unwrap_or(drawn.duration),
        mileage: given.mileage.unwrap_or(drawn.mileage),
        pickup_location: given.pickup_location.unwrap_or(drawn.pickup_location),
        destination_location: given.destination_location.unwrap_or(drawn.destination_location),
        start_time,
        completion_time: drawn.completion_time,
    }
}

pub(crate) fn driver_earning(drawn: DriverEarning, given: GenerateDriverEarning) -> DriverEarning {
    DriverEarning {
        driver_id: given.driver_id.unwrap_or(drawn.driver_id),
        trip_id: given.trip_id.unwrap_or(drawn.trip_id),
        earnings_from_trip: given.earnings_from_trip.unwrap_or(drawn.earnings_from_trip),
    }
}

pub(crate) fn rider(drawn: Rider, given: GenerateRider) -> Rider {
    Rider {
        rider_id: given.rider_id.unwrap_or(drawn.rider_id),
        trip_id: given.trip_id.unwrap_or(drawn.trip_id),
        duration_estimate: given.duration_estimate.unwrap_or(drawn.duration_estimate),
        initial_fare_estimate: given.initial_fare_estimate.unwrap_or(drawn.initial_fare_estimate),
        final_adjusted_fare: given.final_adjusted_fare.unwrap_or(drawn.final_adjusted_fare),
        payment_status: given.payment_status.unwrap_or(drawn.payment_status),
        rating_to_driver: given.rating_to_driver.unwrap_or(drawn.rating_to_driver),
    }
}

/// `24 minutes`, as the generator writes it, up to 45 days. Other texts say nothing about time.
fn minutes(duration: &str) -> Option<TimeDelta> {
    let number = duration.strip_suffix(" minutes")?;
    TimeDelta::try_minutes(number.parse::<u16>().ok()?.into())
}

#[cfg(test)]
mod tests {
    use generator::Generator;

    use super::*;

    #[test]
    fn a_given_duration_moves_the_start_and_others_leave_it() {
        let completion = DateTime::from_timestamp(1_795_389_229, 281_670_000).unwrap();
        let drawn = Generator::new(1).trip(0, completion);
        for (duration, start_time) in [
            ("24 minutes", Some("2026-11-22T22:49:49.281670+00:00".to_owned())),
            ("a while", drawn.start_time.clone()),
            ("-5 minutes", drawn.start_time.clone()),
            ("100000 minutes", drawn.start_time.clone()),
        ] {
            let given =
                GenerateTrip { duration: Some(duration.to_owned()), ..GenerateTrip::default() };
            let filled = trip(drawn.clone(), given, completion);
            assert_eq!(filled, Trip { duration: duration.to_owned(), start_time, ..drawn.clone() });
        }
    }
}
