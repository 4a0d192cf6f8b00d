//! The next time a cron expression matches in a named time zone, across changes of the zone's offset.
//!
//! `croner` alone is asked only about stretches of constant offset: where an hour comes twice, its own iterator goes
//! back in time for expressions that match often.
//!
//! What happens at a change of the clocks is what Vixie cron does: an expression for one time of day fires at the first
//! moment after a skipped hour that it falls into, and only once in an hour that comes twice; any other expression
//! follows the clock on the wall as it is.

use chrono::{DateTime, Duration, FixedOffset, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::{Cron, JobType};

/// The first instant after `after` at which the clocks of `zone` match `cron`; `None` if there is none.
pub(crate) fn next_match(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let once_a_day = cron.determine_job_type() == JobType::FixedTime;
    let (mut after, mut offset) = (after, offset_at(zone, after));
    loop {
        let local = after.with_timezone(&offset);
        let candidate = cron.find_next_occurrence(&local, false).ok()?.to_utc();
        let Some(change) = first_change(zone, offset, after, candidate) else {
            return Some(candidate);
        };
        let new_offset = offset_at(zone, change);
        let moved = seconds(i64::from(new_offset.local_minus_utc() - offset.local_minus_utc()));
        if once_a_day && candidate < change + moved {
            // It falls into the hour that was skipped.
            return Some(change);
        }
        let repeated = if once_a_day { (-moved).max(TimeDelta::zero()) } else { TimeDelta::zero() };
        // The search excludes its start, and may find the moment of the change.
        (after, offset) = (change + repeated - seconds(1), new_offset);
    }
}

fn offset_at(zone: Tz, at: DateTime<Utc>) -> FixedOffset {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix()
}

fn seconds(seconds: i64) -> TimeDelta {
    Duration::seconds(seconds)
}

/// The first second in (`after`, `until`] at which `zone` has another offset than `offset`. Offsets that last less than
/// a day are not seen; the time-zone database has none.
fn first_change(
    zone: Tz,
    offset: FixedOffset,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let changed = |at| offset_at(zone, at) != offset;
    let mut before = after;
    while before < until {
        let mut beyond = (before + Duration::days(1)).min(until);
        if !changed(beyond) {
            before = beyond;
            continue;
        }
        while beyond - before > seconds(1) {
            let middle = before + seconds((beyond - before).num_seconds() / 2);
            if changed(middle) { beyond = middle } else { before = middle }
        }
        return Some(beyond);
    }
    None
}

#[cfg(test)]
mod tests {
    use croner::parser::{CronParser, Seconds};
    use proptest::prelude::*;

    use super::*;

    fn cron(expression: &str) -> Cron {
        CronParser::builder().seconds(Seconds::Required).build().parse(expression).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The matches that follow `after`, in local time with offset.
    fn check(expression: &str, zone: Tz, after: &str, want: &[&str]) {
        let cron = cron(expression);
        let mut instant = at(after);
        let got: Vec<_> = want
            .iter()
            .map(|_| {
                instant = next_match(&cron, zone, instant).unwrap();
                instant.with_timezone(&zone).format("%m-%d %H:%M:%S %:z").to_string()
            })
            .collect();
        assert_eq!(got, want, "{expression} in {zone} after {after}");
    }

    #[test]
    fn a_time_of_day_keeps_to_the_clock_on_the_wall_over_the_year() {
        check(
            "0 30 9 * * *",
            Tz::Europe__Paris,
            "2026-03-27T12:00:00Z",
            &["03-28 09:30:00 +01:00", "03-29 09:30:00 +02:00", "03-30 09:30:00 +02:00"],
        );
        check(
            "0 30 9 * * *",
            Tz::America__New_York,
            "2026-10-31T22:00:00Z",
            &["11-01 09:30:00 -05:00", "11-02 09:30:00 -05:00"],
        );
    }

    #[test]
    fn a_time_of_day_that_is_skipped_fires_at_the_first_moment_after() {
        check(
            "0 30 2 * * *",
            Tz::Europe__Paris,
            "2026-03-28T00:00:00Z",
            &["03-28 02:30:00 +01:00", "03-29 03:00:00 +02:00", "03-30 02:30:00 +02:00"],
        );
        // Half an hour is skipped: the clocks go from 02:00 to 02:30.
        check(
            "0 15 2 * * *",
            Tz::Australia__Lord_Howe,
            "2026-10-03T00:00:00Z",
            &["10-04 02:30:00 +11:00", "10-05 02:15:00 +11:00"],
        );
    }

    #[test]
    fn a_time_of_day_that_comes_twice_fires_the_first_time() {
        check(
            "0 30 2 * * *",
            Tz::Europe__Paris,
            "2026-10-24T12:00:00Z",
            &["10-25 02:30:00 +02:00", "10-26 02:30:00 +01:00"],
        );
    }

    #[test]
    fn frequent_expressions_go_on_evenly_through_both_changes() {
        check(
            "0 */30 * * * *",
            Tz::Europe__Paris,
            "2026-03-29T00:00:00Z",
            &["03-29 01:30:00 +01:00", "03-29 03:00:00 +02:00", "03-29 03:30:00 +02:00"],
        );
        check(
            "0 */30 * * * *",
            Tz::Europe__Paris,
            "2026-10-25T00:00:00Z",
            &[
                "10-25 02:30:00 +02:00",
                "10-25 02:00:00 +01:00",
                "10-25 02:30:00 +01:00",
                "10-25 03:00:00 +01:00",
            ],
        );
        check(
            "59 59 * * * *",
            Tz::Europe__Paris,
            "2026-10-24T23:59:59Z",
            &["10-25 02:59:59 +02:00", "10-25 02:59:59 +01:00", "10-25 03:59:59 +01:00"],
        );
    }

    #[test]
    fn a_rare_date_is_found_years_ahead() {
        check(
            "0 0 12 29 2 *",
            Tz::Europe__Paris,
            "2026-01-01T00:00:00Z",
            &["02-29 12:00:00 +01:00", "02-29 12:00:00 +01:00"],
        );
    }

    #[test]
    fn a_date_that_never_comes_is_none() {
        assert_eq!(next_match(&cron("0 0 0 30 2 *"), Tz::UTC, at("2026-01-01T00:00:00Z")), None);
    }

    proptest! {
        #[test]
        fn a_match_is_later_matches_the_wall_clock_and_skips_none_between(
            zone in prop::sample::select(vec![
                Tz::UTC, Tz::Europe__Paris, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Kolkata,
            ]),
            minute_step in prop::sample::select(vec![1u32, 7, 20]),
            start in 1_767_225_600i64..1_798_761_600,
        ) {
            let cron = cron(&format!("0 */{minute_step} * * * *"));
            let after = DateTime::from_timestamp(start, 0).unwrap();
            let found = next_match(&cron, zone, after).unwrap();
            let mut minute = after + seconds(60 - start.rem_euclid(60));
            while !cron.is_time_matching(&minute.with_timezone(&zone)).unwrap() {
                minute += seconds(60);
            }
            prop_assert_eq!(found, minute);
        }
    }
}
