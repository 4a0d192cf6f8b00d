//! Which instants a schedule names: pure values, no clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::zoned::next_match;

/// The word that tells an interval from a cron expression.
const EVERY: &str = "every ";

/// When to fire: by the calendar or at an interval. All instants are whole seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Timetable {
    /// Whenever the clocks of the zone match the expression.
    Cron {
        /// Six fields, seconds first; a seventh for the year. Day of month and day of week must both match.
        expression: Box<Cron>,
        /// Whose clocks.
        zone: Tz,
    },
    /// At the first whole second of the run, and every so many seconds from there.
    Every {
        /// At least 1.
        seconds: u32,
    },
}

/// A schedule that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// Neither an expression nor an interval.
    #[error(
        "{text:?} is no cron expression with seconds, such as \"*/5 * * * * *\", nor an interval, such as \"every 3s\": \
         {reason}"
    )]
    Expression {
        /// What was given.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// An interval that is not a whole number of seconds from 1 up.
    #[error("{text:?} is no interval of whole seconds, at least \"every 1s\"{hint}")]
    Interval {
        /// What was given.
        text: String,
        /// What to do instead, or what the parser says.
        hint: String,
    },
    /// A well-formed expression that matches no date to come.
    #[error("{text:?} matches no date to come")]
    Never {
        /// What was given.
        text: String,
    },
    /// A time zone that the IANA database does not have.
    #[error("{name:?} is no time zone of the IANA database, such as \"UTC\" or \"Europe/Paris\"")]
    Zone {
        /// What was given.
        name: String,
    },
}

/// Finds a time zone by its IANA name.
///
/// # Errors
///
/// [`TimetableError::Zone`] if there is none of that name.
pub(crate) fn zone(name: &str) -> Result<Tz, TimetableError> {
    name.parse().map_err(|_| TimetableError::Zone { name: name.to_owned() })
}

impl Timetable {
    /// Reads `every <time>` or a cron expression in `zone`. `now` is only asked whether any match is still to come.
    ///
    /// # Errors
    ///
    /// [`TimetableError`], quoting `text`.
    pub fn parse(text: &str, zone: Tz, now: DateTime<Utc>) -> Result<Self, TimetableError> {
        if let Some(interval) = text.trim().strip_prefix(EVERY) {
            return Self::parse_interval(text, interval);
        }
        let expression = CronParser::builder()
            .seconds(Seconds::Required)
            .dom_and_dow(true)
            .build()
            .parse(text)
            .map(Box::new)
            .map_err(|err| TimetableError::Expression {
                text: text.to_owned(),
                reason: err.to_string().trim_end_matches('.').to_owned(),
            })?;
        if next_match(&expression, zone, now).is_none() {
            return Err(TimetableError::Never { text: text.to_owned() });
        }
        Ok(Self::Cron { expression, zone })
    }

    fn parse_interval(text: &str, interval: &str) -> Result<Self, TimetableError> {
        let invalid = |hint: String| TimetableError::Interval { text: text.to_owned(), hint };
        let interval: Duration = humantime::parse_duration(interval.trim())
            .map_err(|err| invalid(format!(": {err}")))?;
        if interval.subsec_nanos() != 0 {
            return Err(invalid("; scheduler-loop fires more often".to_owned()));
        }
        match u32::try_from(interval.as_secs()) {
            Ok(0) | Err(_) => Err(invalid(String::new())),
            Ok(seconds) => Ok(Self::Every { seconds }),
        }
    }

    /// The first instant after `after` of a run that started at `start`; `None` when there is none any more.
    pub fn next(&self, start: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Timetable::Cron { expression, zone } => next_match(expression, *zone, after),
            Timetable::Every { seconds } => {
                let first = ceil_to_second(start)?;
                if after < first {
                    return Some(first);
                }
                let seconds = i64::from(*seconds);
                let passed = (after - first).num_seconds() / seconds + 1;
                first.checked_add_signed(TimeDelta::seconds(passed.checked_mul(seconds)?))
            }
        }
    }
}

/// The library that fires counts in whole seconds.
fn ceil_to_second(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0), 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn parse(text: &str) -> Result<Timetable, TimetableError> {
        Timetable::parse(text, Tz::UTC, at("2026-11-22T00:00:00Z"))
    }

    #[test]
    fn an_interval_counts_from_the_first_whole_second() {
        let timetable = parse("every 3s").unwrap();
        let start = at("2026-11-22T10:00:00.250Z");
        for (after, want) in [
            ("2026-11-22T10:00:00.250Z", "2026-11-22T10:00:01Z"),
            ("2026-11-22T10:00:01Z", "2026-11-22T10:00:04Z"),
            ("2026-11-22T10:00:03.999Z", "2026-11-22T10:00:04Z"),
            ("2026-11-22T10:00:04Z", "2026-11-22T10:00:07Z"),
            ("2026-11-22T11:00:00Z", "2026-11-22T11:00:01Z"),
        ] {
            assert_eq!(timetable.next(start, at(after)), Some(at(want)), "after {after}");
        }
    }

    #[test]
    fn an_expression_has_seconds_and_joins_its_two_kinds_of_days() {
        let start = at("2026-11-22T10:00:00Z");
        let next = |text: &str| parse(text).unwrap().next(start, start).unwrap().to_rfc3339();
        assert_eq!(next("*/5 * * * * *"), "2026-11-22T10:00:05+00:00");
        assert_eq!(next("0 0 12 * * Mon-Fri"), "2026-11-23T12:00:00+00:00");
        assert_eq!(next("0 0 0 13 * Fri"), "2027-08-13T00:00:00+00:00", "Friday the 13th");
    }

    #[test]
    fn what_cannot_be_followed_is_refused_in_one_line() {
        for (text, want) in [
            ("soon", "\"soon\" is no cron expression with seconds"),
            ("", "\"\" is no cron expression with seconds"),
            ("* * * * *", "\"* * * * *\" is no cron expression with seconds"),
            ("61 * * * * *", "\"61 * * * * *\" is no cron expression with seconds"),
            ("*/0 * * * * *", "\"*/0 * * * * *\" is no cron expression with seconds"),
            ("0 0 0 30 2 *", "\"0 0 0 30 2 *\" matches no date to come"),
            ("0 0 0 1 1 * 2020", "\"0 0 0 1 1 * 2020\" matches no date to come"),
            ("every 0s", "\"every 0s\" is no interval of whole seconds, at least \"every 1s\""),
            ("every -3s", "\"every -3s\" is no interval of whole seconds"),
            (
                "every 500ms",
                "\"every 500ms\" is no interval of whole seconds, at least \"every 1s\"; scheduler-loop fires more often",
            ),
            ("every 1000years", "\"every 1000years\" is no interval of whole seconds"),
            ("every now and then", "\"every now and then\" is no interval of whole seconds"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text:?} says {error}");
            assert!(!error.contains('\n'));
        }
        assert_eq!(
            zone("Mars/Olympus").unwrap_err().to_string(),
            "\"Mars/Olympus\" is no time zone of the IANA database, such as \"UTC\" or \"Europe/Paris\""
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9*/,\\-? A-Zl#@.]{0,30}") {
            let _ = parse(&text);
        }
    }
}
