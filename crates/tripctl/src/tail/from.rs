//! Where to start reading.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// `--from`: where in each partition to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the oldest row that is kept.
    Beginning,
    /// With the next row that comes.
    End,
    /// At this offset.
    Offset(i64),
    /// With the last rows, this many.
    Last(i64),
    /// With the first row at or after this time.
    Time(SystemTime),
    /// With the first row that is not older than this.
    Ago(Duration),
}

/// The error of parsing [`From`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected beginning, end, an offset (1000), a number of last rows (-10), a time (2026-11-22T23:13:49Z) or how \
     long ago (10m)"
)]
pub struct NotAStart;

impl FromStr for From {
    type Err = NotAStart;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(if number < 0 { Self::Last(-number) } else { Self::Offset(number) });
        }
        if let Ok(time) = humantime::parse_rfc3339_weak(text.trim_end_matches('Z')) {
            return Ok(Self::Time(time));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| NotAStart)
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Offset(offset) => offset.fmt(f),
            Self::Last(rows) => write!(f, "-{rows}"),
            Self::Time(time) => humantime::format_rfc3339(*time).fmt(f),
            Self::Ago(ago) => humantime::format_duration(*ago).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn starts_are_read_in_all_their_forms() {
        let time = |seconds| Some(From::Time(UNIX_EPOCH + Duration::from_secs(seconds)));
        let cases = [
            ("beginning", Some(From::Beginning)),
            ("end", Some(From::End)),
            ("0", Some(From::Offset(0))),
            ("41", Some(From::Offset(41))),
            ("-10", Some(From::Last(10))),
            ("2026-11-22T23:13:49Z", time(1_795_389_229)),
            ("2026-11-22 23:13:49", time(1_795_389_229)),
            ("10m", Some(From::Ago(Duration::from_secs(600)))),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<From>().ok(), expected, "{text:?}");
        }
    }
}
