//! The task beside the model: after every call they say the same of everything, whatever the streams do.

use join::{
    Changes, Counters, Decision, Duplicates, EntryState, JoinConfig, Row, RowFate, Task,
    TaskLayout, Watermark,
};
use models::{EventTime, Side};
use proptest::prelude::*;

use crate::changelog::restore;
use crate::model::{Event, Model, ModelEntry, ModelRow, Rules, State};
use crate::story::{Text, at, cases, config, ms, row, snapshot, take_delta, take_snapshot, ts};

/// The tasks that are tried: which, of how many, and how many partitions each input has. Some read several partitions
/// of an input, and some none at all.
const LAYOUTS: [(i32, i32, [i32; 3]); 6] = [
    (0, 1, [1, 1, 1]),
    (0, 2, [2, 2, 1]),
    (1, 2, [1, 2, 4]),
    (2, 3, [2, 2, 2]),
    (1, 3, [3, 3, 3]),
    (0, 1, [2, 1, 0]),
];

/// How a row comes to the task.
#[derive(Debug, Clone, Copy)]
enum Way {
    Home,
    /// From an input, to be joined elsewhere.
    Foreign,
    /// Through the repartition partition.
    Forwarded,
}

#[derive(Debug, Clone)]
enum Step {
    Row {
        trip: u8,
        source: usize,
        way: Way,
        time: Option<i64>,
    },
    Watermark {
        source: i32,
        offset: i64,
        idle: bool,
    },
    EndOfInput {
        source: usize,
    },
    EndOfRepartition,
    Paused {
        source: usize,
    },
    RestartIdle,
    Time {
        passes: i64,
    },
    Delta,
    Snapshot {
        trips_a_record: usize,
    },
    /// The process is gone, and what it did since the last delta or snapshot with it.
    Crash,
}

fn rules() -> impl Strategy<Value = Rules> {
    let times = (1..13_i64, 0..5_i64, 1..8_i64, 0..20_i64, 1..13_i64);
    (times, any::<bool>()).prop_map(
        |((window, grace, idle, max_future, max_skew), reject_duplicates)| Rules {
            window,
            grace,
            idle,
            max_future,
            max_skew,
            reject_duplicates,
        },
    )
}

/// The time of a row, relative to the clock: mostly about now; stragglers; clocks that run ahead; none.
fn row_time() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        8 => (-6..3_i64).prop_map(Some),
        4 => (-30..-3_i64).prop_map(Some),
        2 => (0..24_i64).prop_map(Some),
        1 => Just(Some(i64::MIN)),
        1 => Just(None),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![5 => Just(Way::Home), 4 => Just(Way::Forwarded), 1 => Just(Way::Foreign)];
    prop_oneof![
        30 => (0..5_u8, 0..12_usize, way, row_time())
            .prop_map(|(trip, source, way, time)| Step::Row { trip, source, way, time }),
        6 => (-1..4_i32, -20..3_i64, prop::bool::weighted(0.4))
            .prop_map(|(source, offset, idle)| Step::Watermark { source, offset, idle }),
        6 => (0..12_usize).prop_map(|source| Step::EndOfInput { source }),
        3 => Just(Step::EndOfRepartition),
        1 => (0..12_usize).prop_map(|source| Step::Paused { source }),
        1 => Just(Step::RestartIdle),
        4 => (0..16_i64).prop_map(|passes| Step::Time { passes }),
        4 => Just(Step::Delta),
        1 => (1..4_usize).prop_map(|trips_a_record| Step::Snapshot { trips_a_record }),
        1 => Just(Step::Crash),
    ]
}

/// Both, and what a process needs to come up again.
struct Pair {
    config: JoinConfig,
    layout: TaskLayout,
    task: Task<Text>,
    model: Model,
    changelog: Vec<Changes<Text>>,
    committed: Model,
    now: i64,
    rows: usize,
}

/// What a call made of a row: its fate, and whether it was passed on.
type Outcome = (Option<RowFate>, bool);

impl Pair {
    fn new(rules: Rules, (task, tasks, partitions): (i32, i32, [i32; 3])) -> Self {
        let config = JoinConfig {
            window: ms(rules.window as u64),
            grace: ms(rules.grace as u64),
            idle: ms(rules.idle as u64),
            max_future: ms(rules.max_future as u64),
            max_skew: ms(rules.max_skew as u64),
            duplicates: if rules.reject_duplicates { Duplicates::Reject } else { Duplicates::Drop },
            ..config()
        };
        let layout = TaskLayout::new(task, tasks, partitions).unwrap();
        let model = Model::new(rules, &layout);
        Self {
            task: Task::new(&config, layout.clone()).unwrap(),
            committed: model.clone(),
            config,
            layout,
            model,
            changelog: Vec::new(),
            now: 1_000,
            rows: 0,
        }
    }

    fn input(&self, source: usize) -> Option<(Side, i32)> {
        let inputs = self.layout.inputs();
        (!inputs.is_empty()).then(|| inputs[source % inputs.len()])
    }

    fn row(
        &mut self,
        trip: u8,
        source: usize,
        way: Way,
        time: Option<i64>,
    ) -> (Row<Text>, ModelRow, Way) {
        let input = self.input(source).filter(|_| !matches!(way, Way::Forwarded));
        let (side, partition) = input.unwrap_or((Side::ALL[source % 3], 0));
        let time = time.map(|offset| self.now.saturating_add(offset).max(-1));
        self.rows += 1;
        let text = format!("{side}#{}", self.rows);
        let row = Row {
            ts: time.map(ts),
            payload: Text(text.clone()),
            ..row(&trip.to_string(), side, 0, partition)
        };
        let way = if input.is_some() { way } else { Way::Forwarded };
        (row, ModelRow { trip, side, partition, time, text }, way)
    }

    /// Does the same to both.
    fn play(&mut self, step: &Step, out: &mut Vec<Decision<Text>>) -> Result<(), TestCaseError> {
        self.now += i64::from(self.rows as u32 % 2);
        let clock = at(self.now);
        match *step {
            Step::Row { trip, source, way, time } => {
                let (row, model_row, way) = self.row(trip, source, way, time);
                let (told, expected): (Outcome, Outcome) = match way {
                    Way::Home => (
                        (Some(self.task.on_row(row.clone(), clock, out)), false),
                        (Some(self.model.row(&model_row, self.now)), false),
                    ),
                    Way::Forwarded => (
                        (Some(self.task.on_forwarded_row(row.clone(), clock, out)), false),
                        (Some(self.model.forwarded_row(&model_row, self.now)), false),
                    ),
                    Way::Foreign => {
                        let passed = self.task.pass_on(row.clone(), clock, out);
                        prop_assert!(passed.is_none() || passed.as_ref() == Some(&row));
                        ((None, passed.is_some()), (None, self.model.pass_on(&model_row, self.now)))
                    }
                };
                prop_assert_eq!(told, expected, "the fate of the row");
                for decision in &*out {
                    if let Decision::Rejected(rejected) = decision {
                        let as_it_came = Row { ts: rejected.row.ts, ..row.clone() };
                        prop_assert_eq!(&rejected.row, &as_it_came, "rejected as it came");
                    }
                }
            }
            Step::Watermark { source, offset, idle } => {
                let at = ts(self.now + offset);
                self.task.on_watermark(source, Watermark { at, idle }, clock, out);
                self.model.watermark_of(source, self.now + offset, idle, self.now);
            }
            Step::EndOfInput { source } => {
                if let Some((side, partition)) = self.input(source) {
                    self.task.on_end_of_input(side, partition, clock, out);
                    self.model.end_of_input(side, partition, self.now);
                }
            }
            Step::EndOfRepartition => {
                self.task.on_end_of_repartition(clock, out);
                self.model.end_of_repartition(self.now);
            }
            Step::Paused { source } => {
                // To be told in time means: after the clock was shown.
                self.task.advance(clock, out);
                self.model.advance(self.now);
                if let Some((side, partition)) = self.input(source) {
                    self.task.on_paused_input(side, partition, clock);
                    self.model.paused_input(side, partition);
                    self.task.advance(clock, out);
                    self.model.advance(self.now);
                }
            }
            Step::RestartIdle => {
                self.task.restart_idle(clock);
                self.model.restart_idle(self.now);
            }
            Step::Time { passes } => {
                self.now += passes;
                self.task.advance(at(self.now), out);
                self.model.advance(self.now);
            }
            Step::Delta => {
                self.changelog.push(take_delta(&mut self.task));
                self.committed = self.model.clone();
            }
            Step::Snapshot { trips_a_record } => {
                self.changelog = in_records(take_snapshot(&mut self.task), trips_a_record);
                self.committed = self.model.clone();
            }
            Step::Crash => {
                self.task = restore(&self.config, self.layout.clone(), &self.changelog);
                self.model = self.committed.clone();
                self.model.come_up_again();
            }
        }
        Ok(())
    }

    fn compare(&mut self, out: &mut Vec<Decision<Text>>) -> Result<(), TestCaseError> {
        let mut told: Vec<_> = out.drain(..).map(as_event).collect();
        let mut expected = std::mem::take(&mut self.model.events);
        told.sort();
        expected.sort();
        prop_assert_eq!(told, expected, "what is decided");
        prop_assert_eq!(known(self.task.watermark()), self.model.watermark(), "the watermark");
        let watermark = self.task.inputs_watermark();
        prop_assert_eq!(
            (known(watermark.at), watermark.idle),
            self.model.inputs_watermark(),
            "what is told"
        );
        let ahead: Vec<_> = self.task.inputs_ahead().collect();
        prop_assert_eq!(ahead, self.model.inputs_ahead(), "the inputs that run ahead");
        let expected: &Counters = &self.model.counters;
        prop_assert_eq!(self.task.counters(), expected);
        prop_assert_eq!(self.task.open_rows(), self.model.open_rows(), "rows that are open");
        prop_assert_eq!(
            self.task.open_entries(),
            self.model.open_entries(),
            "entries that are open"
        );
        prop_assert_eq!(entries(&self.task), without_rows_of_closed(self.model.entries()));
        prop_assert!(self.task.is_balanced());
        Ok(())
    }
}

/// A snapshot as it is written: in pieces, of which there is at least one.
fn in_records(whole: Changes<Text>, trips_a_record: usize) -> Vec<Changes<Text>> {
    let Changes { task_state, trips } = whole;
    let mut records: Vec<_> = trips
        .chunks(trips_a_record)
        .map(|trips| Changes { task_state: task_state.clone(), trips: trips.to_vec() })
        .collect();
    if records.is_empty() {
        records.push(Changes { task_state, trips: Vec::new() });
    }
    records
}

fn known(time: EventTime) -> Option<i64> {
    (time != EventTime::MIN).then(|| time.as_millis())
}

fn as_event(decision: Decision<Text>) -> Event {
    let number = |id: &str| id.parse().unwrap();
    match decision {
        Decision::Joined(trip) => Event::Joined {
            trip: number(trip.trip_id.as_str()),
            texts: trip.payloads.map(|text| text.0).to_vec(),
            ts: trip.ts.as_millis(),
        },
        Decision::Unmatched(trip) => Event::Unmatched {
            trip: number(trip.trip_id.as_str()),
            texts: trip.payloads.map(|text| text.map(|text| text.0)).to_vec(),
            ts: trip.ts.as_millis(),
            reason: trip.reason.as_str(),
            watermark: trip.watermark.as_millis(),
        },
        Decision::Rejected(rejected) => Event::Rejected {
            trip: number(rejected.row.trip_id.as_str()),
            text: rejected.row.payload.0,
            reason: rejected.reason.as_str(),
        },
    }
}

/// An entry as both can tell it: of a closed one only when its rows were.
type Told = (u8, State, i64, i64, [Option<(i64, String)>; 3]);

fn without_rows_of_closed(entries: Vec<ModelEntry>) -> Vec<Told> {
    let mut told: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let (first, last) = (entry.first(), entry.last());
            let rows = if entry.state == State::Open { entry.rows } else { [const { None }; 3] };
            (entry.trip, entry.state, first, last, rows)
        })
        .collect();
    told.sort();
    told
}

fn entries(task: &Task<Text>) -> Vec<Told> {
    let mut told = Vec::new();
    for trip in snapshot(task).trips {
        let number = trip.trip_id.as_str().parse().unwrap();
        for entry in trip.entries {
            let (state, span) = match entry {
                EntryState::Open(rows) => {
                    let rows = rows.map(|row| row.map(|row| (row.ts.as_millis(), row.payload.0)));
                    let times = || rows.iter().flatten().map(|(time, _)| *time);
                    let (first, last) = (times().min().unwrap(), times().max().unwrap());
                    told.push((number, State::Open, first, last, rows));
                    continue;
                }
                EntryState::Joined(span) => (State::Joined, span),
                EntryState::Unmatched(span) => (State::Unmatched, span),
            };
            let (first, last) = (span.first.as_millis(), span.last.as_millis());
            told.push((number, state, first, last, [const { None }; 3]));
        }
    }
    told.sort();
    told
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn task_and_model_say_the_same_after_every_call(
        rules in rules(),
        layout in prop::sample::select(&LAYOUTS[..]),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut pair = Pair::new(rules, layout);
        let mut out = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let compared = pair.play(step, &mut out).and_then(|()| pair.compare(&mut out));
            if let Err(error) = compared {
                return Err(TestCaseError::fail(format!("step {number}, {step:?}: {error}")));
            }
        }
    }
}
