//! A stream of trips through a task, from the first row to the expiry of the marks: `cargo bench -p join`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use join::{Decision, JoinConfig, Row, RowOrigin, Task, TaskLayout, WallTime};
use models::{EventTime, Side, TripId};

const TRIPS: i64 = 10_000;
/// So that the stream is longer than two windows, and what leaves the state counts, too.
const MS_PER_TRIP: i64 = 200;
/// About what a decoded row takes.
const PAYLOAD_BYTES: usize = 150;
/// Every so many trips the changelog is written: about 100 ms of a fast stream.
const TRIPS_PER_COMMIT: i64 = 1_000;

fn row(trip: i64, side: Side) -> Row<Vec<u8>> {
    let ts = EventTime::from_millis(trip * MS_PER_TRIP);
    Row {
        trip_id: TripId::new(format!("6b3ad9a1-54c3-4f0e-9a39-{trip:012}")).expect("not empty"),
        side,
        ts: Some(ts),
        payload: vec![b'x'; PAYLOAD_BYTES],
        origin: RowOrigin { partition: 0, offset: trip },
    }
}

/// All rows of the stream; the sides of a trip come `apart` trips after each other.
fn stream(apart: i64) -> Vec<Row<Vec<u8>>> {
    let turn = |at| {
        let row_of = move |side: Side| {
            let trip = at - side.index() as i64 * apart;
            (0..TRIPS).contains(&trip).then(|| row(trip, side))
        };
        Side::ALL.into_iter().filter_map(row_of)
    };
    (0..TRIPS + 2 * apart).flat_map(turn).collect()
}

fn joined(rows: Vec<Row<Vec<u8>>>) -> usize {
    let layout = TaskLayout::new(0, 1, [1, 1, 1]).expect("one partition each");
    let mut task = Task::new(&JoinConfig { changelog: true, ..JoinConfig::default() }, layout)
        .expect("the defaults are valid");
    let mut out = Vec::new();
    let mut joined = 0;
    for (index, row) in rows.into_iter().enumerate() {
        let now = WallTime::from_millis(row.ts.expect("each row has one").as_millis());
        task.on_row(row, now, &mut out);
        if index as i64 % (3 * TRIPS_PER_COMMIT) == 0 {
            joined += drained(&mut out);
            task.drain_delta(|trip| {
                black_box(trip.entries().count());
            });
        }
    }
    joined + drained(&mut out)
}

fn drained(out: &mut Vec<Decision<Vec<u8>>>) -> usize {
    out.drain(..).filter(|decision| matches!(decision, Decision::Joined(_))).count()
}

fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(TRIPS as u64)).sample_size(20);
    for (name, apart) in [("sides together", 0), ("sides 500 trips apart", 500)] {
        let rows = stream(apart);
        assert_eq!(joined(rows.clone()), TRIPS as usize, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| rows.clone(), joined, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, join);
criterion_main!(benches);
