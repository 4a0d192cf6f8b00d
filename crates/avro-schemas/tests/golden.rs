//! The bytes of one record of each type, written down by hand from the Avro specification: lengths and numbers
//! are zigzag varints (2 is 0x04), doubles are IEEE 754 little-endian, a union is its branch's number first.

mod samples;

use std::fmt::Debug;

use avro_schemas::Record;
use samples::{datum, read_own};

const TRIP: &[&[u8]] = &[
    b"\x04t1",
    b"\x04d1",
    b"\x1424 minutes",
    b"\x1017 miles",
    b"\x06A\nB",
    b"\x04\xc3\xa9",
    b"\x02\x02s",
    b"\x00",
];

const DRIVER_EARNING: &[&[u8]] = &[b"\x04d1", b"\x04t1", b"\0\0\0\0\0\0\x04\x40"];

const RIDER: &[&[u8]] = &[
    b"\x04r1",
    b"\x04t1",
    b"\x1421 minutes",
    b"\0\0\0\0\0\0\xf0\x3f",
    b"\0\0\0\0\0\0\0\xc0",
    b"\x12Completed",
    b"\x0a",
];

const JOINED: &[&[u8]] = &[
    b"\x04t1",
    // trip_info
    b"\x1424 minutes",
    b"\x1421 minutes",
    b"\x1017 miles",
    b"\x06A\nB",
    b"\x04\xc3\xa9",
    b"\x02\x02s",
    b"\x00",
    // rider_info
    b"\x04r1",
    b"\0\0\0\0\0\0\xf0\x3f",
    b"\0\0\0\0\0\0\0\xc0",
    b"\x12Completed",
    b"\x0a",
    // driver_earning_info
    b"\x04d1",
    b"\x04t1",
    b"\0\0\0\0\0\0\x04\x40",
];

const UNMATCHED: &[&[u8]] = &[
    b"\x04t1",
    // trip: null
    b"\x00",
    // driver_earning: present
    b"\x02",
    b"\x04d1",
    b"\x04t1",
    b"\0\0\0\0\0\0\x04\x40",
    // rider: null
    b"\x00",
    // missing: one block of two, then the end
    b"\x04",
    b"\x08trip",
    b"\x0arider",
    b"\x00",
    b"\x1cwindow_expired",
    // watermark: -65 zigzags to 129
    b"\x81\x01",
];

fn check<T: Record + PartialEq + Debug>(record: &T, expected: &[&[u8]]) {
    let expected = expected.concat();
    assert_eq!(datum(record), expected, "{:?} as written", T::TYPE);
    assert_eq!(read_own::<T>(&expected).as_ref(), Ok(record), "{:?} as read", T::TYPE);
}

#[test]
fn each_record_has_the_bytes_of_the_specification() {
    check(&samples::trip(), TRIP);
    check(&samples::driver_earning(), DRIVER_EARNING);
    check(&samples::rider(), RIDER);
    check(&samples::joined(), JOINED);
    check(&samples::unmatched(), UNMATCHED);
}

#[test]
fn values_are_framed_and_appended() {
    let encoder = avro_schemas::Encoder::new(avro_schemas::SchemaId::new(0x0102_0304));
    let mut value = b"kept".to_vec();
    encoder.encode(&samples::driver_earning(), &mut value).expect("a record fits its schema");
    let expected = [b"kept\0\x01\x02\x03\x04".as_slice(), &DRIVER_EARNING.concat()].concat();
    assert_eq!(value, expected);
}
