//! A record is a function of its arguments.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use generator::Generator;
use models::records::{CompleteTrip, JoinedStream, Trip};
use proptest::prelude::*;

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).expect("a time of this century")
}

const NOON: i64 = 1_795_348_800_000_000;

#[test]
fn a_trip_looks_like_this() {
    let rows = Generator::new(42).complete_trip(7, at(NOON + 281_670));
    insta::assert_json_snapshot!(rows);
    let joined = JoinedStream::new(rows.trip_data, rows.driver_earning_data, rows.rider_data);
    assert_eq!(joined.trip_id, rows.trip_id);
}

#[test]
fn single_rows_look_like_this() {
    let generator = Generator::new(42);
    insta::assert_debug_snapshot!((
        generator.trip(7, at(NOON)),
        generator.driver_earning(7),
        generator.rider(7)
    ));
}

#[test]
fn no_id_occurs_twice() {
    let mut ids = HashSet::new();
    for seed in [1, 2] {
        let generator = Generator::new(seed);
        for index in 0..20_000 {
            let rows = generator.complete_trip(index, at(NOON));
            let (trip, driver, rider) = (
                generator.trip(index, at(NOON)),
                generator.driver_earning(index),
                generator.rider(index),
            );
            let new = [
                rows.trip_id,
                rows.trip_data.driver_id,
                rows.rider_data.rider_id,
                trip.trip_id,
                trip.driver_id,
                driver.trip_id,
                driver.driver_id,
                rider.trip_id,
                rider.rider_id,
            ];
            for id in new {
                assert!(ids.insert(id.clone()), "{id} of seed {seed}, index {index}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_order_of_calls_changes_nothing(seed: u64, mut indices in prop::collection::vec(any::<u64>(), 1..20)) {
        let make = |index: &u64| Generator::new(seed).complete_trip(*index, at(NOON));
        let mut forwards: Vec<_> = indices.iter().map(make).collect();
        indices.reverse();
        let generator = Generator::new(seed);
        let backwards: Vec<_> = indices
            .iter()
            .map(|index| {
                generator.rider(*index);
                generator.complete_trip(*index, at(NOON))
            })
            .collect();
        forwards.reverse();
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn the_completion_time_changes_the_times_only(seed: u64, index: u64, later in 1..1_000_000_000_000_i64) {
        let untimed = |rows: CompleteTrip| CompleteTrip {
            trip_data: Trip { start_time: None, completion_time: None, ..rows.trip_data },
            ..rows
        };
        let generator = Generator::new(seed);
        let one = generator.complete_trip(index, at(NOON));
        let other = generator.complete_trip(index, at(NOON + later));
        prop_assert_ne!(&one.trip_data.completion_time, &other.trip_data.completion_time);
        prop_assert_eq!(untimed(one), untimed(other));
    }

    #[test]
    fn another_seed_makes_other_trips(seed: u64, other: u64, index: u64) {
        prop_assume!(seed != other);
        let [one, other] = [seed, other].map(|seed| Generator::new(seed).complete_trip(index, at(NOON)));
        prop_assert_ne!(one.trip_id, other.trip_id);
    }
}
