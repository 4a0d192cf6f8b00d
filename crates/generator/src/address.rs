//! Addresses in US style over two lines.

use fake::Fake;
use fake::faker::address::en::{CityPrefix, CitySuffix, StateAbbr, StreetSuffix};
use fake::faker::name::en::LastName;
use rand::RngExt;

use crate::stream::Stream;
use crate::text::digits;

/// `4821 Walker Avenue\nLake Robertville, CA 90210`.
///
/// Put together from the words of `fake`, not from its own addresses: those replace placeholders in a pattern, at
/// several times the cost, and know postcodes of three digits.
pub(crate) fn address(stream: &mut Stream) -> String {
    let street: &str = LastName().fake_with_rng(stream);
    let kind: &str = StreetSuffix().fake_with_rng(stream);
    let prefix: &str =
        if stream.random_bool(0.2) { CityPrefix().fake_with_rng(stream) } else { "" };
    let city: &str = LastName().fake_with_rng(stream);
    let suffix: &str = CitySuffix().fake_with_rng(stream);
    let state: &str = StateAbbr().fake_with_rng(stream);
    // 100 to 99999, each number of digits as likely as the others.
    let (from, to) = [(100, 999), (1_000, 9_999), (10_000, 99_999)][stream.random_range(0..3)];
    let mut number = [0; 5];
    digits(&mut number, stream.random_range(from..=to));
    let leading = number.iter().take_while(|digit| **digit == b'0').count();
    // The Postal Service's numbers begin at 00501.
    let mut postcode = [0; 5];
    digits(&mut postcode, stream.random_range(501..=99_950));

    let mut text = String::with_capacity(64);
    push_ascii(&mut text, &number[leading..]);
    for part in [" ", street, " ", kind, "\n", prefix, if prefix.is_empty() { "" } else { " " }] {
        text.push_str(part);
    }
    for part in [city, suffix, ", ", state, " "] {
        text.push_str(part);
    }
    push_ascii(&mut text, &postcode);
    text
}

fn push_ascii(text: &mut String, digits: &[u8]) {
    text.push_str(std::str::from_utf8(digits).expect("digits are ASCII"));
}
