//! What holds for every stream: the rules in their plain form, conservation, no matter the order.

use std::collections::BTreeMap;

use join::{Decision, JoinConfig, Task, TaskLayout, WallTime};
use models::Side;
use proptest::prelude::*;

use crate::model::joins_by_brute_force;
use crate::story::{Text, at, cases, config, ms, row, tell};

const WINDOW: i64 = 10;

proptest! {
    #![proptest_config(cases(400))]

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
    let mut task: Task<Text> =
        Task::new(&config(), TaskLayout::new(0, 1, [1, 1, 1]).unwrap()).unwrap();
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
    let config = JoinConfig { max_future: ms(100), ..config() };
    let mut task: Task<Text> =
        Task::new(&config, TaskLayout::new(0, 1, [1, 1, 0]).unwrap()).unwrap();
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
