//! Figures in columns.

use std::fmt::Write as _;

/// Stands where something was not measured.
pub(super) const MISSING: &str = "n/a";

/// Room for `API: 1,000 trips, 4 at once`.
const NAME_WIDTH: usize = 28;

/// Appends a line: a name, and cells that are flush right.
pub(super) fn line<const N: usize>(text: &mut String, name: &str, cells: [String; N]) {
    let mut line = format!("{name:<NAME_WIDTH$}");
    for cell in cells {
        let _ = write!(line, "{cell:>10}");
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// A number without fraction, its digits in threes.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds, to the hundredth.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| MISSING.to_owned(), |seconds| format!("{seconds:.2}"))
}

/// Bytes, in millions.
pub(super) fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| MISSING.to_owned(), |bytes| thousands(bytes as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let cases = [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.8, "1,234,568")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }
}
