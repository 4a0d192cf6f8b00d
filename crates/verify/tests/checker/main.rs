//! The checker on made-up streams: what is right passes, and each thing that can go wrong is found and named.

mod streams;

use std::collections::BTreeMap;

use models::Side;
use streams::{Streams, WINDOW_MS, all_read, at, join, rows, rules, unmatched};
use verify::{Fate, Input, Kind, Progress, Verdict, judge};

/// The fates of all rows that there are.
fn fates(verdict: &Verdict) -> Vec<(Fate, u64)> {
    Fate::ALL
        .into_iter()
        .map(|fate| (fate, verdict.fates.total(fate)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// One scenario: how the streams come about, what becomes of the rows, and what is wrong.
struct Scenario {
    name: &'static str,
    streams: fn(&mut Streams),
    fates: &'static [(Fate, u64)],
    offences: &'static [(Kind, &'static str)],
}

fn check(scenarios: &[Scenario]) {
    for scenario in scenarios {
        let mut streams = Streams::default();
        (scenario.streams)(&mut streams);
        let verdict = streams.judge();
        let name = scenario.name;
        assert_eq!(fates(&verdict), scenario.fates, "{name}: {verdict:#?}");
        let found: Vec<(Kind, &str)> =
            verdict.offences.iter().map(|offence| (offence.kind, offence.why.as_str())).collect();
        assert_eq!(found, scenario.offences, "{name}");
        assert_eq!(verdict.is_clean(), scenario.offences.is_empty(), "{name}: {verdict:#?}");
    }
}

#[test]
fn what_is_right_is_clean() {
    check(&[
        Scenario { name: "nothing at all", streams: |_| {}, fates: &[], offences: &[] },
        Scenario {
            name: "a joined trip",
            streams: |s| {
                s.three(&rows(0));
                s.joined(2_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[],
        },
        Scenario {
            name: "rows exactly a window apart, in any order",
            streams: |s| {
                s.rider(WINDOW_MS, &rows(0));
                s.driver(1_000, &rows(0));
                s.trip(0, &rows(0));
                s.joined(WINDOW_MS, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[],
        },
        Scenario {
            name: "an incomplete trip whose window is over",
            streams: |s| {
                s.trip(0, &rows(0));
                s.rider(5, &rows(0));
                s.unmatched(5, &unmatched(&rows(0), &[Side::Trip, Side::Rider], WINDOW_MS + 1));
            },
            fates: &[(Fate::Unmatched, 2)],
            offences: &[],
        },
        Scenario {
            name: "an incomplete trip that waits",
            streams: |s| {
                s.trip(0, &rows(0));
                s.rider(5, &rows(0));
            },
            fates: &[(Fate::Waiting, 2)],
            offences: &[],
        },
        Scenario {
            name: "a straggler behind the decision",
            streams: |s| {
                s.trip(0, &rows(0));
                s.rider(5, &rows(0));
                s.unmatched(5, &unmatched(&rows(0), &[Side::Trip, Side::Rider], WINDOW_MS + 1));
                let late = s.driver(10, &rows(0));
                s.rejected(Side::Driver, late, "late");
            },
            fates: &[(Fate::Unmatched, 2), (Fate::Rejected, 1)],
            offences: &[],
        },
        Scenario {
            name: "rows too far apart, each decided by itself",
            streams: |s| {
                s.trip(0, &rows(0));
                s.driver(1, &rows(0));
                s.rider(WINDOW_MS + 1, &rows(0));
                s.unmatched(1, &unmatched(&rows(0), &[Side::Trip, Side::Driver], 2 * WINDOW_MS));
                s.unmatched(WINDOW_MS + 1, &unmatched(&rows(0), &[Side::Rider], 3 * WINDOW_MS));
            },
            fates: &[(Fate::Unmatched, 3)],
            offences: &[],
        },
        Scenario {
            name: "poison, rejected",
            streams: |s| {
                s.ledger.unreadable_input(Side::Rider, at(0), "no magic byte");
                s.rejected(Side::Rider, at(0), "undecodable");
            },
            fates: &[(Fate::Rejected, 1)],
            offences: &[],
        },
    ]);
}

#[test]
fn rows_that_come_again_are_no_fault() {
    check(&[
        Scenario {
            name: "the same row again",
            streams: |s| {
                s.three(&rows(0));
                s.trip(0, &rows(0));
                s.trip(0, &rows(0));
                s.joined(2_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3), (Fate::Duplicate, 2)],
            offences: &[],
        },
        Scenario {
            name: "a second row that says something else, dropped or rejected",
            streams: |s| {
                s.three(&rows(0));
                let mut other = rows(0);
                other.driver_earning_data.earnings_from_trip += 1.0;
                s.driver(1_500, &other);
                let again = s.driver(1_600, &other);
                s.rejected(Side::Driver, again, "duplicate");
                s.joined(2_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3), (Fate::Duplicate, 1), (Fate::Rejected, 1)],
            offences: &[],
        },
        Scenario {
            name: "a trip_id used again after the window",
            streams: |s| {
                s.three(&rows(0));
                s.joined(2_000, &join(&rows(0)));
                s.trip(3 * WINDOW_MS, &rows(0));
                s.driver(3 * WINDOW_MS + 1, &rows(0));
                s.rider(3 * WINDOW_MS + 2, &rows(0));
                s.joined(3 * WINDOW_MS + 2, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 6)],
            offences: &[],
        },
    ]);
}

#[test]
fn what_is_lost_is_found() {
    check(&[
        Scenario {
            name: "a complete trip in no output",
            streams: |s| s.three(&rows(0)),
            fates: &[(Fate::Missing, 3)],
            offences: &[(
                Kind::Lost,
                "not joined, though its rows are within the window: trips/0/0, drivers/0/0, riders/0/0",
            )],
        },
        Scenario {
            name: "a complete trip decided in two parts",
            streams: |s| {
                s.three(&rows(0));
                s.unmatched(
                    1_000,
                    &unmatched(&rows(0), &[Side::Trip, Side::Driver], 2 * WINDOW_MS),
                );
                s.unmatched(2_000, &unmatched(&rows(0), &[Side::Rider], 2 * WINDOW_MS));
            },
            fates: &[(Fate::Unmatched, 3)],
            offences: &[(
                Kind::Lost,
                "not joined but decided unmatched, though its rows are within the window: trips/0/0, drivers/0/0, \
                 riders/0/0",
            )],
        },
        Scenario {
            name: "an incomplete trip that the watermark has passed",
            streams: |s| {
                s.trip(0, &rows(0));
                s.trip(0, &rows(1));
                s.unmatched(0, &unmatched(&rows(1), &[Side::Trip], WINDOW_MS + 7));
            },
            fates: &[(Fate::Unmatched, 1), (Fate::Missing, 1)],
            offences: &[(
                Kind::Unaccounted,
                "trips/0/0 is in no output, though a watermark has passed the end of its window by 7 ms",
            )],
        },
        Scenario {
            name: "poison that was not rejected",
            streams: |s| s.ledger.unreadable_input(Side::Trip, at(4), "no magic byte"),
            fates: &[(Fate::Missing, 1)],
            offences: &[(
                Kind::Unaccounted,
                "trips/0/4 was not rejected, though it belongs to no trip: no magic byte",
            )],
        },
        Scenario {
            name: "a row without timestamp that was not rejected",
            streams: |s| s.ledger.input(at(0), None, &Input::Trip(rows(0).trip_data)),
            fates: &[(Fate::Missing, 1)],
            offences: &[(
                Kind::Unaccounted,
                "trips/0/0 is in no output, though it has no timestamp and should have been rejected",
            )],
        },
    ]);
}

#[test]
fn what_is_twice_is_found() {
    check(&[
        Scenario {
            name: "joined twice",
            streams: |s| {
                s.three(&rows(0));
                s.joined(2_000, &join(&rows(0)));
                s.joined(2_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[
                (
                    Kind::Twice,
                    "drivers/0/0 is part of joined/0/1, but already part of a joined row",
                ),
                (Kind::Twice, "riders/0/0 is part of joined/0/1, but already part of a joined row"),
                (Kind::Twice, "trips/0/0 is part of joined/0/1, but already part of a joined row"),
            ],
        },
        Scenario {
            name: "joined and unmatched",
            streams: |s| {
                s.three(&rows(0));
                s.unmatched(0, &unmatched(&rows(0), &[Side::Trip], WINDOW_MS + 1));
                s.joined(2_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[(
                Kind::Twice,
                "trips/0/0 is part of unmatched/0/0, but already part of a joined row",
            )],
        },
        Scenario {
            name: "joined and rejected",
            streams: |s| {
                s.three(&rows(0));
                s.joined(2_000, &join(&rows(0)));
                s.rejected(Side::Rider, at(0), "late");
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[(Kind::Twice, "riders/0/0 is part of joined/0/0, but already rejected")],
        },
        Scenario {
            name: "rejected twice",
            streams: |s| {
                let row = s.trip(0, &rows(0));
                s.rejected(Side::Trip, row, "late");
                s.rejected(Side::Trip, row, "late");
            },
            fates: &[(Fate::Rejected, 1)],
            offences: &[(Kind::Twice, "trips/0/0 was rejected twice: rejects/0/0 and rejects/0/1")],
        },
    ]);
}

#[test]
fn outputs_that_are_wrong_or_come_from_nowhere_are_found() {
    check(&[
        Scenario {
            name: "another rider's values",
            streams: |s| {
                s.three(&rows(0));
                let mut mixed = join(&rows(0));
                mixed.rider_info = join(&rows(1)).rider_info;
                s.joined(2_000, &mixed);
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[(Kind::Wrong, "joined/0/0: its rider side is not what riders/0/0 says")],
        },
        Scenario {
            name: "a joined row without a rider",
            streams: |s| {
                s.trip(0, &rows(0));
                s.driver(1, &rows(0));
                s.joined(1, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 2)],
            offences: &[(
                Kind::Unaccounted,
                "joined/0/0 has a rider side, but there is no rider row",
            )],
        },
        Scenario {
            name: "rows that are too far apart",
            streams: |s| {
                s.trip(0, &rows(0));
                s.driver(1, &rows(0));
                s.rider(WINDOW_MS + 1, &rows(0));
                s.joined(WINDOW_MS + 1, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[(
                Kind::Wrong,
                "joined/0/0: its rows are 600001 ms apart, more than the window",
            )],
        },
        Scenario {
            name: "another timestamp than that of the last row",
            streams: |s| {
                s.three(&rows(0));
                s.joined(1_000, &join(&rows(0)));
            },
            fates: &[(Fate::Joined, 3)],
            offences: &[(Kind::Wrong, "joined/0/0 does not have the timestamp of its last row")],
        },
        Scenario {
            name: "an unmatched row that names the wrong sides",
            streams: |s| {
                s.trip(0, &rows(0));
                let mut row = unmatched(&rows(0), &[Side::Trip], WINDOW_MS + 1);
                row.missing.pop();
                s.unmatched(0, &row);
            },
            fates: &[(Fate::Unmatched, 1)],
            offences: &[(Kind::Wrong, "unmatched/0/0 does not name the sides that are missing")],
        },
        Scenario {
            name: "an unmatched row with another driver than its trip row had",
            streams: |s| {
                s.trip(0, &rows(0));
                let mut row = unmatched(&rows(0), &[Side::Trip], WINDOW_MS + 1);
                row.trip.as_mut().expect("it has the trip").driver_id = "other".to_owned();
                s.unmatched(0, &row);
            },
            fates: &[(Fate::Unmatched, 1)],
            offences: &[(Kind::Wrong, "unmatched/0/0: its trip side is not what trips/0/0 says")],
        },
        Scenario {
            name: "a reject of a row that is not there",
            streams: |s| s.rejected(Side::Trip, at(9), "late"),
            fates: &[],
            offences: &[(Kind::Unaccounted, "rejects/0/0 rejects trips/0/9, which isn't there")],
        },
        Scenario {
            name: "an output that can't be read",
            streams: |s| {
                s.ledger.unreadable_output("joined/0/0".to_owned(), "no magic byte".to_owned());
            },
            fates: &[],
            offences: &[(Kind::Wrong, "joined/0/0 can't be read: no magic byte")],
        },
    ]);
}

#[test]
fn rows_that_the_joiner_has_not_read_are_open() {
    let mut streams = Streams::default();
    streams.three(&rows(0));
    streams.three(&rows(1));
    streams.joined(2_000, &join(&rows(0)));
    let mut progress = all_read();
    progress.next[Side::Rider.index()] = BTreeMap::from([(0, 1)]);
    let verdict = judge(&streams.ledger, &rules(), &progress);
    assert_eq!(fates(&verdict), [(Fate::Joined, 3), (Fate::Unread, 1), (Fate::Waiting, 2)]);
    assert!(verdict.is_clean() && verdict.fates.open() == 3);

    // Once it has read on, the same rows are lost.
    let verdict = streams.judge();
    assert_eq!(verdict.counts.lost, 1);

    // Nothing is said of rows while others are on their way between partitions.
    let progress = Progress { forwarded: 1, ..all_read() };
    let verdict = judge(&streams.ledger, &rules(), &progress);
    assert_eq!(fates(&verdict), [(Fate::Joined, 3), (Fate::Unread, 3)]);
    assert!(verdict.is_clean());
}

#[test]
fn a_watermark_says_something_of_its_own_task_only() {
    let mut streams = Streams::default();
    // With many tasks, some of these trips have another home than the one that was decided.
    for index in 0..32 {
        streams.trip(0, &rows(index));
    }
    streams.unmatched(0, &unmatched(&rows(0), &[Side::Trip], 2 * WINDOW_MS));
    let with_tasks = |tasks| {
        let progress = Progress { tasks, ..all_read() };
        judge(&streams.ledger, &rules(), &progress).fates.total(Fate::Missing)
    };
    assert_eq!(with_tasks(1), 31);
    let of_one_in_eight = with_tasks(8);
    assert!((1..16).contains(&of_one_in_eight), "{of_one_in_eight}");
}

#[test]
fn what_retention_has_taken_is_not_judged() {
    let mut streams = Streams::default();
    streams.joined(2_000, &join(&rows(0)));
    streams.rejected(Side::Trip, at(0), "late");
    let progress = Progress { inputs_cut: true, ..all_read() };
    let verdict = judge(&streams.ledger, &rules(), &progress);
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!(verdict.unjudged_outputs, 4);

    let mut streams = Streams::default();
    streams.three(&rows(0));
    let progress = Progress { outputs_cut: true, ..all_read() };
    let verdict = judge(&streams.ledger, &rules(), &progress);
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!(fates(&verdict), [(Fate::Unjudged, 3)]);
}

#[test]
fn thousands_of_trips_are_judged_one_by_one() {
    let mut streams = Streams::default();
    for index in 0..3_000 {
        streams.three(&rows(index));
        if index % 1_000 != 7 {
            streams.joined(2_000, &join(&rows(index)));
        }
    }
    let verdict = streams.judge();
    assert_eq!((verdict.counts.lost, verdict.joined), (3, 2_997));
    let lost: Vec<_> = verdict.offences.iter().map(|offence| offence.trip_id.clone()).collect();
    let mut expected = [7, 1_007, 2_007].map(|index| Some(rows(index).trip_id));
    expected.sort();
    assert_eq!(lost, expected);
}
