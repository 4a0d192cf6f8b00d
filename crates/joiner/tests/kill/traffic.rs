//! A stream of trips without end, and what must become of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use kafka::partitioner::partition_for;
use models::{Partition, Side};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Rig, Row, now_ms};

const TICK: Duration = Duration::from_millis(20);
const TRIPS_PER_TICK: usize = 8;
/// How far apart the rows of a trip are written: long enough that a kill comes in between.
const SPREAD_MS: i64 = 1_500;
/// Partitions of every input.
pub const PARTITIONS: Partition = 3;

/// A row that is to be written at its event time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    due_ms: i64,
    side: usize,
    partition: Partition,
    trip_id: String,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Story {
    pub complete: BTreeSet<String>,
    /// Trips that lack rows.
    pub incomplete: BTreeSet<String>,
    /// Second rows for a side.
    pub duplicates: usize,
    pub rows: usize,
}

/// Writes until it is told to stop.
pub struct Traffic {
    enough: CancellationToken,
    writer: JoinHandle<Story>,
}

impl Traffic {
    pub fn start(rig: Arc<Rig>, seed: u64) -> Self {
        let enough = CancellationToken::new();
        let writer = tokio::spawn(write(rig, seed, enough.clone()));
        Self { enough, writer }
    }

    /// What was written, once all rows of the trips that have begun are written.
    pub async fn stop(self) -> Story {
        self.enough.cancel();
        self.writer.await.unwrap()
    }
}

async fn write(rig: Arc<Rig>, seed: u64, enough: CancellationToken) -> Story {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut story = Story::default();
    let mut planned = BinaryHeap::new();
    let mut tick = tokio::time::interval(TICK);
    while !enough.is_cancelled() || !planned.is_empty() {
        tick.tick().await;
        let now = now_ms();
        if !enough.is_cancelled() {
            for _ in 0..TRIPS_PER_TICK {
                planned.extend(begin(&mut story, &mut rng, now).into_iter().map(Reverse));
            }
        }
        let mut rows = [const { Vec::new() }; 3];
        while planned.peek().is_some_and(|Reverse(row)| row.due_ms <= now) {
            let Reverse(Planned { due_ms, side, partition, trip_id }) = planned.pop().unwrap();
            let value = rig.value(Side::ALL[side], &trip_id);
            rows[side].push((partition, trip_id, Some(value), due_ms));
        }
        story.rows += rows.iter().map(Vec::len).sum::<usize>();
        let [trips, drivers, riders] = rows;
        tokio::join!(
            rig.produce(Side::Trip, trips),
            rig.produce(Side::Driver, drivers),
            rig.produce(Side::Rider, riders),
        );
    }
    story
}

/// One trip in twelve lacks a row or two, one in eight has a row twice; half of the rows lie in a foreign partition.
fn begin(story: &mut Story, rng: &mut StdRng, now: i64) -> Vec<Planned> {
    let trip_id = format!("trip-{}", story.complete.len() + story.incomplete.len());
    let home = partition_for(trip_id.as_bytes(), PARTITIONS);
    let mut sides = vec![0, 1, 2];
    if rng.random_ratio(1, 12) {
        for _ in 0..rng.random_range(1..=2) {
            sides.remove(rng.random_range(0..sides.len()));
        }
        story.incomplete.insert(trip_id.clone());
    } else {
        story.complete.insert(trip_id.clone());
    }
    if rng.random_ratio(1, 8) {
        sides.push(sides[0]);
        story.duplicates += 1;
    }
    let rows = sides.into_iter().map(|side| Planned {
        due_ms: now + rng.random_range(0..SPREAD_MS),
        side,
        partition: if rng.random() { home } else { rng.random_range(0..PARTITIONS) },
        trip_id: trip_id.clone(),
    });
    rows.collect()
}

/// Each trip has exactly one fate, the one that its rows ask for.
pub fn assert_one_fate_each(story: &Story, joined: &[Row], unmatched: &[Row], rejects: &[Row]) {
    assert_once_each("joined", &story.complete, joined);
    assert_once_each("unmatched", &story.incomplete, unmatched);
    assert!(
        rejects.is_empty(),
        "{} rows were rejected, the first: {:?}",
        rejects.len(),
        rejects[0]
    );
}

fn assert_once_each(fate: &str, expected: &BTreeSet<String>, rows: &[Row]) {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *count.entry(row.key.as_deref().unwrap()).or_default() += 1;
    }
    let lost: Vec<&String> =
        expected.iter().filter(|id| !count.contains_key(id.as_str())).collect();
    let twice: Vec<&&str> = count.iter().filter(|(_, n)| **n > 1).map(|(id, _)| id).collect();
    let wrong: Vec<&&str> = count.keys().filter(|id| !expected.contains(**id)).collect();
    let nothing = lost.is_empty() && twice.is_empty() && wrong.is_empty();
    assert!(nothing, "{fate}: {lost:?} lost, {twice:?} twice, {wrong:?} should not be there");
}
