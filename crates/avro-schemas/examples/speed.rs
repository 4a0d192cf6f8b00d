//! Records a second on one core: `cargo run --release -p avro-schemas --example speed`.
#![allow(clippy::print_stdout, reason = "what this prints is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use avro_schemas::{Encoder, Record, SchemaId, WriterSchema, frame};
use models::records::{DriverEarning, JoinedStream, Rider, Trip};

const ROUNDS: u32 = 1_000_000;

fn main() {
    let trip = Trip {
        trip_id: "6b3ad9a1-54c3-4f0e-9a39-0d3a6f0c7f1e".to_owned(),
        driver_id: "4c1d1f7e-97c1-4a3b-8d6e-5d0c0d3c7c55".to_owned(),
        duration: "24 minutes".to_owned(),
        mileage: "17 miles".to_owned(),
        pickup_location: "4821 Walker Streets\nSouth Michelle, CA 90210".to_owned(),
        destination_location: "17 Jones Harbor\nLake Robert, NY 10001".to_owned(),
        start_time: Some("2026-11-22T22:49:49.281670+00:00".to_owned()),
        completion_time: Some("2026-11-22T23:13:49.281670+00:00".to_owned()),
    };
    let driver = DriverEarning {
        driver_id: trip.driver_id.clone(),
        trip_id: trip.trip_id.clone(),
        earnings_from_trip: 29.6,
    };
    let rider = Rider {
        rider_id: "0f0c3c55-2d76-4a90-8ce1-9a3d4a7d2b11".to_owned(),
        trip_id: trip.trip_id.clone(),
        duration_estimate: "26 minutes".to_owned(),
        initial_fare_estimate: 13.37,
        final_adjusted_fare: 12.02,
        payment_status: "Completed".to_owned(),
        rating_to_driver: 5,
    };
    measure(&trip);
    measure(&driver);
    measure(&rider);
    measure(&JoinedStream::new(trip, driver, rider));
}

fn measure<T: Record>(record: &T) {
    let id = SchemaId::new(1);
    let encoder = Encoder::new(id);
    let schema = WriterSchema::own(id, T::TYPE);
    let mut value = Vec::new();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        value.clear();
        encoder.encode(black_box(record), &mut value).expect("a record fits its schema");
    }
    let encode = f64::from(ROUNDS) / start.elapsed().as_secs_f64();
    let (_, datum) = frame(&value).expect("an encoder frames");
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(schema.decode::<T>(black_box(datum)).expect("what was encoded"));
    }
    let decode = f64::from(ROUNDS) / start.elapsed().as_secs_f64();
    println!("{:?}: {} bytes, encode {encode:.0}/s, decode {decode:.0}/s", T::TYPE, value.len());
}
