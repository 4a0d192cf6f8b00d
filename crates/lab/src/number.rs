//! Numbers as people read them, the same everywhere: in tables, plots and sentences.

/// A number without more digits than it needs; thousands apart.
pub(crate) fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    grouped(text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number without fraction; thousands apart.
pub(crate) fn thousands(value: f64) -> String {
    grouped(&format!("{value:.0}"))
}

/// A number with three digits, more only before the point.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let power = 10_f64.powi(decimals);
    plain((value * power).round() / power)
}

/// A part as per cent; 100 only if it is all, and 0 only if it is nothing.
pub(crate) fn percent(part: f64) -> String {
    let shown = match (part * 1_000.0).round() / 10.0 {
        100.0 if part < 1.0 => 99.9,
        0.0 if part > 0.0 => 0.1,
        other => other,
    };
    format!("{} %", plain(shown))
}

/// A decimal number with the digits before its point in threes.
fn grouped(decimal: &str) -> String {
    // What is rounded to nothing has no sign.
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(digits) if digits != "0" => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", decimal),
    };
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart_and_no_digit_is_there_for_nothing() {
        for (value, exact, whole) in [
            (0.0, "0", "0"),
            (0.25, "0.25", "0"),
            (999.4, "999.4", "999"),
            (1_000.0, "1,000", "1,000"),
            (-1_234.5, "-1,234.5", "-1,234"),
            (-100.0, "-100", "-100"),
            (-0.000_01, "0", "0"),
            (1_234_567.8, "1,234,567.8", "1,234,568"),
            (0.123_45, "0.1235", "0"),
        ] {
            assert_eq!((&*plain(value), &*thousands(value)), (exact, whole));
        }
    }

    #[test]
    fn three_digits_are_kept_and_more_only_before_the_point() {
        for (value, text) in [
            (0.123_4, "0.12"),
            (9.994, "9.99"),
            (12.34, "12.3"),
            (512.4, "512"),
            (2_033.4, "2,033"),
            (-0.496, "-0.5"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }

    #[test]
    fn a_part_is_called_all_or_nothing_only_if_it_is() {
        for (part, text) in [
            (1.0, "100 %"),
            (0.99999, "99.9 %"),
            (0.0, "0 %"),
            (0.00001, "0.1 %"),
            (0.3333, "33.3 %"),
        ] {
            assert_eq!(percent(part), text);
        }
    }
}
