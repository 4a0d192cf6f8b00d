//! Rows as bytes against rows as records: apache-avro is the judge.

mod samples;

use avro_schemas::{
    DecodeError, Encoder, Record, SchemaId, WriterSchema, frame, record_of, splice,
};
use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};
use models::{EventTime, Side};
use proptest::prelude::*;
use samples::{ID, datum};

/// The row as a record, encoded again: what [`WriterSchema::row`] must come to.
fn by_record(
    schema: &WriterSchema,
    side: Side,
    bytes: &[u8],
) -> Result<(String, Vec<u8>), DecodeError> {
    fn read<T: Record>(
        schema: &WriterSchema,
        bytes: &[u8],
        trip_id: impl Fn(&T) -> &String,
    ) -> Result<(String, Vec<u8>), DecodeError> {
        let record = schema.decode::<T>(bytes)?;
        Ok((trip_id(&record).clone(), datum(&record)))
    }
    match side {
        Side::Trip => read(schema, bytes, |trip: &Trip| &trip.trip_id),
        Side::Driver => read(schema, bytes, |driver: &DriverEarning| &driver.trip_id),
        Side::Rider => read(schema, bytes, |rider: &Rider| &rider.trip_id),
    }
}

fn by_bytes(
    schema: &WriterSchema,
    side: Side,
    bytes: &[u8],
) -> Result<(String, Vec<u8>), DecodeError> {
    let row = schema.row(side, bytes)?;
    Ok((row.trip_id.into_owned(), row.datum.into_owned()))
}

fn own(side: Side) -> WriterSchema {
    WriterSchema::own(ID, record_of(side))
}

prop_compose! {
    fn trip()(
        texts in proptest::array::uniform6(any::<String>()),
        start_time in any::<Option<String>>(),
        completion_time in any::<Option<String>>(),
    ) -> Trip {
        let [trip_id, driver_id, duration, mileage, pickup_location, destination_location] = texts;
        Trip {
            trip_id, driver_id, duration, mileage, pickup_location, destination_location,
            start_time, completion_time,
        }
    }
}

prop_compose! {
    fn driver()(
        driver_id in any::<String>(),
        trip_id in any::<String>(),
        earnings_from_trip in any::<f64>(),
    ) -> DriverEarning {
        DriverEarning { driver_id, trip_id, earnings_from_trip }
    }
}

prop_compose! {
    fn rider()(
        texts in proptest::array::uniform4(any::<String>()),
        initial_fare_estimate in any::<f64>(),
        final_adjusted_fare in any::<f64>(),
        rating_to_driver in any::<i32>(),
    ) -> Rider {
        let [rider_id, trip_id, duration_estimate, payment_status] = texts;
        Rider {
            rider_id, trip_id, duration_estimate, initial_fare_estimate, final_adjusted_fare,
            payment_status, rating_to_driver,
        }
    }
}

/// A row's bytes with something done to them: changed, cut, prolonged.
fn damaged() -> impl Strategy<Value = (Side, Vec<u8>)> {
    let row = prop_oneof![
        trip().prop_map(|trip| (Side::Trip, datum(&trip))),
        driver().prop_map(|driver| (Side::Driver, datum(&driver))),
        rider().prop_map(|rider| (Side::Rider, datum(&rider))),
    ];
    let damage = prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| (at, Some(byte), 0)),
        any::<prop::sample::Index>().prop_map(|at| (at, None, 0)),
        (any::<prop::sample::Index>(), 1..3_usize).prop_map(|(at, more)| (at, Some(0), more)),
    ];
    (row, damage).prop_map(|((side, mut bytes), (at, byte, more))| {
        let at = at.index(bytes.len());
        match byte {
            Some(byte) if more == 0 => bytes[at] = byte,
            Some(byte) => bytes.extend(std::iter::repeat_n(byte, more)),
            None => bytes.truncate(at),
        }
        (side, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_row_is_its_record_encoded(trip in trip(), driver in driver(), rider in rider()) {
        let rows = [datum(&trip), datum(&driver), datum(&rider)];
        for (side, bytes) in Side::ALL.into_iter().zip(&rows) {
            let row = own(side).row(side, bytes).expect("valid");
            prop_assert!(matches!(row.datum, std::borrow::Cow::Borrowed(_)));
            prop_assert_eq!(by_bytes(&own(side), side, bytes), by_record(&own(side), side, bytes));
        }
    }

    #[test]
    fn damaged_bytes_are_accepted_and_refused_as_apache_avro_does((side, bytes) in damaged()) {
        prop_assert_eq!(by_bytes(&own(side), side, &bytes), by_record(&own(side), side, &bytes));
    }

    #[test]
    fn random_bytes_are_accepted_and_refused_as_apache_avro_does(
        bytes in prop::collection::vec(prop_oneof![0..20_u8, any::<u8>()], 0..60),
    ) {
        for side in Side::ALL {
            prop_assert_eq!(by_bytes(&own(side), side, &bytes), by_record(&own(side), side, &bytes));
        }
    }

    #[test]
    fn a_spliced_join_is_the_encoded_joined_record(trip in trip(), driver in driver(), rider in rider()) {
        let rows = [datum(&trip), datum(&driver), datum(&rider)];
        let mut spliced = Vec::new();
        splice::joined(ID, [&rows[0], &rows[1], &rows[2]], &mut spliced);
        let mut encoded = Vec::new();
        let record = JoinedStream::new(trip, driver, rider);
        Encoder::new(ID).encode(&record, &mut encoded).expect("valid");
        prop_assert_eq!(spliced, encoded);
    }

    #[test]
    fn a_spliced_unmatched_trip_is_the_encoded_record(
        trip in prop::option::of(trip()),
        driver_earning in prop::option::of(driver()),
        rider in prop::option::of(rider()),
        trip_id in any::<String>(),
        reason in any::<String>(),
        watermark in any::<i64>(),
    ) {
        let rows = [trip.as_ref().map(datum), driver_earning.as_ref().map(datum), rider.as_ref().map(datum)];
        let about = splice::Unmatched {
            trip_id: &trip_id,
            reason: &reason,
            watermark: EventTime::from_millis(watermark),
        };
        let mut spliced = Vec::new();
        let [a, b, c] = &rows;
        splice::unmatched(ID, about, [a.as_deref(), b.as_deref(), c.as_deref()], &mut spliced);
        let missing = Side::ALL.into_iter().zip(&rows).filter(|(_, row)| row.is_none());
        let missing = missing.map(|(side, _)| side.as_str().to_owned()).collect();
        let record = UnmatchedTrip { trip_id, trip, driver_earning, rider, missing, reason, watermark };
        let mut encoded = Vec::new();
        Encoder::new(ID).encode(&record, &mut encoded).expect("valid");
        prop_assert_eq!(spliced, encoded);
    }
}

#[test]
fn a_row_of_another_version_is_resolved_to_ours() {
    let json = Trip::TYPE.schema_json().replace(
        r#"{"name": "driver_id""#,
        r#"{"name": "vehicle", "type": "int"}, {"name": "driver_id""#,
    );
    let schema = WriterSchema::parse(SchemaId::new(9), &json);
    let own = datum(&samples::trip());
    let written = [&own[..3], b"\x0e", &own[3..]].concat();
    assert_eq!(by_bytes(&schema, Side::Trip, &written), Ok(("t1".to_owned(), own)));
    let error = schema.row(Side::Driver, &written).expect_err("a trip");
    assert!(matches!(error, DecodeError::WrongType { .. }), "{error}");
}

#[test]
fn a_row_of_another_namespace_stays_where_it_is() {
    let json = Trip::TYPE.schema_json().replace("com.example", "org.acme");
    let own = datum(&samples::trip());
    let schema = WriterSchema::parse(SchemaId::new(9), &json);
    let row = schema.row(Side::Trip, &own).expect("a trip");
    assert!(matches!(row.datum, std::borrow::Cow::Borrowed(_)));
    assert_eq!((&*row.trip_id, &*row.datum), ("t1", &own[..]));
}

#[test]
fn an_unmatched_trip_can_lack_nothing() {
    let rows =
        [datum(&samples::trip()), datum(&samples::driver_earning()), datum(&samples::rider())];
    let about =
        splice::Unmatched { trip_id: "t1", reason: "r", watermark: EventTime::from_millis(1) };
    let mut value = Vec::new();
    splice::unmatched(ID, about, [Some(&rows[0]), Some(&rows[1]), Some(&rows[2])], &mut value);
    let (_, bytes) = frame(&value).expect("framed");
    let read: UnmatchedTrip = samples::read_own(bytes).expect("valid");
    assert_eq!((read.trip, read.missing), (Some(samples::trip()), Vec::new()));
}
