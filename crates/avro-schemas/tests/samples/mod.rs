//! One record of each type, and shorthands to write and read them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use avro_schemas::{DecodeError, Encoder, Record, SchemaId, WriterSchema, frame};
use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};

pub(crate) const ID: SchemaId = SchemaId::new(1);

pub(crate) fn trip() -> Trip {
    Trip {
        trip_id: "t1".to_owned(),
        driver_id: "d1".to_owned(),
        duration: "24 minutes".to_owned(),
        mileage: "17 miles".to_owned(),
        pickup_location: "A\nB".to_owned(),
        destination_location: "é".to_owned(),
        start_time: Some("s".to_owned()),
        completion_time: None,
    }
}

pub(crate) fn driver_earning() -> DriverEarning {
    DriverEarning { driver_id: "d1".to_owned(), trip_id: "t1".to_owned(), earnings_from_trip: 2.5 }
}

pub(crate) fn rider() -> Rider {
    Rider {
        rider_id: "r1".to_owned(),
        trip_id: "t1".to_owned(),
        duration_estimate: "21 minutes".to_owned(),
        initial_fare_estimate: 1.0,
        final_adjusted_fare: -2.0,
        payment_status: "Completed".to_owned(),
        rating_to_driver: 5,
    }
}

pub(crate) fn joined() -> JoinedStream {
    JoinedStream::new(trip(), driver_earning(), rider())
}

pub(crate) fn unmatched() -> UnmatchedTrip {
    UnmatchedTrip {
        trip_id: "t1".to_owned(),
        trip: None,
        driver_earning: Some(driver_earning()),
        rider: None,
        missing: vec!["trip".to_owned(), "rider".to_owned()],
        reason: "window_expired".to_owned(),
        watermark: -65,
    }
}

/// `record` as it goes to Kafka, without the five bytes of the frame.
pub(crate) fn datum<T: Record>(record: &T) -> Vec<u8> {
    let mut value = Vec::new();
    Encoder::new(ID).encode(record, &mut value).expect("a record fits its schema");
    frame(&value).expect("an encoder frames").1.to_vec()
}

/// Reads `datum` as written with our own schema.
pub(crate) fn read_own<T: Record>(datum: &[u8]) -> Result<T, DecodeError> {
    WriterSchema::parse(ID, T::TYPE.schema_json()).decode(datum)
}
