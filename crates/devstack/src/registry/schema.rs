//! A parsed Avro schema with its canonical text and its references.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};
use serde_json::{Value, json};

use super::canonical::{CanonicalWriter, Form};

/// A schema and all schemas that it refers to.
#[derive(Debug)]
pub(crate) struct AvroSchema {
    text: String,
    /// A record with one field for each referenced schema and a last field for the schema itself. This way apache-avro
    /// parses them in order, and later ones can use the names of earlier ones, like in Java's parser.
    holder: RecordSchema,
}

/// Definitions of the named types of a schema.
pub(crate) type Definitions<'a> = HashMap<&'a Name, &'a Schema>;

impl AvroSchema {
    /// Parses `text`, which may use the names that `references` define. Each of those may use the names of earlier
    /// ones. The error is a text for people.
    pub(crate) fn parse(text: &str, references: &[&str], form: Form) -> Result<Self, String> {
        let mut writer = CanonicalWriter::new(form);
        let mut fields = Vec::with_capacity(references.len() + 1);
        let mut written = String::new();
        for text in references.iter().chain([&text]) {
            let schema: Value = serde_json::from_str(text).map_err(|error| format!("{error}"))?;
            written = writer.write(&schema)?;
            fields.push(json!({ "name": format!("schema{}", fields.len()), "type": schema }));
        }
        let holder = json!({ "type": "record", "name": "SchemaAndReferences", "fields": fields });
        match Schema::parse(&holder).map_err(|error| error.to_string())? {
            Schema::Record(holder) => Ok(Self { text: written, holder }),
            other => unreachable!("a record was parsed as {other:?}"),
        }
    }

    /// The canonical text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The schema itself.
    pub(crate) fn root(&self) -> &Schema {
        &self.holder.fields.last().expect("the last field is the schema itself").schema
    }

    /// The definitions behind the `Schema::Ref`s in the schema.
    pub(crate) fn definitions(&self) -> Definitions<'_> {
        let mut definitions = Definitions::new();
        for field in &self.holder.fields {
            collect(&field.schema, &mut definitions);
        }
        definitions
    }
}

fn collect<'a>(schema: &'a Schema, definitions: &mut Definitions<'a>) {
    if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
        definitions.insert(name, schema);
    }
    match schema {
        Schema::Record(record) => {
            for field in &record.fields {
                collect(&field.schema, definitions);
            }
        }
        Schema::Array(array) => collect(&array.items, definitions),
        Schema::Map(map) => collect(&map.types, definitions),
        Schema::Union(union) => {
            for branch in union.variants() {
                collect(branch, definitions);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_avro_does_not_take_is_refused_in_words() {
        let cases = [
            ("{", "EOF while parsing"),
            ("5", "No type: 5"),
            (r#""text""#, "text"),
            (r#"{"type":"record","name":"R"}"#, "no fields"),
            (r#"{"type":"record","fields":[]}"#, "No name"),
            (r#"{"type":"record","name":"R","fields":[5]}"#, "No field name or type: 5"),
            (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, "No field name or type"),
            (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"Q"}]}"#, "Q"),
            (
                r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
                "default",
            ),
            (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "A"),
            (r#"{"type":"record","name":"no-name","fields":[]}"#, "no-name"),
            (r#"["int",["null"]]"#, "nion"),
        ];
        for (text, expected) in cases {
            let error = AvroSchema::parse(text, &[], Form::Plain).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn names_of_referenced_schemas_are_known_in_their_order() {
        let point =
            r#"{"type":"record","name":"geo.Point","fields":[{"name":"x","type":"double"}]}"#;
        let line = r#"{"type":"record","name":"Line","namespace":"geo","fields":[{"name":"from","type":"Point"}]}"#;
        let map = r#"{"type":"map","values":["geo.Point","geo.Line"]}"#;
        let schema = AvroSchema::parse(map, &[point, line], Form::Plain).expect("a schema");
        assert_eq!(schema.text(), map);
        let mut names: Vec<_> =
            schema.definitions().into_keys().map(|name| name.fullname(None)).collect();
        names.sort();
        assert_eq!(names, ["geo.Line", "geo.Point"]);
        assert!(
            AvroSchema::parse(map, &[line, point], Form::Plain).is_err(),
            "Point comes too late"
        );
        assert!(AvroSchema::parse(map, &[], Form::Plain).is_err());
    }
}
