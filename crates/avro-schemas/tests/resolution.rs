//! Rows that were written with another version of a schema.

mod samples;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use avro_schemas::{DecodeError, Record, WriterSchema};
use models::records::{DriverEarning, Trip, UnmatchedTrip};
use samples::ID;

/// The fields of a schema, each with a value.
type Fields = Vec<(&'static str, Value)>;

/// A `DriverEarning` whose schema has the fields `fields`, each with its value.
fn written(fields: &[(&str, Value)]) -> (WriterSchema, Vec<u8>) {
    let (definitions, values): (Vec<_>, Vec<_>) = fields
        .iter()
        .map(|(field, value)| {
            let parsed: serde_json::Value = serde_json::from_str(field).expect("a field in JSON");
            (*field, (parsed["name"].as_str().expect("a name").to_owned(), value.clone()))
        })
        .unzip();
    let json = format!(
        r#"{{"type": "record", "name": "DriverEarning", "namespace": "com.example", "fields": [{}]}}"#,
        definitions.join(",")
    );
    let schema = Schema::parse_str(&json).expect("Avro");
    let writer = GenericDatumWriter::builder(&schema).build().expect("self-contained");
    let bytes = writer.write_value_to_vec(Value::Record(values)).expect("values fit");
    (WriterSchema::parse(ID, &json), bytes)
}

const DRIVER: &str = r#"{"name": "driver_id", "type": "string"}"#;
const TRIP: &str = r#"{"name": "trip_id", "type": "string"}"#;
const EARNINGS: &str = r#"{"name": "earnings_from_trip", "type": "double"}"#;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn other_versions_of_a_schema_give_our_record() {
    let cases: [(&str, Fields); 6] = [
        (
            "the same",
            vec![(DRIVER, text("d1")), (TRIP, text("t1")), (EARNINGS, Value::Double(2.5))],
        ),
        (
            "reordered",
            vec![(EARNINGS, Value::Double(2.5)), (TRIP, text("t1")), (DRIVER, text("d1"))],
        ),
        (
            "a field that we don't have",
            vec![
                (
                    r#"{"name": "tip", "type": ["null", "double"]}"#,
                    Value::Union(1, Value::Double(1.0).into()),
                ),
                (DRIVER, text("d1")),
                (TRIP, text("t1")),
                (EARNINGS, Value::Double(2.5)),
            ],
        ),
        (
            "a narrower number",
            vec![
                (DRIVER, text("d1")),
                (TRIP, text("t1")),
                (r#"{"name": "earnings_from_trip", "type": "float"}"#, Value::Float(2.5)),
            ],
        ),
        (
            "nullable, but not null",
            vec![
                (
                    r#"{"name": "driver_id", "type": ["null", "string"]}"#,
                    Value::Union(1, text("d1").into()),
                ),
                (TRIP, text("t1")),
                (EARNINGS, Value::Double(2.5)),
            ],
        ),
        (
            "bytes instead of text",
            vec![
                (r#"{"name": "driver_id", "type": "bytes"}"#, Value::Bytes(b"d1".to_vec())),
                (TRIP, text("t1")),
                (EARNINGS, Value::Double(2.5)),
            ],
        ),
    ];
    for (case, fields) in cases {
        let (schema, bytes) = written(&fields);
        assert_eq!(schema.decode(&bytes), Ok(samples::driver_earning()), "{case}");
    }
}

#[test]
fn a_version_that_lacks_something_says_which_field() {
    let cases: [(&str, Fields, &str, &str); 3] = [
        (
            "a field without default is missing",
            vec![(DRIVER, text("d1")), (EARNINGS, Value::Double(2.5))],
            "trip_id",
            "it wasn't written and has no default",
        ),
        (
            "another type",
            vec![
                (DRIVER, text("d1")),
                (TRIP, text("t1")),
                (r#"{"name": "earnings_from_trip", "type": "boolean"}"#, Value::Boolean(true)),
            ],
            "earnings_from_trip",
            "",
        ),
        (
            "null where we need a value",
            vec![
                (
                    r#"{"name": "driver_id", "type": ["null", "string"]}"#,
                    Value::Union(0, Value::Null.into()),
                ),
                (TRIP, text("t1")),
                (EARNINGS, Value::Double(2.5)),
            ],
            "driver_id",
            "",
        ),
    ];
    for (case, fields, guilty, reason) in cases {
        let (schema, bytes) = written(&fields);
        match schema.decode::<DriverEarning>(&bytes) {
            Err(DecodeError::Incompatible { field, why, .. }) => {
                assert_eq!(field, guilty, "{case}: {why}");
                assert!(why.contains(reason), "{case}: {why}");
            }
            other => panic!("{case}: {other:?}"),
        }
    }
}

/// A trip as an older producer might write it: without the nullable times.
#[test]
fn a_missing_field_with_default_is_its_default() {
    let json = Trip::TYPE.schema_json();
    let fields_end = json.find(r#"{"name": "start_time""#).expect("the first nullable field");
    let json = format!("{}]}}", json[..fields_end].trim_end().trim_end_matches(','));
    let bytes = samples::datum(&samples::trip());
    let bytes = &bytes[..bytes.len() - 4];
    let expected = Trip { start_time: None, completion_time: None, ..samples::trip() };
    assert_eq!(WriterSchema::parse(ID, &json).decode(bytes), Ok(expected));
}

#[test]
fn documentation_and_layout_of_a_schema_don_t_matter() {
    let mut schema: serde_json::Value =
        serde_json::from_str(UnmatchedTrip::TYPE.schema_json()).expect("JSON");
    schema["doc"] = "Something else.".into();
    let json = schema.to_string();
    let bytes = samples::datum(&samples::unmatched());
    let schema = WriterSchema::parse(ID, &json);
    assert_eq!(schema.decode(&bytes), Ok(samples::unmatched()));
    assert_eq!(
        format!("{schema:?}"),
        "WriterSchema { id: SchemaId(1), schema: \"com.example.UnmatchedTrip\" }"
    );
}

/// As the specification has it: "both schemas are records with the same (unqualified) name".
#[test]
fn the_namespace_of_a_schema_doesn_t_matter() {
    fn check<T: Record + PartialEq + std::fmt::Debug>(record: &T) {
        let own = T::TYPE.schema_json();
        let doc = own.find(r#""fields""#).expect("a record has fields");
        let extended = format!(
            r#"{}"fields": [{{"name": "more", "type": "int"}},{}"#,
            &own[..doc],
            own[doc..].split_once('[').expect("a list").1
        );
        let datum = samples::datum(record);
        let more = [b"\x06", &datum[..]].concat();
        for (json, datum) in [(own.to_owned(), datum), (extended, more)] {
            for namespace in [r#""namespace": "org.acme","#, ""] {
                let json = json.replace(r#""namespace": "com.example","#, namespace);
                assert_eq!(
                    WriterSchema::parse(ID, &json).decode::<T>(&datum).as_ref(),
                    Ok(record),
                    "{json}"
                );
            }
        }
    }
    check(&samples::trip());
    check(&samples::driver_earning());
    check(&samples::rider());
    check(&samples::joined());
    check(&samples::unmatched());
}

#[test]
fn a_nested_record_is_resolved_too() {
    let json = UnmatchedTrip::TYPE.schema_json();
    let renumbered = json.replace(
        r#"{"name": "watermark", "type": "long""#,
        r#"{"name": "watermark", "type": "int""#,
    );
    assert_ne!(json, renumbered);
    let bytes = samples::datum(&samples::unmatched());
    assert_eq!(WriterSchema::parse(ID, &renumbered).decode(&bytes), Ok(samples::unmatched()));
}

const LOGICAL_TYPES: [&str; 16] = [
    r#""decimal", "precision": 4, "scale": 2"#,
    r#""decimal", "precision": -4, "scale": "two""#,
    r#""big-decimal""#,
    r#""uuid""#,
    r#""date""#,
    r#""time-millis""#,
    r#""time-micros""#,
    r#""timestamp-millis""#,
    r#""timestamp-micros""#,
    r#""timestamp-nanos""#,
    r#""local-timestamp-millis""#,
    r#""local-timestamp-micros""#,
    r#""local-timestamp-nanos""#,
    r#""duration""#,
    r#""com.acme.money""#,
    "42",
];

#[test]
fn a_logical_type_is_read_as_its_underlying_type() {
    for logical in LOGICAL_TYPES {
        let as_type = |of: &str| format!(r#"{{"type": "{of}", "logicalType": {logical}}}"#);
        let more = [
            (r#""null""#.to_owned(), &b""[..]),
            (as_type("boolean"), b"\x01"),
            (as_type("int"), b"\x05"),
            (as_type("long"), b"\x05"),
            (as_type("float"), b"\0\0\0\0"),
            (as_type("double"), b"\0\0\0\0\0\0\0\0"),
            (as_type("bytes"), b"\x04ab"),
            (as_type("string"), b"\x04ab"),
            (
                format!(r#"{{"type": "fixed", "name": "F", "size": 2, "logicalType": {logical}}}"#),
                b"ab",
            ),
            (
                format!(
                    r#"{{"type": "fixed", "name": "F", "size": 12, "logicalType": {logical}}}"#
                ),
                b"123456789012",
            ),
            (
                format!(
                    r#"{{"type": "fixed", "name": "F", "size": 16, "logicalType": {logical}}}"#
                ),
                b"1234567890123456",
            ),
            (
                format!(
                    r#"{{"type": "enum", "name": "E", "symbols": ["a"], "logicalType": {logical}}}"#
                ),
                b"\0",
            ),
            (
                format!(
                    r#"{{"type": "array", "items": {}, "logicalType": {logical}}}"#,
                    as_type("string")
                ),
                b"\x02\x04ab\0",
            ),
            (
                format!(
                    r#"{{"type": "map", "values": {}, "logicalType": {logical}}}"#,
                    as_type("string")
                ),
                b"\x02\x02k\x04ab\0",
            ),
            (format!(r#"["null", {}]"#, as_type("string")), b"\x02\x04ab"),
        ];
        for (more, bytes) in more {
            let string = as_type("string");
            let json = format!(
                r#"{{"type": "record", "name": "DriverEarning", "namespace": "com.example", "fields": [
                    {{"name": "more", "type": {more}}},
                    {{"name": "driver_id", "type": {string}, "default": "none"}},
                    {{"name": "trip_id", "type": {string}, "logicalType": {logical}}},
                    {{"name": "earnings_from_trip", "type": {}}}]}}"#,
                as_type("double")
            );
            let schema = WriterSchema::parse(ID, &json);
            let datum = [bytes, &samples::datum(&samples::driver_earning())].concat();
            assert_eq!(schema.decode(&datum), Ok(samples::driver_earning()), "{json}");
            assert!(schema.decode_json(&datum).is_ok(), "{json}");
        }
    }
}

#[test]
fn a_number_with_a_logical_type_is_promoted() {
    let promoted = [("int", &b"\x05"[..]), ("long", b"\x05"), ("float", b"\0\0\x40\xc0")];
    for logical in LOGICAL_TYPES {
        for (number, bytes) in promoted {
            let json = DriverEarning::TYPE.schema_json().replace(
                r#""double""#,
                &format!(r#"{{"type": "{number}", "logicalType": {logical}}}"#),
            );
            let own = samples::datum(&samples::driver_earning());
            let datum = [&own[..own.len() - 8], bytes].concat();
            let expected = DriverEarning { earnings_from_trip: -3.0, ..samples::driver_earning() };
            assert_eq!(WriterSchema::parse(ID, &json).decode(&datum), Ok(expected), "{json}");
        }
    }
}

#[test]
fn an_id_that_is_said_to_be_a_uuid_is_its_text() {
    let json = Trip::TYPE.schema_json().replace(
        r#"{"name": "trip_id", "type": "string""#,
        r#"{"name": "vehicle", "type": "int", "default": 7},
           {"name": "trip_id", "type": {"type": "string", "logicalType": "uuid"}"#,
    );
    let schema = WriterSchema::parse(ID, &json);
    for trip_id in ["550E8400-e29b-41d4-a716-446655440000", "trip 7", ""] {
        let trip = Trip { trip_id: trip_id.to_owned(), ..samples::trip() };
        let datum = [b"\x0e", &samples::datum(&trip)[..]].concat();
        assert_eq!(schema.decode(&datum), Ok(trip));
    }
}

#[test]
fn values_can_be_looked_at_as_they_were_written() {
    let tip = r#"{"name": "tip", "type": "int"}"#;
    let (schema, bytes) =
        written(&[(TRIP, text("t1")), (tip, Value::Int(3)), (EARNINGS, Value::Double(2.5))]);
    let json = schema.decode_json(&bytes).expect("well-formed");
    assert_eq!(json["tip"], 3);
    let bytes = samples::datum(&samples::unmatched());
    let schema = WriterSchema::parse(ID, UnmatchedTrip::TYPE.schema_json());
    let expected = serde_json::to_value(samples::unmatched()).expect("plain values");
    assert_eq!(schema.decode_json(&bytes), Ok(expected));
}

#[test]
fn numbers_that_json_has_no_form_for_are_looked_at_as_text() {
    let more = r#"{"name": "more", "type": {"type": "array", "items": ["null", "float"]}}"#;
    let cases = [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")];
    for (number, expected) in cases {
        let item = Value::Union(1, Value::Float(number as f32).into());
        let (schema, bytes) =
            written(&[(EARNINGS, Value::Double(number)), (more, Value::Array(vec![item]))]);
        let json = schema.decode_json(&bytes).expect("a valid double");
        assert_eq!(json["earnings_from_trip"], expected);
        assert_eq!(json["more"][0], expected);
    }
}
