//! Values that are not what they should be, and what is said of them.

mod samples;

use avro_schemas::{DecodeError, Record, WriterSchema};
use models::records::{DriverEarning, Trip};
use samples::{ID, datum, read_own};

/// A schema that differs from ours, so that values take the way through resolution.
fn foreign_trip() -> WriterSchema {
    let json = Trip::TYPE.schema_json().replace(
        r#"{"name": "driver_id""#,
        r#"{"name": "vehicle", "type": "int"}, {"name": "driver_id""#,
    );
    WriterSchema::parse(ID, &json)
}

/// The sample trip as the foreign schema writes it.
fn foreign_datum() -> Vec<u8> {
    let own = datum(&samples::trip());
    [&own[..3], b"\x0e", &own[3..]].concat()
}

#[test]
fn every_proper_prefix_is_truncated() {
    let own = datum(&samples::trip());
    for end in 0..own.len() {
        let result = read_own::<Trip>(&own[..end]);
        assert!(matches!(result, Err(DecodeError::Truncated { .. })), "{end}: {result:?}");
    }
    let unmatched = datum(&samples::unmatched());
    for end in 0..unmatched.len() {
        let result = read_own::<models::records::UnmatchedTrip>(&unmatched[..end]);
        assert!(matches!(result, Err(DecodeError::Truncated { .. })), "{end}: {result:?}");
    }
}

/// apache-avro itself reads the missing end of such a value as null.
#[test]
fn every_proper_prefix_is_truncated_with_a_foreign_schema_too() {
    let value = foreign_datum();
    assert_eq!(foreign_trip().decode(&value), Ok(samples::trip()));
    for end in 0..value.len() {
        let result = foreign_trip().decode::<Trip>(&value[..end]);
        assert!(matches!(result, Err(DecodeError::Truncated { .. })), "{end}: {result:?}");
        let result = foreign_trip().decode_json(&value[..end]);
        assert!(matches!(result, Err(DecodeError::Truncated { .. })), "{end}: {result:?}");
    }
}

#[test]
fn bytes_behind_the_record_are_an_error() {
    let own = [datum(&samples::trip()), b"xy".to_vec()].concat();
    let foreign = [foreign_datum(), b"xy".to_vec()].concat();
    for result in [read_own::<Trip>(&own), foreign_trip().decode::<Trip>(&foreign)] {
        assert!(matches!(result, Err(DecodeError::TrailingBytes { count: 2, .. })), "{result:?}");
    }
}

#[test]
fn malformed_data_says_what_is_wrong() {
    let trip = |at: usize, byte: u8| {
        let mut bytes = datum(&samples::trip());
        bytes[at] = byte;
        bytes
    };
    let end = datum(&samples::trip()).len();
    let cases = [
        ("a text that is not UTF-8", trip(1, 0xff), "utf-8"),
        ("a branch that the union doesn't have", trip(end - 1, 0x04), "union"),
        ("a negative length", trip(0, 0x03), ""),
        ("a length of 2 GiB", [&b"\xfe\xff\xff\xff\x0f"[..], &trip(0, 0)].concat(), "bytes"),
        ("a number without end", vec![0xff; 20], ""),
    ];
    for (case, bytes, expected) in cases {
        let error = read_own::<Trip>(&bytes).expect_err(case);
        assert!(matches!(error, DecodeError::Malformed { .. }), "{case}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with("malformed com.example.Trip record: "), "{case}: {text}");
        assert!(text.to_lowercase().contains(expected), "{case}: {text}");
    }
}

#[test]
fn another_record_is_not_taken_for_the_one_asked_for() {
    let as_driver = |schema: &WriterSchema| {
        schema.decode::<DriverEarning>(&datum(&samples::trip())).expect_err("a trip").to_string()
    };
    let other = r#"{"type": "record", "name": "Bus", "namespace": "org.example", "fields": []}"#;
    let enumeration = r#"{"type": "enum", "name": "DriverEarning", "namespace": "com.example", "symbols": ["a"]}"#;
    let renamed = Trip::TYPE.schema_json().replace("com.example", "edu.example");
    let cases = [
        (
            Trip::TYPE.schema_json(),
            "schema 1 is com.example.Trip, expected com.example.DriverEarning",
        ),
        (other, "schema 1 is org.example.Bus, expected com.example.DriverEarning"),
        (&renamed, "schema 1 is com.example.Trip, expected com.example.DriverEarning"),
        (enumeration, "schema 1 is com.example.DriverEarning, expected com.example.DriverEarning"),
        (r#""string""#, "schema 1 is \"string\", expected com.example.DriverEarning"),
    ];
    for (json, expected) in cases {
        let error = as_driver(&WriterSchema::parse(ID, json));
        assert_eq!(error, format!("wrong record type: {expected}"), "{json}");
    }
    assert!(as_driver(&foreign_trip()).starts_with("wrong record type"));
}

#[test]
fn a_schema_that_is_not_avro_is_an_error_of_each_value() {
    for json in ["", "{", "{}", r#"{"type": "record", "name": "Trip"}"#, r#""com.example.Nothing""#]
    {
        let schema = WriterSchema::parse(ID, json);
        let error = schema.decode::<Trip>(&datum(&samples::trip())).expect_err(json);
        assert!(matches!(error, DecodeError::InvalidSchema { .. }), "{json}: {error:?}");
        assert!(error.to_string().starts_with("schema 1 is not a usable Avro schema: "), "{error}");
        assert!(schema.decode_json(b"").is_err());
    }
}
