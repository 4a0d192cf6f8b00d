//! How a story is told: steps as short texts, and what becomes of them as short texts.
//!
//! Times are milliseconds. The window is 10, the grace 2, the idle time 5, unless a story says else.

use std::fmt::Write as _;
use std::time::Duration;

use join::{
    Changes, Decision, Duplicates, EntryRef, EntryState, JoinConfig, OpenRow, Row, RowFate,
    RowOrigin, RowPayload, Task, TaskLayout, TripRef, TripState, WallTime, Watermark,
};
use models::{EventTime, Side, TripId};
use proptest::test_runner::Config as ProptestConfig;

/// A payload that says which row it came with: `trip@3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

impl RowPayload for Text {
    fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn config() -> JoinConfig {
    JoinConfig {
        window: ms(10),
        grace: ms(2),
        idle: ms(5),
        max_future: ms(20),
        max_skew: ms(10),
        duplicates: Duplicates::Drop,
        max_state_bytes: 1 << 30,
        changelog: true,
    }
}

/// So many cases of a property, unless `PROPTEST_CASES` says how many.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

pub(crate) fn ts(ms: i64) -> EventTime {
    EventTime::from_millis(ms)
}

pub(crate) fn at(ms: i64) -> WallTime {
    WallTime::from_millis(ms)
}

pub(crate) fn row(trip_id: &str, side: Side, time: i64, partition: i32) -> Row<Text> {
    Row {
        trip_id: TripId::new(trip_id).unwrap(),
        side,
        ts: Some(ts(time)),
        payload: Text(format!("{side}@{time}")),
        origin: RowOrigin { partition, offset: time },
    }
}

/// A task that reads nothing itself, so that its watermark is what task 1 says.
pub(crate) fn fed_by_another(config: &JoinConfig) -> Task<Text> {
    Task::new(config, TaskLayout::new(0, 2, [0, 0, 0]).unwrap()).unwrap()
}

pub(crate) fn active(time: i64) -> Watermark {
    Watermark { at: ts(time), idle: false }
}

pub(crate) fn idle(time: i64) -> Watermark {
    Watermark { at: ts(time), idle: true }
}

pub(crate) fn side(name: &str) -> Side {
    Side::ALL.into_iter().find(|side| side.as_str() == name).unwrap()
}

/// `joined t1 trip@1 driver@2 rider@3 (3)`, the timestamp in brackets.
pub(crate) fn tell(decision: &Decision<Text>) -> String {
    match decision {
        Decision::Joined(joined) => {
            let rows = joined.payloads.each_ref().map(|text| text.0.as_str()).join(" ");
            format!("joined {} {rows} ({})", joined.trip_id, joined.ts.as_millis())
        }
        Decision::Unmatched(trip) => {
            let mut rows: Vec<_> =
                trip.payloads.iter().flatten().map(|text| text.0.clone()).collect();
            let is_missing = |side: &Side| trip.payloads[side.index()].is_none();
            rows.extend(Side::ALL.into_iter().filter(is_missing).map(|side| format!("no-{side}")));
            let (rows, time) = (rows.join(" "), trip.ts.as_millis());
            format!("{} {} {rows} ({time})", trip.reason.as_str(), trip.trip_id)
        }
        Decision::Rejected(rejected) => {
            let (row, reason) = (&rejected.row, rejected.reason.as_str());
            format!("{reason} {} {}", row.trip_id, row.payload.0)
        }
    }
}

/// All decisions, and the one fate that leaves no decision.
pub(crate) fn tell_all(fate: Option<RowFate>, out: &mut Vec<Decision<Text>>) -> String {
    let mut told: Vec<_> = out.drain(..).map(|decision| tell(&decision)).collect();
    if fate == Some(RowFate::Duplicate) {
        told.push("dropped".to_owned());
    }
    told.join(", ")
}

/// The changes since the last delta, in the order of the trips.
pub(crate) fn take_delta(task: &mut Task<Text>) -> Changes<Text> {
    let mut trips = Vec::new();
    let task_state = task.drain_delta(|trip| trips.push(trip_state(&trip)));
    trips.sort_by(|a, b| a.trip_id.cmp(&b.trip_id));
    Changes { task_state: task_state.expect("the changelog is on"), trips }
}

/// The whole state, on which the next delta builds.
pub(crate) fn take_snapshot(task: &mut Task<Text>) -> Changes<Text> {
    task.forget_delta();
    snapshot(task)
}

/// The whole state, in the order of the trips.
pub(crate) fn snapshot(task: &Task<Text>) -> Changes<Text> {
    let mut trips: Vec<_> = task.trips().map(|trip| trip_state(&trip)).collect();
    trips.sort_by(|a, b| a.trip_id.cmp(&b.trip_id));
    Changes { task_state: task.task_state(), trips }
}

fn trip_state(trip: &TripRef<'_, Text>) -> TripState<Text> {
    let entries = trip.entries().map(|entry| match entry {
        EntryRef::Open(rows) => EntryState::Open(rows.map(Option::<&OpenRow<Text>>::cloned)),
        EntryRef::Joined(span) => EntryState::Joined(span),
        EntryRef::Unmatched(span) => EntryState::Unmatched(span),
    });
    TripState { trip_id: trip.trip_id().clone(), entries: entries.collect() }
}

/// The entries as they stand: `t1 open trip@1 driver@2; t2 joined 1..3`.
pub(crate) fn tell_state(task: &Task<Text>) -> String {
    let told: Vec<_> = snapshot(task).trips.iter().flat_map(tell_trip).collect();
    told.join("; ")
}

/// The entries of one trip.
pub(crate) fn tell_trip(trip: &TripState<Text>) -> impl Iterator<Item = String> {
    trip.entries.iter().map(|entry| {
        let mut text = trip.trip_id.to_string();
        match entry {
            EntryState::Open(rows) => {
                text.push_str(" open");
                for row in rows.iter().flatten() {
                    write!(text, " {}", row.payload.0).unwrap();
                }
            }
            EntryState::Joined(span) => {
                let (first, last) = (span.first.as_millis(), span.last.as_millis());
                write!(text, " joined {first}..{last}").unwrap();
            }
            EntryState::Unmatched(span) => {
                let (first, last) = (span.first.as_millis(), span.last.as_millis());
                write!(text, " unmatched {first}..{last}").unwrap();
            }
        }
        text
    })
}

/// Tells a story to a task: a step is a row (`t1 driver 12`) or a watermark (`watermark 30`); then
/// come the decisions and the entries after it.
pub(crate) fn check(config: &JoinConfig, story: &[(&str, &str, &str)]) {
    let mut task = fed_by_another(config);
    let mut out = Vec::new();
    for (number, (step, decisions, state)) in story.iter().enumerate() {
        let words: Vec<_> = step.split_whitespace().collect();
        let fate = match words[..] {
            ["watermark", time] => {
                let watermark = active(time.parse().unwrap());
                task.on_watermark(1, watermark, at(1_000), &mut out);
                None
            }
            [trip_id, name, time] => {
                let row = row(trip_id, side(name), time.parse().unwrap(), 0);
                Some(task.on_forwarded_row(row, at(1_000), &mut out))
            }
            _ => panic!("no such step: {step}"),
        };
        let told = tell_all(fate, &mut out);
        assert_eq!(told, *decisions, "decisions of step {number}: {step}");
        assert_eq!(tell_state(&task), *state, "entries after step {number}: {step}");
        assert!(task.is_balanced(), "rows in and their fates after step {number}: {step}");
    }
}
