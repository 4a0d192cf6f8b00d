//! Rule 8 without a broker: several tasks, inputs with any number of partitions, rows anywhere in
//! them, and the rows and watermarks that travel between the tasks.

use std::collections::BTreeSet;

use join::{Decision, JoinConfig, Row, Task, TaskLayout, Watermark};
use models::{Side, TripId};
use proptest::prelude::*;

use crate::model::joins_by_brute_force;
use crate::story::{Text, at, cases, config, row, tell};

const WINDOW: i64 = 10;

/// A trip: when it is, and by how much each row is later and where it lies; none if there is none.
type TripPlan = (i64, [Option<(i64, usize)>; 3]);

/// What a repartition partition carries.
enum Travelling {
    Row(Row<Text>),
    Watermark(i32, Watermark),
}

struct Cluster {
    tasks: Vec<Task<Text>>,
    /// By side, by partition: what is in it, and how far it was read.
    inputs: [Vec<(Vec<Row<Text>>, usize)>; 3],
    repartition: Vec<(Vec<Travelling>, usize)>,
    out: Vec<Decision<Text>>,
    now: i64,
}

fn home(trip_id: &TripId, tasks: usize) -> usize {
    trip_id.as_str().bytes().map(usize::from).sum::<usize>() % tasks
}

impl Cluster {
    fn new(
        config: &JoinConfig,
        partitions: [usize; 3],
        trips: &[TripPlan],
        delays: &[i64],
    ) -> Self {
        let tasks = partitions.into_iter().max().unwrap();
        let counts = partitions.map(|count| count as i32);
        let mut inputs = partitions.map(|count| vec![(Vec::new(), 0); count]);
        let mut delays = delays.iter().cycle();
        for (number, (start, rows)) in trips.iter().enumerate() {
            for side in Side::ALL {
                if let Some((offset, place)) = rows[side.index()] {
                    let place = place % partitions[side.index()];
                    let row = row(&format!("t{number}"), side, start + offset, place as i32);
                    inputs[side.index()][place].0.push(row);
                }
            }
        }
        for (rows, _) in inputs.iter_mut().flatten() {
            // Out of order by less than the grace.
            rows.sort_by_cached_key(|row| row.ts.unwrap().as_millis() + delays.next().unwrap());
        }
        let task = |number: i32| {
            Task::new(config, TaskLayout::new(number, tasks as i32, counts).unwrap()).unwrap()
        };
        Self {
            tasks: (0..tasks as i32).map(task).collect(),
            inputs,
            repartition: (0..tasks).map(|_| (Vec::new(), 0)).collect(),
            out: Vec::new(),
            now: 100_000,
        }
    }

    /// One transaction of one task: reads up to `count` rows of one of its inputs, or of what
    /// travels to it; passes on what is at home elsewhere, and its watermark behind that.
    fn step(&mut self, number: usize, source: usize, count: usize) {
        self.now += 1;
        let now = at(self.now);
        let task = &mut self.tasks[number];
        let mut passed_on = Vec::new();
        let inputs = task.layout().inputs().to_vec();
        let ahead: BTreeSet<_> = task.inputs_ahead().collect();
        if let Some((side, partition)) = inputs.get(source % (inputs.len() + 1)).copied() {
            let (rows, read) = &mut self.inputs[side.index()][partition as usize];
            if !ahead.contains(&(side, partition)) {
                for row in rows.iter().skip(*read).take(count).cloned() {
                    *read += 1;
                    if home(&row.trip_id, self.repartition.len()) == number {
                        task.on_row(row, now, &mut self.out);
                    } else {
                        passed_on.extend(task.pass_on(row, now, &mut self.out));
                    }
                }
                if *read == rows.len() {
                    task.on_end_of_input(side, partition, now, &mut self.out);
                }
            }
        } else {
            let (travelling, read) = &mut self.repartition[number];
            for item in travelling.iter().skip(*read).take(count) {
                *read += 1;
                match item {
                    Travelling::Row(row) => {
                        task.on_forwarded_row(row.clone(), now, &mut self.out);
                    }
                    Travelling::Watermark(source, watermark) => {
                        task.on_watermark(*source, *watermark, now, &mut self.out);
                    }
                }
            }
            if *read == travelling.len() {
                task.on_end_of_repartition(now, &mut self.out);
            }
        }
        task.advance(now, &mut self.out);
        assert!(task.is_balanced());
        let watermark = task.inputs_watermark();
        for row in passed_on {
            let home = home(&row.trip_id, self.repartition.len());
            self.repartition[home].0.push(Travelling::Row(row));
        }
        for (travelling, _) in &mut self.repartition {
            travelling.push(Travelling::Watermark(number as i32, watermark));
        }
    }

    fn is_read(&self) -> bool {
        let travelling = |item: &Travelling| matches!(item, Travelling::Row(_));
        self.inputs.iter().flatten().all(|(rows, read)| rows.len() == *read)
            && !self.repartition.iter().any(|(items, read)| items[*read..].iter().any(travelling))
    }

    /// Reads on, each task in its turn, until all rows are read and decided.
    fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "a partition is paused for ever, or a trip never decided");
            for number in 0..self.tasks.len() {
                for source in 0..=self.tasks[number].layout().inputs().len() {
                    self.step(number, source, 1_000);
                }
            }
            let open: usize = self.tasks.iter().map(Task::open_rows).sum();
            if self.is_read() && open == 0 {
                return;
            }
            if self.is_read() {
                self.now += 20;
            }
        }
    }
}

fn trips() -> impl Strategy<Value = Vec<TripPlan>> {
    let row = prop::option::weighted(0.85, (0..13_i64, 0..8_usize));
    prop::collection::vec((0..400_i64, prop::array::uniform3(row)), 1..80)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn foreign_rows_join_as_completely_as_those_at_home(
        trips in trips(),
        partitions in prop::array::uniform3(1..4_usize),
        delays in prop::collection::vec(0..2_i64, 50),
        steps in prop::collection::vec((0..3_usize, 0..4_usize, 1..20_usize), 0..120),
    ) {
        let mut cluster = Cluster::new(&config(), partitions, &trips, &delays);
        for (number, source, count) in steps {
            let number = number % cluster.tasks.len();
            cluster.step(number, source, count);
        }
        cluster.finish();

        let mut joined = BTreeSet::new();
        let mut rows_out = 0;
        for decision in &cluster.out {
            match decision {
                Decision::Joined(trip) => {
                    rows_out += 3;
                    prop_assert!(joined.insert(trip.trip_id.to_string()), "joined twice");
                }
                Decision::Unmatched(trip) => rows_out += trip.payloads.iter().flatten().count(),
                Decision::Rejected(_) => prop_assert!(false, "late: {}", tell(decision)),
            }
        }
        let brute_force: BTreeSet<_> = trips
            .iter()
            .enumerate()
            .filter(|(_, (start, rows))| {
                joins_by_brute_force(rows.map(|row| row.map(|(offset, _)| start + offset)), WINDOW)
            })
            .map(|(number, _)| format!("t{number}"))
            .collect();
        prop_assert_eq!(joined, brute_force);
        let rows_in: usize = trips.iter().map(|(_, rows)| rows.iter().flatten().count()).sum();
        prop_assert_eq!(rows_out, rows_in);
        let counted: u64 = cluster.tasks.iter().map(|task| task.counters().rows_in).sum();
        prop_assert_eq!(counted, rows_in as u64);
    }
}
