//! How values are written: ids, times, money.

use chrono::{DateTime, Datelike, Timelike, Utc};
use rand::RngExt;
use uuid::Builder;
use uuid::fmt::Hyphenated;

use crate::stream::Stream;

/// A random UUID (version 4) from the stream: `6b3ad9a1-54c3-4f0e-9a39-0d3a6f0c7f1e`.
pub(crate) fn id(stream: &mut Stream) -> String {
    let uuid = Builder::from_random_bytes(stream.random()).into_uuid();
    let mut text = [0; Hyphenated::LENGTH];
    uuid.hyphenated().encode_lower(&mut text).to_owned()
}

/// ISO-8601 in UTC with offset and microseconds: `2026-11-22T23:13:49.281670+00:00`.
///
/// Python's `datetime.isoformat()` writes the same, but drops `.000000`. chrono's own formatting would cost more
/// than all the rest of a trip.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    let mut text = *b"0000-00-00T00:00:00.000000+00:00";
    let micros = time.nanosecond() % 1_000_000_000 / 1_000;
    let fields = [
        (0, 4, time.year().clamp(0, 9999).cast_unsigned()),
        (5, 2, time.month()),
        (8, 2, time.day()),
        (11, 2, time.hour()),
        (14, 2, time.minute()),
        (17, 2, time.second()),
        (20, 6, micros),
    ];
    for (start, width, number) in fields {
        digits(&mut text[start..start + width], number);
    }
    ascii(&text)
}

/// Writes the last digits of `number`, as many as there is room for.
pub(crate) fn digits(out: &mut [u8], mut number: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// `bytes`, which are ASCII, as a text of its own.
pub(crate) fn ascii(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).expect("digits and punctuation").to_owned()
}

/// `24 minutes`. The unit is in the plural always, as existing readers expect.
pub(crate) fn minutes(minutes: u32) -> String {
    amount(minutes, " minutes")
}

/// `17 miles`.
pub(crate) fn miles(miles: u32) -> String {
    amount(miles, " miles")
}

fn amount(number: u32, unit: &str) -> String {
    [itoa::Buffer::new().format(number), unit].concat()
}

/// Dollars, to the cent.
pub(crate) fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_python_does() {
        let cases = [
            (1_795_389_229, 281_670_999, "2026-11-22T23:13:49.281670+00:00"),
            (0, 0, "1970-01-01T00:00:00.000000+00:00"),
            (1_709_251_199, 999_999_999, "2024-02-29T23:59:59.999999+00:00"),
            (-1, 1_000, "1969-12-31T23:59:59.000001+00:00"),
        ];
        for (seconds, nanos, expected) in cases {
            let at = DateTime::from_timestamp(seconds, nanos).unwrap();
            assert_eq!(time(at), expected);
        }
    }

    #[test]
    fn amounts_have_no_leading_zeros() {
        let shown = [0, 1, 9, 10, 65, 162, 4_294_967_295].map(minutes);
        let expected = ["0", "1", "9", "10", "65", "162", "4294967295"];
        assert_eq!(shown, expected.map(|number| format!("{number} minutes")));
        assert_eq!(miles(17), "17 miles");
    }
}
