//! The outputs put together from the encoded rows that they consist of, with nothing decoded.
//!
//! The schemas of the outputs hold the fields of the inputs unchanged, so their encoding is the rows' own bytes in
//! another order.

use models::{EventTime, Side};

use crate::datum::{put_number, put_text};
use crate::fields::Ends;
use crate::row::Layout;
use crate::wire::SchemaId;

/// Appends the framed [`JoinedStream`](models::records::JoinedStream) of three rows to `out`, the same bytes that
/// [`Encoder`](crate::Encoder) would write for the decoded ones. `rows` are in the order of [`Side::ALL`].
///
/// # Panics
///
/// If `rows` are not [`EncodedRow`](crate::EncodedRow)s' datums.
pub fn joined(id: SchemaId, rows: [&[u8]; 3], out: &mut Vec<u8>) {
    let [trip, driver, rider] = rows;
    let (trip_ends, rider_ends) = (ends(Side::Trip, trip), ends(Side::Rider, rider));
    out.extend_from_slice(&id.header());
    // trip_id, behind which the inputs' driver_id is left out
    out.extend_from_slice(&trip[trip_ends.range(0, 0)]);
    // trip_info: duration, then the rider's duration_estimate, then mileage to completion_time
    out.extend_from_slice(&trip[trip_ends.range(2, 2)]);
    out.extend_from_slice(&rider[rider_ends.range(2, 2)]);
    out.extend_from_slice(&trip[trip_ends.range(3, 7)]);
    // rider_info: rider_id, then initial_fare_estimate to rating_to_driver
    out.extend_from_slice(&rider[rider_ends.range(0, 0)]);
    out.extend_from_slice(&rider[rider_ends.range(3, 6)]);
    // driver_earning_info
    out.extend_from_slice(driver);
}

/// What an [`UnmatchedTrip`](models::records::UnmatchedTrip) says besides its rows.
#[derive(Debug, Clone, Copy)]
pub struct Unmatched<'a> {
    /// The trip.
    pub trip_id: &'a str,
    /// Why it was decided.
    pub reason: &'a str,
    /// The watermark that decided it.
    pub watermark: EventTime,
}

/// Appends the framed [`UnmatchedTrip`](models::records::UnmatchedTrip) of the rows that came to `out`, the same
/// bytes that [`Encoder`](crate::Encoder) would write for the decoded ones. `rows` are in the order of
/// [`Side::ALL`], and must be [`EncodedRow`](crate::EncodedRow)s' datums.
pub fn unmatched(id: SchemaId, about: Unmatched<'_>, rows: [Option<&[u8]>; 3], out: &mut Vec<u8>) {
    out.extend_from_slice(&id.header());
    put_text(out, about.trip_id);
    for row in rows {
        put_number(out, i64::from(row.is_some()));
        out.extend_from_slice(row.unwrap_or_default());
    }
    let missing = || Side::ALL.into_iter().filter(|side| rows[side.index()].is_none());
    let count = missing().count();
    if count > 0 {
        put_number(out, count as i64);
        missing().for_each(|side| put_text(out, side.as_str()));
    }
    // The end of the array.
    put_number(out, 0);
    put_text(out, about.reason);
    put_number(out, about.watermark.as_millis());
}

fn ends(side: Side, row: &[u8]) -> Ends {
    Layout::of(side).fields.ends(row).expect("an encoded row was checked")
}
