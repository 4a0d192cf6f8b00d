//! Schemas as JSON, before Avro reads them.

use apache_avro::{Error, Schema};
use serde_json::{Map, Value as Json};

/// Parses the Avro schema `json` without its logical types.
///
/// A logical type says what a program may make of a value. The value is written as its underlying type, and that is
/// what it is resolved by; so a text stays the text that it is, whether it is a UUID or not. This also keeps what the
/// specification asks for: a logical type that can't be applied is ignored. apache-avro would refuse to read the value.
///
/// Source: <https://avro.apache.org/docs/1.12.0/specification/#logical-types>.
pub(crate) fn parse(json: &str) -> Result<Schema, Error> {
    let Ok(mut schema) = serde_json::from_str(json) else {
        // It says what is wrong with the JSON.
        return Schema::parse_str(json);
    };
    remove_logical_types(&mut schema);
    Schema::parse(&schema)
}

/// Removes the logical types of `schema` and of the schemas within. What is no schema, such as a default, stays as it
/// is.
fn remove_logical_types(schema: &mut Json) {
    match schema {
        Json::Array(variants) => variants.iter_mut().for_each(remove_logical_types),
        Json::Object(schema) => {
            remove_attributes(schema);
            for within in ["type", "items", "values"] {
                schema.get_mut(within).into_iter().for_each(remove_logical_types);
            }
            let fields = schema.get_mut("fields").and_then(Json::as_array_mut);
            for field in fields.into_iter().flatten().filter_map(Json::as_object_mut) {
                remove_attributes(field);
                field.get_mut("type").into_iter().for_each(remove_logical_types);
            }
        }
        _ => {}
    }
}

/// Removes the attributes of logical types. apache-avro panics at numbers among them that are none.
fn remove_attributes(schema: &mut Map<String, Json>) {
    for attribute in ["logicalType", "precision", "scale"] {
        schema.remove(attribute);
    }
    if schema.get("type").is_none_or(|of| of != "fixed") {
        schema.remove("size");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn logical_types_are_removed_wherever_a_schema_can_be() {
        let uuid = || json!({"type": "string", "logicalType": "uuid", "scale": "x", "size": "x"});
        let mut schema = json!({
            "type": "record", "name": "R", "logicalType": "x",
            "fields": [
                {"name": "a", "type": uuid(), "default": {"logicalType": "stays"}},
                {"name": "b", "type": ["null", uuid()]},
                {"name": "c", "type": {"type": "array", "items": uuid()}},
                {"name": "d", "type": {"type": "map", "values": {"type": uuid()}}, "precision": ""},
                {"name": "e", "type": {"type": "fixed", "name": "F", "size": 2, "precision": -1}},
            ],
        });
        let text = || json!({"type": "string"});
        let expected = json!({
            "type": "record", "name": "R",
            "fields": [
                {"name": "a", "type": text(), "default": {"logicalType": "stays"}},
                {"name": "b", "type": ["null", text()]},
                {"name": "c", "type": {"type": "array", "items": text()}},
                {"name": "d", "type": {"type": "map", "values": {"type": text()}}},
                {"name": "e", "type": {"type": "fixed", "name": "F", "size": 2}},
            ],
        });
        remove_logical_types(&mut schema);
        assert_eq!(schema, expected);
    }
}
