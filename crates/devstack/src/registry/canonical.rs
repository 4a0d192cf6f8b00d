//! The canonical text of a schema. Two schemas are the same if their canonical texts are.
//!
//! Confluent's registry parses a schema with Avro's Java library and stores the output of `Schema.toString`. White
//! space, the order of known attributes and the form of names don't matter. Unlike in Avro's Parsing Canonical Form,
//! documentation, defaults and unknown attributes do.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The form of the canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As Java's `Schema.toString` writes it.
    Plain,
    /// As `?normalize=true` asks for: unknown attributes sorted, names with their namespaces.
    Normalized,
}

/// The parts of a schema that Avro defines. All others are attributes, which are copied.
const SCHEMA_RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];
const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Writes schemas in canonical form. Later schemas may use the names that earlier ones define.
#[derive(Debug)]
pub(crate) struct CanonicalWriter {
    form: Form,
    defined: HashSet<String>,
}

/// The canonical text of the last of `texts`, which may use the names that the others define.
pub(crate) fn last<'a>(
    form: Form,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<String, String> {
    let mut writer = CanonicalWriter::new(form);
    let mut written = String::new();
    for text in texts {
        let schema = serde_json::from_str(text).map_err(|error| error.to_string())?;
        written = writer.write(&schema)?;
    }
    Ok(written)
}

impl CanonicalWriter {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, defined: HashSet::new() }
    }

    /// The canonical text of `schema`. The errors are only those that apache-avro doesn't find.
    pub(crate) fn write(&mut self, schema: &Value) -> Result<String, String> {
        self.schema(schema, "").map(|schema| schema.to_string())
    }

    /// `space` is the namespace of names without one. Empty for none.
    fn schema(&mut self, schema: &Value, space: &str) -> Result<Value, String> {
        match schema {
            Value::String(name) => self.reference(name, space).map(Value::from),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, space));
                branches.collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Value::Object(parts) => self.object(parts, space),
            other => Err(format!("No type: {other}")),
        }
    }

    fn object(&mut self, parts: &Map<String, Value>, space: &str) -> Result<Value, String> {
        let kind = match parts.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // {"type": {"type": "string"}} is the inner schema.
            Some(inner) => return self.schema(inner, space),
            None => return Err(format!("No type: {}", Value::from(parts.clone()))),
        };
        let mut written = Map::new();
        match kind {
            "record" | "enum" | "fixed" => return self.named(kind, parts, space),
            "array" | "map" => {
                let part = if kind == "array" { "items" } else { "values" };
                written.insert("type".to_owned(), kind.into());
                let of = parts.get(part).ok_or_else(|| format!("{kind} without {part}"))?;
                written.insert(part.to_owned(), self.schema(of, space)?);
            }
            primitive if PRIMITIVES.contains(&primitive) => {
                written.insert("type".to_owned(), kind.into());
            }
            name => return self.reference(name, space).map(Value::from),
        }
        self.attributes(&mut written, parts, &SCHEMA_RESERVED);
        // A primitive type without attributes is written as its name alone.
        Ok(if written.len() == 1 { kind.into() } else { written.into() })
    }

    fn named(
        &mut self,
        kind: &str,
        parts: &Map<String, Value>,
        space: &str,
    ) -> Result<Value, String> {
        let name = parts.get("name").and_then(Value::as_str).ok_or("No name in schema")?;
        let own_space = parts.get("namespace").and_then(Value::as_str).unwrap_or(space);
        let full = full_name(name, own_space);
        let (own_space, short) = full.rsplit_once('.').unwrap_or(("", &full));
        if !self.defined.insert(full.clone()) {
            return Err(format!("Can't redefine: {full}"));
        }
        let mut written = Map::new();
        written.insert("type".to_owned(), kind.into());
        if self.form == Form::Normalized {
            written.insert("name".to_owned(), full.as_str().into());
        } else {
            written.insert("name".to_owned(), short.into());
            if own_space != space {
                written.insert("namespace".to_owned(), own_space.into());
            }
        }
        copy(parts, "doc", &mut written);
        match kind {
            "record" => {
                let fields = parts.get("fields").and_then(Value::as_array);
                let fields = fields.ok_or_else(|| format!("Record has no fields: {full}"))?;
                let fields = fields.iter().map(|field| self.field(field, own_space));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                written.insert("fields".to_owned(), fields.into());
            }
            "enum" => {
                copy(parts, "symbols", &mut written);
                copy(parts, "default", &mut written);
            }
            _ => copy(parts, "size", &mut written),
        }
        if kind == "enum" {
            let reserved: Vec<_> = SCHEMA_RESERVED.into_iter().chain(["default"]).collect();
            self.attributes(&mut written, parts, &reserved);
        } else {
            self.attributes(&mut written, parts, &SCHEMA_RESERVED);
        }
        if let Some(Value::Array(aliases)) = parts.get("aliases") {
            let aliases = aliases.iter().filter_map(Value::as_str);
            let aliases =
                aliases.map(|alias| self.relative(full_name(alias, own_space), own_space));
            written.insert("aliases".to_owned(), aliases.collect::<Vec<_>>().into());
        }
        Ok(written.into())
    }

    fn field(&mut self, field: &Value, space: &str) -> Result<Value, String> {
        let (Some(name), Some(kind)) = (field.get("name"), field.get("type")) else {
            return Err(format!("No field name or type: {field}"));
        };
        let parts = field.as_object().ok_or("a value with parts is an object")?;
        let mut written = Map::new();
        written.insert("name".to_owned(), name.clone());
        written.insert("type".to_owned(), self.schema(kind, space)?);
        copy(parts, "doc", &mut written);
        // Here null is a value.
        if let Some(default) = parts.get("default") {
            written.insert("default".to_owned(), default.clone());
        }
        if parts.get("order").is_some_and(|order| order != "ascending") {
            copy(parts, "order", &mut written);
        }
        copy(parts, "aliases", &mut written);
        self.attributes(&mut written, parts, &FIELD_RESERVED);
        Ok(written.into())
    }

    /// The name of a primitive type, or of an earlier definition. apache-avro would also accept aliases.
    fn reference(&self, name: &str, space: &str) -> Result<String, String> {
        if PRIMITIVES.contains(&name) {
            return Ok(name.to_owned());
        }
        let full = full_name(name, space);
        if !self.defined.contains(&full) {
            return Err(format!("Undefined name: \"{full}\""));
        }
        Ok(self.relative(full, space))
    }

    /// The written form of a full name inside the namespace `space`.
    fn relative(&self, full: String, space: &str) -> String {
        match full.rsplit_once('.') {
            Some((own, short)) if own == space && self.form == Form::Plain => short.to_owned(),
            _ => full,
        }
    }

    fn attributes(
        &self,
        written: &mut Map<String, Value>,
        parts: &Map<String, Value>,
        reserved: &[&str],
    ) {
        let mut attributes: Vec<_> =
            parts.iter().filter(|(key, _)| !reserved.contains(&key.as_str())).collect();
        if self.form == Form::Normalized {
            attributes.sort_by_key(|(key, _)| *key);
        }
        written.extend(attributes.into_iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}

fn full_name(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{space}.{name}")
    }
}

fn copy(parts: &Map<String, Value>, part: &str, written: &mut Map<String, Value>) {
    if let Some(value) = parts.get(part).filter(|value| !value.is_null()) {
        written.insert(part.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(form: Form, text: &str) -> Result<String, String> {
        CanonicalWriter::new(form).write(&serde_json::from_str(text).expect("the case is JSON"))
    }

    #[test]
    fn texts_are_written_as_avro_for_java_writes_them() {
        // Given, expected: the right sides are what `new Schema.Parser().parse(text).toString()` gives.
        let cases = [
            (r#" {"type" : "string"} "#, r#""string""#),
            (
                r#"{"avro.java.string":"String","type":"string"}"#,
                r#"{"type":"string","avro.java.string":"String"}"#,
            ),
            (r#"{"items":{"type":"int"},"type":"array"}"#, r#"{"type":"array","items":"int"}"#),
            (
                r#"{"name":"F","size":4,"type":"fixed","namespace":"a"}"#,
                r#"{"type":"fixed","name":"F","namespace":"a","size":4}"#,
            ),
            (
                r#"{"symbols":["A"],"default":"A","name":"a.b.E","type":"enum","namespace":"c"}"#,
                r#"{"type":"enum","name":"E","namespace":"a.b","symbols":["A"],"default":"A"}"#,
            ),
            (
                r#"{"fields":[{"type":["null","int"],"name":"f","default":null,"order":"ascending","doc":"d"}],
                    "name":"R","type":"record","doc":"x","x":1,"aliases":["n.Q","P"],"namespace":"n"}"#,
                r#"{"type":"record","name":"R","namespace":"n","doc":"x","fields":[{"name":"f","type":["null","int"],"doc":"d","default":null}],"x":1,"aliases":["Q","P"]}"#,
            ),
            (
                r#"{"type":"record","name":"n.R","fields":[
                    {"name":"a","type":{"type":"record","name":"S","fields":[{"name":"r","type":["null","n.R"]}]}},
                    {"name":"b","type":{"type":"record","name":"m.T","fields":[{"name":"s","type":"n.S"}]}},
                    {"name":"c","type":{"type":"n.S"}},
                    {"name":"d","type":{"type":"record","name":"U","namespace":"","fields":[]}}]}"#,
                r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"record","name":"S","fields":[{"name":"r","type":["null","R"]}]}},{"name":"b","type":{"type":"record","name":"T","namespace":"m","fields":[{"name":"s","type":"n.S"}]}},{"name":"c","type":"S"},{"name":"d","type":{"type":"record","name":"U","namespace":"","fields":[]}}]}"#,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(write(Form::Plain, text).as_deref(), Ok(expected), "{text}");
            assert_eq!(write(Form::Plain, expected).as_deref(), Ok(expected), "written again");
        }
    }

    #[test]
    fn normalizing_levels_the_order_of_attributes_and_the_way_to_write_names() {
        let one = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":["null","R"]}],"b":1,"a":2}"#;
        let other = r#"{"a":2,"type":"record","name":"n.R","b":1,"fields":[{"name":"f","type":["null","n.R"]}]}"#;
        assert_ne!(write(Form::Plain, one), write(Form::Plain, other));
        assert_eq!(write(Form::Normalized, one), write(Form::Normalized, other));
    }

    #[test]
    fn a_name_is_used_behind_its_definition_and_is_no_alias() {
        let with = |first: &str, second: &str| {
            let fields = format!(r#"{{"name":"a","type":{first}}},{{"name":"b","type":{second}}}"#);
            write(Form::Plain, &format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
        };
        let fixed = r#"{"type":"fixed","name":"F","aliases":["G"],"size":1}"#;
        assert!(with(fixed, r#""F""#).is_ok());
        assert_eq!(with(r#""F""#, fixed), Err("Undefined name: \"F\"".to_owned()));
        assert_eq!(with(fixed, r#""G""#), Err("Undefined name: \"G\"".to_owned()));
    }

    #[test]
    fn a_name_is_defined_once() {
        let twice = r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":{"type":"fixed","name":"F","size":1}},
            {"name":"b","type":{"type":"fixed","name":"F","size":2}}]}"#;
        assert_eq!(write(Form::Plain, twice), Err("Can't redefine: F".to_owned()));
    }
}
