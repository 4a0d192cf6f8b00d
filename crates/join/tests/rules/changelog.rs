//! Rule 10: the changelog tells the whole state, at every cut.

use join::{
    Changes, Decision, EntryState, JoinConfig, RestoreError, Row, Task, TaskLayout, TripState,
    Watermark,
};
use models::{Side, TripId};
use proptest::prelude::*;

use crate::story::{
    Text, active, at, cases, config, fed_by_another, ms, row, snapshot, take_delta, take_snapshot,
    tell, tell_state, ts,
};

fn layout() -> TaskLayout {
    TaskLayout::new(0, 2, [2, 2, 1]).unwrap()
}

/// What a changelog does to a record: it comes back equal, and is not the same. That the trips do is the joiner's affair.
fn through_the_changelog(changes: &Changes<Text>) -> Changes<Text> {
    let task_state = serde_json::to_string(&changes.task_state).unwrap();
    Changes { task_state: serde_json::from_str(&task_state).unwrap(), trips: changes.trips.clone() }
}

pub(crate) fn restore(
    config: &JoinConfig,
    layout: TaskLayout,
    changelog: &[Changes<Text>],
) -> Task<Text> {
    let mut task = Task::new(config, layout).unwrap();
    for changes in changelog {
        task.apply(through_the_changelog(changes)).unwrap();
    }
    task
}

#[derive(Debug, Clone)]
enum Step {
    Row { trip: u8, side: usize, offset: i64, forwarded: bool },
    Foreign { side: usize, offset: i64 },
    Watermark { offset: i64, idle: bool },
    End { source: usize },
    Time { passes: i64 },
    Delta,
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..12_u8, 0..3_usize, -25..25_i64, any::<bool>()).prop_map(
            |(trip, side, offset, forwarded)| Step::Row { trip, side, offset, forwarded }
        ),
        2 => (0..3_usize, -9..2_i64).prop_map(|(side, offset)| Step::Foreign { side, offset }),
        3 => (-15..1_i64, prop::bool::weighted(0.3))
            .prop_map(|(offset, idle)| Step::Watermark { offset, idle }),
        2 => (0..4_usize).prop_map(|source| Step::End { source }),
        2 => (1..8_i64).prop_map(|passes| Step::Time { passes }),
        3 => Just(Step::Delta),
        1 => Just(Step::Snapshot),
    ]
}

/// Does to the task what the step says, at a time that goes on by one with each step.
fn play(task: &mut Task<Text>, step: &Step, now: &mut i64, out: &mut Vec<Decision<Text>>) {
    *now += 1;
    let clock = at(*now);
    match step {
        Step::Row { trip, side, offset, forwarded } => {
            let row = row(&format!("t{trip}"), Side::ALL[*side], *now + offset, 0);
            if *forwarded {
                task.on_forwarded_row(row, clock, out);
            } else {
                task.on_row(row, clock, out);
            }
        }
        Step::Foreign { side, offset } => {
            task.pass_on(row("elsewhere", Side::ALL[*side], *now + offset, 0), clock, out);
        }
        Step::Watermark { offset, idle } => {
            task.on_watermark(1, Watermark { at: ts(*now + offset), idle: *idle }, clock, out);
        }
        Step::End { source: 3 } => task.on_end_of_repartition(clock, out),
        Step::End { source } => task.on_end_of_input(Side::ALL[*source], 0, clock, out),
        Step::Time { passes } => {
            *now += passes;
            task.advance(at(*now), out);
        }
        Step::Delta | Step::Snapshot => {}
    }
}

/// Where both a task that went on and a restored one know the same of the present.
fn arrive(task: &mut Task<Text>, now: i64, out: &mut Vec<Decision<Text>>) {
    task.restart_idle(at(now));
    for side in Side::ALL {
        task.on_end_of_input(side, 0, at(now), out);
    }
    task.on_end_of_repartition(at(now), out);
}

fn told(out: &mut Vec<Decision<Text>>) -> Vec<String> {
    // Trips that expire at one time may come in any order.
    let mut told: Vec<_> = out.drain(..).map(|decision| tell(&decision)).collect();
    told.sort();
    told
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn restored_at_any_cut_it_is_what_it_was_and_goes_on_as_it_would_have(
        before in prop::collection::vec(step(), 0..150),
        after in prop::collection::vec(step(), 0..60),
    ) {
        let mut live = Task::new(&config(), layout()).unwrap();
        let (mut now, mut out, mut changelog) = (1_000, Vec::new(), Vec::new());
        for step in &before {
            play(&mut live, step, &mut now, &mut out);
            match step {
                Step::Delta => changelog.push(take_delta(&mut live)),
                Step::Snapshot => changelog = vec![take_snapshot(&mut live)],
                _ => continue,
            }
            let restored = restore(&config(), layout(), &changelog);
            prop_assert_eq!(snapshot(&restored), snapshot(&live));
            prop_assert_eq!(restored.state_bytes(), live.state_bytes());
            prop_assert_eq!(restored.open_rows(), live.open_rows());
            prop_assert!(restored.is_balanced());
        }
        changelog.push(take_delta(&mut live));
        let mut restored = restore(&config(), layout(), &changelog);
        out.clear();
        let mut restored_out = Vec::new();
        arrive(&mut live, now, &mut out);
        arrive(&mut restored, now, &mut restored_out);
        for step in &after {
            let mut again = now;
            play(&mut live, step, &mut now, &mut out);
            play(&mut restored, step, &mut again, &mut restored_out);
            prop_assert_eq!(told(&mut restored_out), told(&mut out), "{:?}", step);
            prop_assert_eq!(snapshot(&restored), snapshot(&live), "{:?}", step);
        }
        // And the changes are told as if nothing had been in between.
        prop_assert_eq!(take_delta(&mut restored), take_delta(&mut live));
    }

    #[test]
    fn the_changelog_of_a_full_state_tells_what_was_given_up(
        steps in prop::collection::vec(step(), 0..200),
        room in 500..3_000_usize,
    ) {
        let config = JoinConfig { max_state_bytes: room, ..config() };
        let mut live = Task::new(&config, layout()).unwrap();
        let (mut now, mut out, mut changelog) = (1_000, Vec::new(), Vec::new());
        for step in &steps {
            play(&mut live, step, &mut now, &mut out);
            if matches!(step, Step::Delta) {
                changelog.push(take_delta(&mut live));
                let restored = restore(&config, layout(), &changelog);
                prop_assert_eq!(snapshot(&restored), snapshot(&live));
                prop_assert_eq!(restored.state_bytes(), live.state_bytes());
            }
        }
    }
}

#[test]
fn a_delta_names_what_changed_and_no_more() {
    let mut task = fed_by_another(&config());
    let mut out = Vec::new();
    let mut delta = |task: &mut Task<Text>, rows: &[Row<Text>]| {
        for row in rows {
            task.on_forwarded_row(row.clone(), at(100), &mut out);
        }
        let trips = take_delta(task).trips;
        let tell = |entry: &EntryState<Text>| match entry {
            EntryState::Open(rows) => rows.iter().flatten().count().to_string(),
            EntryState::Joined(_) => "joined".to_owned(),
            EntryState::Unmatched(_) => "unmatched".to_owned(),
        };
        let tell = |trip: &TripState<Text>| {
            let entries: Vec<_> = trip.entries.iter().map(tell).collect();
            format!("{} {}", trip.trip_id, entries.join(" "))
        };
        trips.iter().map(tell).collect::<Vec<_>>().join(", ")
    };
    let rows = Side::ALL.map(|side| row("a", side, 1, 0));
    assert_eq!(delta(&mut task, &[row("b", Side::Trip, 1, 0)]), "b 1");
    // Opened and completed between two deltas: only the closed entry is left to tell.
    assert_eq!(delta(&mut task, &rows), "a joined");
    // A dropped duplicate changes nothing.
    assert_eq!(delta(&mut task, &rows), "");
    assert_eq!(delta(&mut task, &[row("b", Side::Rider, 20, 0)]), "b 1 1");
    task.on_watermark(1, active(12), at(100), &mut Vec::new());
    assert_eq!(delta(&mut task, &[]), "b unmatched 1");
    // What the watermark takes away by passing needs no words.
    task.on_watermark(1, active(22), at(100), &mut Vec::new());
    assert_eq!(delta(&mut task, &[]), "");
    assert_eq!(tell_state(&task), "b open rider@20");
}

#[test]
fn without_a_changelog_nothing_is_collected() {
    let mut task = fed_by_another(&JoinConfig { changelog: false, ..config() });
    task.on_forwarded_row(row("a", Side::Trip, 1, 0), at(100), &mut Vec::new());
    assert_eq!(task.drain_delta(|trip| panic!("{trip:?} was collected")), None);
    assert_eq!(take_snapshot(&mut task).trips.len(), 1);
}

#[test]
fn a_changelog_of_another_task_is_refused() {
    let changes = snapshot(&fed_by_another(&config()));
    for (number, tasks) in [(1, 2), (0, 3)] {
        let layout = TaskLayout::new(number, tasks, [1, 1, 1]).unwrap();
        let mut task: Task<Text> = Task::new(&config(), layout).unwrap();
        let error = task.apply(changes.clone()).unwrap_err();
        assert!(matches!(error, RestoreError::OtherTask { .. }), "{error}");
    }
}

#[test]
fn an_entry_that_can_not_be_open_is_refused() {
    let row = |side: Side| join::OpenRow { ts: ts(1), payload: Text(side.to_string()) };
    for rows in [[None, None, None], Side::ALL.map(|side| Some(row(side)))] {
        let mut task = fed_by_another(&config());
        let mut changes = snapshot(&task);
        let count = rows.iter().flatten().count();
        changes.trips.push(TripState {
            trip_id: TripId::new("a").unwrap(),
            entries: vec![EntryState::Open(rows)],
        });
        assert_eq!(
            task.apply(changes).unwrap_err().to_string(),
            format!("restoring task 0: trip a has an open entry with {count} rows")
        );
    }
}

#[test]
fn a_snapshot_may_come_in_pieces() {
    let mut task = fed_by_another(&config());
    for number in 0..100 {
        let row = row(&format!("t{number}"), Side::Trip, number, 0);
        task.on_forwarded_row(row, at(200), &mut Vec::new());
    }
    let whole = take_snapshot(&mut task);
    let pieces: Vec<_> = whole
        .trips
        .chunks(7)
        .map(|trips| Changes { task_state: whole.task_state.clone(), trips: trips.to_vec() })
        .collect();
    let restored = restore(&config(), TaskLayout::new(0, 2, [0, 0, 0]).unwrap(), &pieces);
    assert_eq!(snapshot(&restored), whole);
    assert_eq!(take_delta(&mut task).trips, []);
}

#[test]
fn a_shorter_window_decides_restored_entries_with_the_first_look_at_the_clock() {
    let mut task = fed_by_another(&config());
    let mut out = Vec::new();
    task.on_forwarded_row(row("a", Side::Trip, 10, 0), at(100), &mut out);
    task.on_watermark(1, active(18), at(100), &mut out);
    let changes = [take_snapshot(&mut task)];
    let shorter = JoinConfig { window: ms(5), ..config() };
    let mut restored = restore(&shorter, TaskLayout::new(0, 2, [0, 0, 0]).unwrap(), &changes);
    restored.advance(at(100), &mut out);
    assert_eq!(told(&mut out), ["window_expired a trip@10 no-driver no-rider (10)"]);
}
