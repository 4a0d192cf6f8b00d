//! Requests read and answers written: `cargo bench -p models`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use models::commands::{GenerateRider, GenerateTrips};
use models::records::{CompleteTrip, DriverEarning, Rider, Trip};

const JSON: Option<&str> = Some("application/json");
const MAX_TRIPS: u32 = 10_000;

fn trip() -> CompleteTrip {
    let (trip_id, driver_id) =
        ("6b3ad9a1-54c3-4f0e-9a39-0d3a6f0c7f1e", "4c1d1f7e-97c1-4a3b-8d6e-5d0c0d3c7c55");
    CompleteTrip {
        trip_id: trip_id.to_owned(),
        trip_data: Trip {
            trip_id: trip_id.to_owned(),
            driver_id: driver_id.to_owned(),
            duration: "24 minutes".to_owned(),
            mileage: "17 miles".to_owned(),
            pickup_location: "4821 Walker Streets\nSouth Michelle, CA 90210".to_owned(),
            destination_location: "17 Jones Harbor\nLake Robert, NY 10001".to_owned(),
            start_time: Some("2026-11-22T22:49:49.281670+00:00".to_owned()),
            completion_time: Some("2026-11-22T23:13:49.281670+00:00".to_owned()),
        },
        driver_earning_data: DriverEarning {
            driver_id: driver_id.to_owned(),
            trip_id: trip_id.to_owned(),
            earnings_from_trip: 29.6,
        },
        rider_data: Rider {
            rider_id: "0f0c3c55-2d76-4a90-8ce1-9a3d4a7d2b11".to_owned(),
            trip_id: trip_id.to_owned(),
            duration_estimate: "26 minutes".to_owned(),
            initial_fare_estimate: 13.37,
            final_adjusted_fare: 12.02,
            payment_status: "Completed".to_owned(),
            rating_to_driver: 5,
        },
    }
}

fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    let trip = trip();
    let mut out = serde_json::to_vec(&trip).expect("texts and numbers");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("write a trip", |bencher| {
        bencher.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&trip)).expect("texts and numbers");
        });
    });
    let many = br#"{"number_of_trips": 1000}"#;
    group.throughput(Throughput::Bytes(many.len() as u64));
    group.bench_function("read a request for trips", |bencher| {
        bencher.iter(|| GenerateTrips::from_body(JSON, black_box(many), MAX_TRIPS).is_ok());
    });
    let rider = br#"{"rider_id": "r1", "rating_to_driver": "4", "initial_fare_estimate": 13.37}"#;
    group.throughput(Throughput::Bytes(rider.len() as u64));
    group.bench_function("read a rider", |bencher| {
        bencher.iter(|| GenerateRider::from_body(JSON, black_box(rider)).is_ok());
    });
    group.finish();
}

criterion_group!(benches, json);
criterion_main!(benches);
