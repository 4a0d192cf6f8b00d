//! What is written can be read, whatever it is.

mod samples;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use avro_schemas::Record;
use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};
use proptest::option;
use proptest::prelude::*;
use samples::{datum, read_own};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[a-z]{60,200}"]
}

/// All doubles but NaN, which equals nothing.
fn number() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("NaN", |number| !number.is_nan())
}

prop_compose! {
    fn trips()(
        [trip_id, driver_id, duration, mileage] in [text(), text(), text(), text()],
        [pickup_location, destination_location] in [text(), text()],
        [start_time, completion_time] in [option::of(text()), option::of(text())],
    ) -> Trip {
        Trip {
            trip_id, driver_id, duration, mileage, pickup_location, destination_location, start_time,
            completion_time,
        }
    }
}

prop_compose! {
    fn driver_earnings()(
        [driver_id, trip_id] in [text(), text()], earnings_from_trip in number(),
    ) -> DriverEarning {
        DriverEarning { driver_id, trip_id, earnings_from_trip }
    }
}

prop_compose! {
    fn riders()(
        [rider_id, trip_id, duration_estimate, payment_status] in [text(), text(), text(), text()],
        [initial_fare_estimate, final_adjusted_fare] in [number(), number()],
        rating_to_driver: i32,
    ) -> Rider {
        Rider {
            rider_id, trip_id, duration_estimate, initial_fare_estimate, final_adjusted_fare,
            payment_status, rating_to_driver,
        }
    }
}

prop_compose! {
    fn unmatched_trips()(
        [trip_id, reason] in [text(), text()],
        trip in option::of(trips()),
        driver_earning in option::of(driver_earnings()),
        rider in option::of(riders()),
        missing in prop::collection::vec(text(), 0..4),
        watermark: i64,
    ) -> UnmatchedTrip {
        UnmatchedTrip { trip_id, trip, driver_earning, rider, missing, reason, watermark }
    }
}

/// What apache-avro writes, which looks every field up in the schema.
fn by_schema<T: Record>(record: &T) -> Vec<u8> {
    let schema = Schema::parse_str(T::TYPE.schema_json()).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema).build().expect("self-contained");
    let mut out = Vec::new();
    writer.write_ser(&mut out, record).expect("a record fits its schema");
    out
}

proptest! {
    #[test]
    fn bytes_are_those_that_the_schema_asks_for(
        trip in trips(),
        driver in driver_earnings(),
        rider in riders(),
        unmatched in unmatched_trips(),
    ) {
        prop_assert_eq!(datum(&trip), by_schema(&trip));
        prop_assert_eq!(datum(&driver), by_schema(&driver));
        prop_assert_eq!(datum(&rider), by_schema(&rider));
        prop_assert_eq!(datum(&unmatched), by_schema(&unmatched));
        let joined = JoinedStream::new(trip, driver, rider);
        prop_assert_eq!(datum(&joined), by_schema(&joined));
    }

    #[test]
    fn inputs_come_back_as_they_were(trip in trips(), driver in driver_earnings(), rider in riders()) {
        prop_assert_eq!(read_own::<Trip>(&datum(&trip)), Ok(trip.clone()));
        prop_assert_eq!(read_own::<DriverEarning>(&datum(&driver)), Ok(driver.clone()));
        prop_assert_eq!(read_own::<Rider>(&datum(&rider)), Ok(rider.clone()));
        let joined = JoinedStream::new(trip, driver, rider);
        prop_assert_eq!(read_own::<JoinedStream>(&datum(&joined)), Ok(joined));
    }

    #[test]
    fn unmatched_trips_come_back_as_they_were(unmatched in unmatched_trips()) {
        prop_assert_eq!(read_own::<UnmatchedTrip>(&datum(&unmatched)), Ok(unmatched));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Whatever can be read is written with the same meaning.
        if let Ok(unmatched) = read_own::<UnmatchedTrip>(&bytes) {
            let again = read_own::<UnmatchedTrip>(&datum(&unmatched)).expect("a record we wrote");
            prop_assert_eq!(datum(&again), datum(&unmatched));
        }
    }
}
