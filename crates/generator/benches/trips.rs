//! Drawing a trip's three rows: `cargo bench -p generator`.

use std::hint::black_box;

use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use generator::Generator;

fn trips(criterion: &mut Criterion) {
    let generator = Generator::new(1);
    let completion = DateTime::from_timestamp(1_795_348_800, 0).expect("a time of this century");
    let mut group = criterion.benchmark_group("generator");
    group.throughput(Throughput::Elements(1));
    let mut index = 0;
    group.bench_function("complete trip", |bencher| {
        bencher.iter(|| {
            index += 1;
            black_box(generator.complete_trip(index, completion))
        });
    });
    group.finish();
}

criterion_group!(benches, trips);
criterion_main!(benches);
