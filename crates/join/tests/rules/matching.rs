//! Rules 1, 3 and 5: which rows meet, and what becomes of those that don't.

use join::{Duplicates, JoinConfig};

use crate::story::{check, config};

#[test]
fn three_rows_join_at_once_in_whatever_order() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("a driver 2", "", "a open trip@1 driver@2"),
            ("a rider 3", "joined a trip@1 driver@2 rider@3 (3)", "a joined 1..3"),
        ],
    );
    check(
        &config(),
        &[
            ("a rider 7", "", "a open rider@7"),
            ("a driver 9", "", "a open driver@9 rider@7"),
            ("a trip 1", "joined a trip@1 driver@9 rider@7 (9)", "a joined 1..9"),
        ],
    );
}

#[test]
fn trips_do_not_mix() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("b driver 1", "", "a open trip@1; b open driver@1"),
            ("a driver 1", "", "a open trip@1 driver@1; b open driver@1"),
            ("a rider 1", "joined a trip@1 driver@1 rider@1 (1)", "a joined 1..1; b open driver@1"),
        ],
    );
}

#[test]
fn a_span_of_the_window_joins_and_one_more_does_not() {
    check(
        &config(),
        &[
            ("a trip 5", "", "a open trip@5"),
            ("a driver 10", "", "a open trip@5 driver@10"),
            ("a rider 15", "joined a trip@5 driver@10 rider@15 (15)", "a joined 5..15"),
        ],
    );
    check(
        &config(),
        &[
            ("a trip 5", "", "a open trip@5"),
            ("a driver 10", "", "a open trip@5 driver@10"),
            ("a rider 16", "", "a open trip@5 driver@10; a open rider@16"),
        ],
    );
}

#[test]
fn an_incomplete_trip_is_unmatched_once_the_watermark_is_past_its_window() {
    check(
        &config(),
        &[
            ("a rider 3", "", "a open rider@3"),
            ("a trip 1", "", "a open trip@1 rider@3"),
            ("watermark 11", "", "a open trip@1 rider@3"),
            ("watermark 12", "window_expired a trip@1 rider@3 no-driver (3)", "a unmatched 1..3"),
        ],
    );
}

#[test]
fn what_expires_together_is_decided_oldest_first() {
    check(
        &config(),
        &[
            ("b trip 2", "", "b open trip@2"),
            ("a trip 1", "", "a open trip@1; b open trip@2"),
            ("c trip 30", "", "a open trip@1; b open trip@2; c open trip@30"),
            (
                "watermark 20",
                "window_expired a trip@1 no-driver no-rider (1), \
                 window_expired b trip@2 no-driver no-rider (2)",
                "a unmatched 1..1; b unmatched 2..2; c open trip@30",
            ),
        ],
    );
}

#[test]
fn closed_entries_stay_until_two_windows_after_the_earliest_row() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("b trip 1", "", "a open trip@1; b open trip@1"),
            ("b driver 4", "", "a open trip@1; b open trip@1 driver@4"),
            ("b rider 1", "joined b trip@1 driver@4 rider@1 (4)", "a open trip@1; b joined 1..4"),
            (
                "watermark 21",
                "window_expired a trip@1 no-driver no-rider (1)",
                "a unmatched 1..1; b joined 1..4",
            ),
            ("watermark 22", "", ""),
        ],
    );
}

#[test]
fn a_straggler_of_a_decided_trip_never_decides_it_again() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("watermark 12", "window_expired a trip@1 no-driver no-rider (1)", "a unmatched 1..1"),
            // It fits the unmatched entry, so it is late although the watermark is not past its window.
            ("a driver 11", "late a driver@11", "a unmatched 1..1"),
            ("watermark 22", "", ""),
            // The closed entry is dropped; now the watermark alone says so.
            ("a rider 11", "late a rider@11", ""),
        ],
    );
}

#[test]
fn a_row_is_late_only_when_the_watermark_is_past_its_window() {
    check(
        &config(),
        &[
            ("watermark 20", "", ""),
            ("a trip 9", "late a trip@9", ""),
            ("b trip 10", "", "b open trip@10"),
            ("c trip 21", "", "b open trip@10; c open trip@21"),
        ],
    );
}

#[test]
fn the_first_row_of_a_side_wins() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("a trip 2", "dropped", "a open trip@1"),
            ("a driver 3", "", "a open trip@1 driver@3"),
            ("a rider 3", "joined a trip@1 driver@3 rider@3 (3)", "a joined 1..3"),
            ("a rider 4", "dropped", "a joined 1..3"),
            ("watermark 15", "", "a joined 1..3"),
            // A copy that comes late is still known as a copy.
            ("a trip 1", "dropped", "a joined 1..3"),
        ],
    );
    check(
        &JoinConfig { duplicates: Duplicates::Reject, ..config() },
        &[("a trip 1", "", "a open trip@1"), ("a trip 2", "duplicate a trip@2", "a open trip@1")],
    );
}

#[test]
fn a_trip_id_used_again_is_another_trip_once_it_lies_beyond_the_window() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("a driver 1", "", "a open trip@1 driver@1"),
            ("a rider 1", "joined a trip@1 driver@1 rider@1 (1)", "a joined 1..1"),
            ("a trip 11", "dropped", "a joined 1..1"),
            ("a trip 12", "", "a joined 1..1; a open trip@12"),
            ("a driver 12", "", "a joined 1..1; a open trip@12 driver@12"),
            // It fits both the joined and the open entry: the open one, with its side free, comes first.
            (
                "a rider 11",
                "joined a trip@12 driver@12 rider@11 (12)",
                "a joined 1..1; a joined 11..12",
            ),
            ("watermark 22", "", "a joined 11..12"),
        ],
    );
}

#[test]
fn a_row_that_fits_two_open_entries_completes_one_rather_than_widen_the_other() {
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("a trip 12", "", "a open trip@1; a open trip@12"),
            // Neither would be complete: it goes to the one that expires first.
            ("a driver 8", "", "a open trip@1 driver@8; a open trip@12"),
            // Taken there, free here.
            ("a driver 9", "", "a open trip@1 driver@8; a open trip@12 driver@9"),
            (
                "a rider 10",
                "joined a trip@1 driver@8 rider@10 (10)",
                "a joined 1..10; a open trip@12 driver@9",
            ),
            (
                "a rider 10",
                "joined a trip@12 driver@9 rider@10 (12)",
                "a joined 1..10; a joined 9..12",
            ),
        ],
    );
    check(
        &config(),
        &[
            ("a trip 1", "", "a open trip@1"),
            ("a trip 12", "", "a open trip@1; a open trip@12"),
            ("a driver 14", "", "a open trip@1; a open trip@12 driver@14"),
            (
                "a rider 9",
                "joined a trip@12 driver@14 rider@9 (14)",
                "a open trip@1; a joined 9..14",
            ),
        ],
    );
}

#[test]
fn a_late_row_completes_an_open_trip() {
    check(
        &config(),
        &[
            ("a trip 12", "", "a open trip@12"),
            ("a driver 12", "", "a open trip@12 driver@12"),
            ("watermark 20", "", "a open trip@12 driver@12"),
            ("a rider 5", "joined a trip@12 driver@12 rider@5 (12)", "a joined 5..12"),
        ],
    );
}

#[test]
fn a_late_row_that_does_not_complete_drags_its_entry_over_the_edge() {
    check(
        &config(),
        &[
            ("a trip 12", "", "a open trip@12"),
            ("watermark 20", "", "a open trip@12"),
            ("a rider 5", "window_expired a trip@12 rider@5 no-driver (12)", "a unmatched 5..12"),
            ("a driver 15", "late a driver@15", "a unmatched 5..12"),
        ],
    );
}

#[test]
fn an_earlier_row_brings_the_deadline_forward() {
    check(
        &config(),
        &[
            ("a trip 10", "", "a open trip@10"),
            ("a rider 4", "", "a open trip@10 rider@4"),
            ("watermark 14", "", "a open trip@10 rider@4"),
            (
                "watermark 15",
                "window_expired a trip@10 rider@4 no-driver (10)",
                "a unmatched 4..10",
            ),
        ],
    );
}
