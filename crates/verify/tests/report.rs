//! What people and programs see of a verdict.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use generator::Generator;
use models::records::JoinedStream;
use models::{EventTime, Side};
use verify::{Input, Ledger, Place, Progress, Report, Rules, judge};

const START_MS: i64 = 1_795_348_800_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(START_MS.unsigned_abs()) + Duration::from_secs(95)
}

/// Three trips of which the joiner has read all: one joined, one waiting, one lost; and a rejected row.
fn report(lose: bool) -> Report {
    let mut ledger = Ledger::default();
    let completion: DateTime<Utc> = DateTime::from_timestamp_millis(START_MS).expect("in range");
    let ts = Some(EventTime::from_millis(START_MS));
    for index in 0..3_i64 {
        let place = Place { partition: 0, offset: index };
        let rows = Generator::new(1).complete_trip(index.unsigned_abs(), completion);
        if index == 2 && !lose {
            continue;
        }
        ledger.input(place, ts, &Input::Trip(rows.trip_data.clone()));
        ledger.input(place, ts, &Input::Driver(rows.driver_earning_data.clone()));
        if index == 1 {
            continue;
        }
        ledger.input(place, ts, &Input::Rider(rows.rider_data.clone()));
        if index == 0 {
            let joined =
                JoinedStream::new(rows.trip_data, rows.driver_earning_data, rows.rider_data);
            ledger.joined(place, ts, &joined);
        }
    }
    let poison = Place { partition: 0, offset: 9 };
    ledger.unreadable_input(Side::Rider, poison, "no magic byte");
    ledger.rejected(Place { partition: 0, offset: 0 }, Side::Rider, poison, "undecodable");
    let rules = Rules {
        window: Duration::from_secs(600),
        inputs: ["trips", "drivers", "riders"].map(str::to_owned),
        outputs: ["joined", "unmatched", "rejects"].map(str::to_owned),
    };
    let next = || BTreeMap::from([(0, i64::MAX)]);
    let progress = Progress { next: [next(), next(), next()], tasks: 1, ..Progress::default() };
    Report {
        verdict: judge(&ledger, &rules, &progress),
        absent: Vec::new(),
        caught_up: true,
        waited: false,
        window: rules.window,
    }
}

#[test]
fn a_clean_run_as_text() {
    let report = report(false);
    assert!(report.is_clean());
    insta::assert_snapshot!(report.to_text(20, now()));
}

#[test]
fn a_run_with_a_loss_as_text_and_json() {
    let report = report(true);
    assert!(!report.is_clean());
    insta::assert_snapshot!("loss_as_text", report.to_text(20, now()));
    insta::assert_json_snapshot!("loss_as_json", report.to_json(20));
}

#[test]
fn only_as_many_offences_are_shown_as_wanted() {
    let text = report(true).to_text(0, now());
    assert!(!text.contains("Lost: trip") && text.contains("... and 1 more (--limit)"), "{text}");
}

#[test]
fn a_joiner_that_does_not_catch_up_is_a_fault_only_if_it_was_waited_for() {
    let mut report = report(false);
    report.caught_up = false;
    assert!(report.is_clean());
    report.waited = true;
    assert!(!report.is_clean());
    assert!(report.summary().contains("has not caught up"), "{}", report.summary());
}
