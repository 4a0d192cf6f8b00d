//! Making records: what a request gives, and the rest drawn by the generator.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use generator::Generator;
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip};
use models::records::{DriverEarning, Rider, Trip};

/// What the records of a request are drawn from. The same source makes the same records of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawSource {
    pub(crate) generator: Generator,
    /// The number of the first record or trip.
    pub(crate) first: u64,
    /// When its trips are over.
    pub(crate) completion: DateTime<Utc>,
}

/// A command that makes one record.
pub(crate) trait OneRecord {
    type Record;

    /// The record, with what the command leaves out drawn from `source`.
    fn draw(self, source: DrawSource) -> Self::Record;
}

/// A given duration in minutes moves the start, so that the row stays true to itself.
impl OneRecord for GenerateTrip {
    type Record = Trip;

    fn draw(self, DrawSource { generator, first, completion }: DrawSource) -> Trip {
        let drawn = generator.trip(first, completion);
        let start_time = self
            .duration
            .as_deref()
            .and_then(minutes)
            .and_then(|duration| completion.checked_sub_signed(duration))
            .map(|start| start.to_rfc3339_opts(SecondsFormat::Micros, false))
            .or(drawn.start_time);
        Trip {
            trip_id: self.trip_id.unwrap_or(drawn.trip_id),
            driver_id: self.driver_id.unwrap_or(drawn.driver_id),
            duration: self.duration.unwrap_or(drawn.duration),
            mileage: self.mileage.unwrap_or(drawn.mileage),
            pickup_location: self.pickup_location.unwrap_or(drawn.pickup_location),
            destination_location: self.destination_location.unwrap_or(drawn.destination_location),
            start_time,
            completion_time: drawn.completion_time,
        }
    }
}

impl OneRecord for GenerateDriverEarning {
    type Record = DriverEarning;

    fn draw(self, DrawSource { generator, first, .. }: DrawSource) -> DriverEarning {
        let drawn = generator.driver_earning(first);
        DriverEarning {
            driver_id: self.driver_id.unwrap_or(drawn.driver_id),
            trip_id: self.trip_id.unwrap_or(drawn.trip_id),
            earnings_from_trip: self.earnings_from_trip.unwrap_or(drawn.earnings_from_trip),
        }
    }
}

impl OneRecord for GenerateRider {
    type Record = Rider;

    fn draw(self, DrawSource { generator, first, .. }: DrawSource) -> Rider {
        let drawn = generator.rider(first);
        Rider {
            rider_id: self.rider_id.unwrap_or(drawn.rider_id),
            trip_id: self.trip_id.unwrap_or(drawn.trip_id),
            duration_estimate: self.duration_estimate.unwrap_or(drawn.duration_estimate),
            initial_fare_estimate: self
                .initial_fare_estimate
                .unwrap_or(drawn.initial_fare_estimate),
            final_adjusted_fare: self.final_adjusted_fare.unwrap_or(drawn.final_adjusted_fare),
            payment_status: self.payment_status.unwrap_or(drawn.payment_status),
            rating_to_driver: self.rating_to_driver.unwrap_or(drawn.rating_to_driver),
        }
    }
}

/// `24 minutes`, as the generator writes it, up to 45 days. Other texts say nothing about time.
fn minutes(duration: &str) -> Option<TimeDelta> {
    let number = duration.strip_suffix(" minutes")?;
    TimeDelta::try_minutes(number.parse::<u16>().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_duration_moves_the_start_and_others_leave_it() {
        let completion = DateTime::from_timestamp(1_795_389_229, 281_670_000).unwrap();
        let source = DrawSource { generator: Generator::new(1), first: 0, completion };
        let drawn = GenerateTrip::default().draw(source);
        for (duration, start_time) in [
            ("24 minutes", Some("2026-11-22T22:49:49.281670+00:00".to_owned())),
            ("a while", drawn.start_time.clone()),
            ("-5 minutes", drawn.start_time.clone()),
            ("100000 minutes", drawn.start_time.clone()),
        ] {
            let given =
                GenerateTrip { duration: Some(duration.to_owned()), ..GenerateTrip::default() };
            let filled = given.draw(source);
            assert_eq!(filled, Trip { duration: duration.to_owned(), start_time, ..drawn.clone() });
        }
    }
}
