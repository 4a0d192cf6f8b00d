//! What holds for every stream: the rules in their plain form, conservation, no matter the order.

use std::collections::BTreeMap;

use join::{Config, Decision, Fate, Layout, RejectReason, Task, WallTime};
use models::Side;
use proptest::prelude::*;

use crate::model::{Event, Model, ModelRow, joins_by_brute_force};
use crate::story::{Text, active, at, config, fed_by_another, ms, row, tell, tell_state};

const WINDOW: i64 = 10;

fn any_side() -> impl Strategy<Value = Side> {
    (0..3_usize).prop_map(|index| Side::ALL[index])
}

/// A row or a watermark, in about the order of time, with stragglers and repetitions.
fn steps() -> impl Strategy<Value = Vec<Result<ModelRow, i64>>> {
    let step = (0..4_u8, any_side(), -30..6_i64, prop::bool::weighted(0.2));
    prop::collection::vec(step, 0..200).prop_map(|steps| {
        let steps = steps.into_iter().enumerate().map(|(count, (trip, side, offset, is_mark))| {
            let time = (30 + count as i64 / 2 + offset).max(0);
            if is_mark { Err(time - 5) } else { Ok((trip, side, time)) }
        });
        steps.collect()
    })
}

fn times(payloads: &[Option<Text>; 3]) -> [Option<i64>; 3] {
    payloads
        .each_ref()
        .map(|text| text.as_ref().map(|text| text.0.split_once('@').unwrap().1.parse().unwrap()))
}

fn as_event(decision: &Decision<Text>) -> Event {
    let number = |id: &str| id.parse().unwrap();
    match decision {
        Decision::Joined(trip) => {
            let payloads = trip.payloads.clone().map(Some);
            Event::Joined(number(trip.trip_id.as_str()), times(&payloads))
        }
        Decision::Unmatched(trip) => {
            Event::Unmatched(number(trip.trip_id.as_str()), times(&trip.payloads))
        }
        Decision::Rejected(rejected) => {
            assert_eq!(rejected.reason, RejectReason::Late);
            Event::Late
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_stream_is_decided_as_the_plain_rules_say(steps in steps()) {
        let mut task = fed_by_another(&config());
        let mut model = Model { window: WINDOW, watermark: i64::MIN, entries: Vec::new() };
        let mut out = Vec::new();
        for step in steps {
            let (fate, expected) = match step {
                Ok((trip, side, time)) => {
                    let row = row(&trip.to_string(), side, time, 0);
                    let fate = task.on_forwarded_row(row, at(1_000), &mut out);
                    (Some(fate), model.row((trip, side, time)))
                }
                Err(time) => {
                    task.on_watermark(1, active(time), at(1_000), &mut out);
                    (None, model.watermark(time))
                }
            };
            let mut events: Vec<_> = out.drain(..).map(|decision| as_event(&decision)).collect();
            events.extend(fate.filter(|fate| *fate == Fate::Duplicate).map(|_| Event::Duplicate));
            events.sort();
            prop_assert_eq!(events, expected, "{:?}", step);
            prop_assert_eq!(tell_state(&task).is_empty(), model.entries.is_empty());
            let entries = task.snapshot().trips.iter().map(|trip| trip.entries.len()).sum::<usize>();
            prop_assert_eq!(entries, model.entries.len(), "{:?}", step);
            prop_assert!(task.is_balanced(), "{:?}", step);
        }
    }

    #[test]
    fn arrival_order_within_the_grace_does_not_matter(
        trips in prop::collection::vec((0..300_i64, prop::array::uniform3(prop::option::weighted(0.8, 0..14_i64))), 1..60),
        one_order in prop::collection::vec(0..2_i64, 180),
        another in prop::collection::vec(0..2_i64, 180),
    ) {
        let mut rows = Vec::new();
        let mut expected = Vec::new();
        for (number, (start, offsets)) in trips.iter().enumerate() {
            let times = offsets.map(|offset| offset.map(|offset| start + offset));
            for side in Side::ALL {
                rows.extend(times[side.index()].map(|time| (number, side, time)));
            }
            if joins_by_brute_force(times, WINDOW) {
                expected.push(number.to_string());
            }
        }
        expected.sort();
        let (first, second) = (replay(&rows, &one_order), replay(&rows, &another));
        prop_assert_eq!(&first, &second);
        let joined: Vec<_> = first.iter().filter(|(_, fate)| **fate == "joined").collect();
        prop_assert_eq!(joined.len(), 3 * expected.len());
        prop_assert!(joined.iter().all(|((trip, _), _)| expected.contains(trip)));
    }
}

/// Reads the rows in the order of their times plus their delay, which is below the grace, and says
/// of each row (trip and text) whether it was joined.
fn replay(rows: &[(usize, Side, i64)], delays: &[i64]) -> BTreeMap<(String, String), &'static str> {
    let mut order: Vec<_> = rows.iter().zip(delays).collect();
    order.sort_by_key(|((_, _, time), delay)| time + *delay);
    let mut task: Task<Text> = Task::new(&config(), Layout::new(0, 1, [1, 1, 1]).unwrap()).unwrap();
    let mut out = Vec::new();
    for ((trip, side, time), _) in order {
        let row = row(&trip.to_string(), *side, *time, 0);
        task.on_row(row, at(10_000), &mut out);
        assert!(task.is_balanced());
    }
    finish(&mut task, at(10_000), &mut out);
    let mut fates = BTreeMap::new();
    for decision in out {
        let (trip, texts, fate) = match decision {
            Decision::Joined(trip) => (trip.trip_id, trip.payloads.map(Some), "joined"),
            Decision::Unmatched(trip) => (trip.trip_id, trip.payloads, "unmatched"),
            Decision::Rejected(_) => panic!("no row was late: {}", tell(&decision)),
        };
        for text in texts.into_iter().flatten() {
            assert_eq!(fates.insert((trip.to_string(), text.0), fate), None, "one fate a row");
        }
    }
    assert_eq!(fates.len(), rows.len(), "every row has a fate");
    fates
}

/// Lets all inputs end and time pass until everything is decided.
pub(crate) fn finish(task: &mut Task<Text>, now: WallTime, out: &mut Vec<Decision<Text>>) {
    for (side, partition) in task.layout().inputs().to_vec() {
        task.on_end_of_input(side, partition, now, out);
    }
    task.on_end_of_repartition(now, out);
    task.advance(at(now.as_millis() + 1_000_000), out);
    assert_eq!(task.open_rows(), 0, "everything is decided in the end");
    assert!(task.is_balanced());
}

#[test]
fn a_row_on_time_is_never_late_whatever_its_neighbours_do() {
    // A stream of its own that keeps to the grace, beside one from a clock that runs ahead, and
    // pauses longer than the idle time.
    let config = Config { max_future: ms(100), ..config() };
    let mut task: Task<Text> = Task::new(&config, Layout::new(0, 1, [1, 1, 0]).unwrap()).unwrap();
    let mut out = Vec::new();
    for number in 0..500_i64 {
        let now = 1_000 + number * 3 + (number / 50) * 40;
        task.advance(at(now), &mut out);
        task.on_row(row(&format!("ahead{number}"), Side::Driver, now + 99, 0), at(now), &mut out);
        task.on_row(row(&format!("t{number}"), Side::Trip, now - 2, 0), at(now), &mut out);
        task.on_end_of_input(Side::Driver, 0, at(now), &mut out);
        task.on_end_of_input(Side::Trip, 0, at(now), &mut out);
        // Exactly as late as it may be, and still its driver finds it.
        task.on_row(row(&format!("t{number}"), Side::Driver, now - 2, 0), at(now), &mut out);
    }
    assert_eq!(task.counters().rejected(), 0);
    assert!(task.is_balanced());
}
