//! Rule 11: the state stays within its bound, and nothing is lost by that in silence.

use join::{Decision, JoinConfig, UnmatchedReason};
use models::Side;
use proptest::prelude::*;

use crate::story::{active, at, config, fed_by_another, row, tell};

/// The bytes of a state that holds `rows` open entries of one row each, of ids like `t00`.
pub(crate) fn bytes_of(rows: i64) -> usize {
    let mut task = fed_by_another(&config());
    for number in 0..rows {
        task.on_forwarded_row(
            row(&format!("t{number:02}"), Side::Trip, 10, 0),
            at(100),
            &mut Vec::new(),
        );
    }
    task.state_bytes()
}

#[test]
fn a_full_state_decides_its_oldest_open_entry() {
    let mut task = fed_by_another(&JoinConfig { max_state_bytes: bytes_of(4), ..config() });
    let mut out = Vec::new();
    for (number, time) in [13, 11, 14, 12].into_iter().enumerate() {
        task.on_forwarded_row(
            row(&format!("t{number:02}"), Side::Trip, time, 0),
            at(100),
            &mut out,
        );
    }
    assert_eq!(out, []);
    task.on_forwarded_row(row("t04", Side::Trip, 15, 0), at(100), &mut out);
    let told: Vec<_> = out.iter().map(tell).collect();
    assert_eq!(told[0], "state_full t01 trip@11 no-driver no-rider (11)");
    assert!(task.counters().unmatched_state_full >= 1);
    assert!(task.is_balanced());
    // The decision stands: what comes for it is late, even on time.
    out.clear();
    task.on_forwarded_row(row("t01", Side::Rider, 11, 0), at(100), &mut out);
    assert_eq!(tell(&out[0]), "late t01 rider@11");
}

#[test]
fn a_state_full_of_closed_entries_drops_some_and_goes_on_joining() {
    let mut task = fed_by_another(&JoinConfig { max_state_bytes: bytes_of(10), ..config() });
    let mut out = Vec::new();
    for number in 0..1000 {
        for side in Side::ALL {
            task.on_forwarded_row(
                row(&format!("t{number:03}"), side, number, 0),
                at(5000),
                &mut out,
            );
        }
    }
    let counters = task.counters();
    assert_eq!((counters.joined, counters.unmatched_state_full), (1000, 0));
    assert!(counters.closed_forgotten > 900);
}

#[test]
fn entries_open_and_closed_are_given_back_when_they_go() {
    let mut task = fed_by_another(&config());
    let mut out = Vec::new();
    for number in 0..100 {
        for side in Side::ALL.into_iter().take(1 + number % 3) {
            let time = 10 + number as i64;
            task.on_forwarded_row(row(&format!("t{number}"), side, time, 0), at(500), &mut out);
        }
    }
    assert!(task.state_bytes() > 0 && task.open_rows() > 0);
    task.on_watermark(1, active(1_000), at(5000), &mut out);
    assert_eq!((task.state_bytes(), task.open_rows(), task.open_entries()), (0, 0, 0));
    assert!(task.is_balanced());
}

proptest! {
    #[test]
    fn the_bound_holds_and_every_row_is_accounted_for(
        rows in prop::collection::vec((0..40_u8, 0..3_usize, 0..100_i64), 0..400),
        room in 1..20_i64,
    ) {
        let bound = bytes_of(room);
        let mut task = fed_by_another(&JoinConfig { max_state_bytes: bound, ..config() });
        let mut out = Vec::new();
        for (count, (trip, side, time)) in rows.into_iter().enumerate() {
            let row = row(&format!("t{trip:02}"), Side::ALL[side], time, 0);
            task.on_forwarded_row(row, at(500), &mut out);
            if count % 7 == 0 {
                task.on_watermark(1, active(count as i64 / 4), at(500), &mut out);
            }
            prop_assert!(task.state_bytes() <= bound);
            prop_assert!(task.is_balanced());
        }
        let early = out.iter().filter(|decision| {
            matches!(decision, Decision::Unmatched(trip) if trip.reason == UnmatchedReason::StateFull)
        });
        prop_assert_eq!(early.count() as u64, task.counters().unmatched_state_full);
    }
}
