//! Writing and reading each record: `cargo bench -p avro-schemas`.

use std::hint::black_box;

use avro_schemas::{Encoder, Record, SchemaId, WriterSchema, frame};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};

fn records() -> (Trip, DriverEarning, Rider) {
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
    (trip, driver, rider)
}

fn codec(criterion: &mut Criterion) {
    let (trip, driver, rider) = records();
    let joined = JoinedStream::new(trip.clone(), driver.clone(), rider.clone());
    let unmatched = UnmatchedTrip {
        trip_id: trip.trip_id.clone(),
        trip: Some(trip.clone()),
        rider: Some(rider.clone()),
        missing: vec!["driver".to_owned()],
        reason: "window_expired".to_owned(),
        ..UnmatchedTrip::default()
    };
    let mut group = criterion.benchmark_group("avro");
    both_ways(&mut group, &trip);
    both_ways(&mut group, &driver);
    both_ways(&mut group, &rider);
    both_ways(&mut group, &joined);
    both_ways(&mut group, &unmatched);
    group.finish();
}

fn both_ways<T: Record>(group: &mut BenchmarkGroup<'_, WallTime>, record: &T) {
    let encoder = Encoder::new(SchemaId::new(1));
    let schema = WriterSchema::own(encoder.id(), T::TYPE);
    let mut value = Vec::new();
    encoder.encode(record, &mut value).expect("a record fits its schema");
    group.throughput(Throughput::Bytes(value.len() as u64));
    let mut out = Vec::new();
    group.bench_function(format!("encode {:?}", T::TYPE), |bencher| {
        bencher.iter(|| {
            out.clear();
            encoder.encode(black_box(record), &mut out).expect("a record fits its schema");
        });
    });
    let (_, datum) = frame(&value).expect("an encoder frames");
    group.bench_function(format!("decode {:?}", T::TYPE), |bencher| {
        bencher.iter(|| schema.decode::<T>(black_box(datum)).expect("what was encoded"));
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
