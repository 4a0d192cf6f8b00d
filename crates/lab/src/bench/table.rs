//! Figures in columns.

use std::fmt::Write as _;

use crate::number::thousands;

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

/// Seconds, to the hundredth.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| MISSING.to_owned(), |seconds| format!("{seconds:.2}"))
}

/// Bytes, in millions.
pub(super) fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| MISSING.to_owned(), |bytes| thousands(bytes as f64 / 1e6))
}
