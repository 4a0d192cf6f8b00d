//! The records of `models` and the schemas of `schemas/` say the same, field by field.

mod samples;

use avro_schemas::{Record, RecordType};
use serde_json::Value;

/// Holds `record` against `schema`: the same names in the same order, and a value of the field's type in each.
fn agree(path: &str, schema: &Value, record: &Value) {
    match kind(schema) {
        "record" => {
            let fields = schema["fields"].as_array().expect("a record has fields");
            let names: Vec<_> =
                fields.iter().map(|f| f["name"].as_str().expect("a name")).collect();
            let object = record.as_object().unwrap_or_else(|| panic!("{path} is {record}"));
            assert_eq!(object.keys().collect::<Vec<_>>(), names, "fields of {path}");
            for (field, value) in fields.iter().zip(object.values()) {
                agree(&format!("{path}.{}", field["name"]), &field["type"], value);
            }
        }
        "union" => {
            let [null, other] = schema.as_array().expect("a union").as_slice() else {
                panic!("{path}: expected null and one other")
            };
            assert_eq!(null, "null", "{path}: null comes first, as the default is null");
            if !record.is_null() {
                agree(path, other, record);
            }
        }
        "array" => {
            for item in record.as_array().unwrap_or_else(|| panic!("{path} is {record}")) {
                agree(&format!("{path}[]"), &schema["items"], item);
            }
        }
        "string" => assert!(record.is_string(), "{path} is {record}"),
        "double" => assert!(record.is_f64(), "{path} is {record}"),
        "int" | "long" => assert!(record.is_i64(), "{path} is {record}"),
        other => panic!("{path}: nothing in models has the type {other}"),
    }
}

fn kind(schema: &Value) -> &str {
    match schema {
        Value::String(name) => name,
        Value::Array(_) => "union",
        other => other["type"].as_str().expect("a type"),
    }
}

fn check<T: Record>(record: &T) {
    let schema: Value = serde_json::from_str(T::TYPE.schema_json()).expect("JSON");
    assert_eq!(format!("com.example.{:?}", T::TYPE), T::TYPE.full_name());
    agree(T::TYPE.full_name(), &schema, &serde_json::to_value(record).expect("plain values"));
}

#[test]
fn models_and_schemas_agree_field_by_field() {
    check(&samples::trip());
    check(&samples::driver_earning());
    check(&samples::rider());
    check(&samples::joined());
    check(&samples::unmatched());
}

#[test]
fn nullable_fields_default_to_null_and_no_others_have_defaults() {
    fn walk(schema: &Value) {
        for field in schema["fields"].as_array().into_iter().flatten() {
            let nullable = field["type"].is_array();
            assert_eq!(field.get("default"), nullable.then_some(&Value::Null), "{field}");
            walk(&field["type"]);
            walk(&field["type"][1]);
        }
    }
    for record in RecordType::ALL {
        walk(&serde_json::from_str(record.schema_json()).expect("JSON"));
    }
}

/// The sides of an unmatched row are the input rows, so the schemas inlined there must not drift from theirs.
#[test]
fn the_sides_of_an_unmatched_trip_are_the_input_schemas() {
    let parse =
        |record: RecordType| -> Value { serde_json::from_str(record.schema_json()).expect("JSON") };
    let unmatched = parse(RecordType::UnmatchedTrip);
    for (position, side) in
        [(1, RecordType::Trip), (2, RecordType::DriverEarning), (3, RecordType::Rider)]
    {
        let inlined = &unmatched["fields"][position]["type"][1];
        let own = parse(side);
        assert_eq!((&inlined["name"], &inlined["fields"]), (&own["name"], &own["fields"]));
    }
}
