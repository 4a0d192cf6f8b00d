//! What other engines' own tests say of windowed joins, told again for our rules.
//!
//! Each [`Case`] names the test that it comes from. Where the rules here differ from that engine's, and so what
//! comes out, `differs` says how, beside the case.
//!
//! **Two streams there, three here.** The left stream is the trips; the right one is the drivers *and* the riders, a
//! row of each at a time. What two rows make there, three make here.
//!
//! **Whose time.** Kafka Streams and ksqlDB go by *stream time*, the largest timestamp seen in any input, and close a
//! window once stream time is past its end by more than the grace. The watermark that says the same here is stream
//! time less the grace, told before the row. Flink has a watermark for each input, and the least of them counts.

mod flink;
mod kafka_streams_inner;
mod kafka_streams_outer;
mod ksqldb;

use join::{Decision, JoinConfig, Row, RowFate, Task, TaskLayout};
use models::{EventTime, Side};

use crate::changelog::restore;
use crate::story::{Text, active, at, config, ms, row, side, take_snapshot, tell_state};

/// One story of an engine's test.
pub(super) struct Case {
    /// The test, and what of it.
    source: &'static str,
    /// How our rules differ; nothing where they agree.
    differs: &'static str,
    time: Time,
    /// The steps and what is decided in each.
    story: &'static [(&'static str, &'static str)],
}

/// Where the watermark comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Time {
    /// Stream time less the grace.
    Stream { window: i64, grace: i64 },
    /// The story says it, for each input.
    Marks { window: i64 },
}

/// The grace of `JoinWindows.of` and of ksqlDB where the statement names none (KIP-633).
const DAY: i64 = 24 * 60 * 60 * 1000;

const AGREES: &str = "";
const ONE_OUTPUT: &str = "a trip is joined once: the first row of a side wins and the others are duplicates, \
     where a stream-stream join gives every pair";
const SYMMETRIC: &str = "the window is symmetric: no side must come before another";
const NULLS_LAST: &str = "a row is told to be alone when its window has passed, and never before";
const EVERY_ROW: &str = "every row of every side is accounted for, as in a full outer join";

impl Time {
    const fn window(self) -> i64 {
        match self {
            Self::Stream { window, .. } | Self::Marks { window } => window,
        }
    }
}

const fn stream(window: i64, grace: i64) -> Time {
    Time::Stream { window, grace }
}

const fn marks(window: i64) -> Time {
    Time::Marks { window }
}

/// A task whose watermark is the least of what tasks 1, 2 and 3 say: one for each side.
fn layout() -> TaskLayout {
    TaskLayout::new(0, 4, [0, 0, 0]).unwrap()
}

fn sides(name: &str) -> Vec<Side> {
    match name {
        "left" => vec![Side::Trip],
        "right" => vec![Side::Driver, Side::Rider],
        "both" => Side::ALL.to_vec(),
        name => vec![side(name)],
    }
}

struct Player {
    config: JoinConfig,
    task: Task<Text>,
    stream_time: i64,
    out: Vec<Decision<Text>>,
    told: Vec<String>,
}

impl Player {
    fn mark(&mut self, sides: &[Side], time: i64) {
        for side in sides {
            let source = side.index() as i32 + 1;
            self.task.on_watermark(source, active(time), at(0), &mut self.out);
        }
        self.told.extend(self.out.drain(..).map(|decision| short(&decision)));
    }

    fn row(&mut self, row: Row<Text>) {
        let fate = self.task.on_forwarded_row(row, at(0), &mut self.out);
        self.told.extend(self.out.drain(..).map(|decision| short(&decision)));
        if fate == RowFate::Duplicate {
            self.told.push("dropped".to_owned());
        }
    }

    /// `a left 5` (a row; `none` for no timestamp), `both mark 5` (watermarks), `restore` (from a snapshot),
    /// `state`, and `end`: time passes until everything is decided. What is decided, or how the state stands.
    fn step(&mut self, step: &str, time: Time) -> String {
        match step.split_whitespace().collect::<Vec<_>>()[..] {
            ["state"] => return tell_state(&self.task),
            ["restore"] => {
                self.task = restore(&self.config, layout(), &[take_snapshot(&mut self.task)]);
            }
            ["end"] => self.mark(&Side::ALL, 1 << 40),
            [name, "mark" | "marks", time] => self.mark(&sides(name), time.parse().unwrap()),
            [trip, name, "none"] => {
                for side in sides(name) {
                    let text = Text(format!("{side}@none"));
                    self.row(Row { ts: None, payload: text, ..row(trip, side, 0, 0) });
                }
            }
            [trip, name, ts] => {
                let ts = ts.parse().unwrap();
                self.stream_time = self.stream_time.max(ts);
                if let Time::Stream { grace, .. } = time {
                    self.mark(&Side::ALL, self.stream_time - grace);
                }
                for side in sides(name) {
                    self.row(row(trip, side, ts, 0));
                }
            }
            _ => panic!("no such step: {step}"),
        }
        std::mem::take(&mut self.told).join(", ")
    }
}

/// As the engines' tests write it: `a 0+5+-` is trip a with its trip row of 0, its driver of 5 and no rider.
fn short(decision: &Decision<Text>) -> String {
    let (trip_id, payloads, ts) = match decision {
        Decision::Joined(trip) => (&trip.trip_id, trip.payloads.clone().map(Some), trip.ts),
        Decision::Unmatched(trip) => (&trip.trip_id, trip.payloads.clone(), trip.ts),
        Decision::Rejected(rejected) => {
            let (reason, row) = (rejected.reason.as_str(), &rejected.row);
            return format!("{reason} {} {}", row.trip_id, row.payload.0);
        }
    };
    let times = payloads.map(|text| text.map(|text| text.0.split_once('@').unwrap().1.to_owned()));
    let latest = times.iter().flatten().map(|time| time.parse::<i64>().unwrap()).max();
    assert_eq!(
        latest.map(EventTime::from_millis),
        Some(ts),
        "the latest row's time is the output's"
    );
    let times = times.map(|time| time.unwrap_or_else(|| "-".to_owned()));
    format!("{trip_id} {}", times.join("+"))
}

fn check(cases: &[Case]) {
    for case in cases {
        let window = ms(case.time.window() as u64);
        let config = JoinConfig { window, ..config() };
        let mut player = Player {
            task: Task::new(&config, layout()).unwrap(),
            config,
            stream_time: i64::MIN,
            out: Vec::new(),
            told: Vec::new(),
        };
        for (number, (step, expected)) in case.story.iter().enumerate() {
            let told = player.step(step, case.time);
            let (source, differs) = (case.source, case.differs);
            assert_eq!(told, *expected, "{source}, step {number}: {step} (differs: {differs:?})");
            assert!(player.task.is_balanced(), "{source}, step {number}: {step}");
        }
    }
}

#[test]
fn kafka_streams_inner_joins() {
    check(kafka_streams_inner::CASES);
}

#[test]
fn kafka_streams_left_and_outer_joins() {
    check(kafka_streams_outer::CASES);
}

#[test]
fn flink_interval_joins() {
    check(flink::CASES);
}

#[test]
fn ksqldb_joins() {
    check(ksqldb::CASES);
}
