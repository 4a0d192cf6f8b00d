//! Whether data of one schema can be read with another: Avro's rules for schema resolution.
//!
//! apache-avro's [`SchemaCompatibility`] decides on the primitive types. Records, unions and names are handled here
//! like in Avro's Java library (its class `SchemaCompatibility`), which Confluent's registry uses: apache-avro 0.22
//! does not resolve `Schema::Ref`, ignores aliases of named types, compares logical types where Avro compares their
//! base types, and stops at the first difference without its path.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{
    DecimalSchema, EnumSchema, FixedSchema, InnerDecimalSchema, RecordSchema, UuidSchema,
};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

use super::schema::{AvroSchema, Definitions};

/// The largest number of reported differences. A type that is used many times could multiply them.
const MAX_DIFFERENCES: usize = 50;
/// The largest depth of nested schemas, including those behind names. Each takes space on the stack.
const MAX_DEPTH: usize = 200;

/// Something in the writer's schema that the reader's can't read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: DifferenceKind,
    /// The path in the reader's schema as a JSON Pointer, or in the writer's for a branch of its union.
    pub(crate) path: String,
    /// The details, with the text of the Java library.
    pub(crate) about: String,
}

/// The names are those of `SchemaIncompatibilityType` in Avro's Java library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DifferenceKind {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
}

/// The differences that keep `reader` from reading all data of `writer`. Empty if it can.
pub(crate) fn differences(reader: &AvroSchema, writer: &AvroSchema) -> Vec<Difference> {
    let mut comparison = Comparison {
        reader: reader.definitions(),
        writer: writer.definitions(),
        known: HashMap::new(),
        path: Vec::new(),
        depth: 0,
    };
    comparison.compare(reader.root(), writer.root())
}

struct Comparison<'a> {
    reader: Definitions<'a>,
    writer: Definitions<'a>,
    /// The results for pairs of records, by address. Those that are being compared, which are recursive, have none yet.
    known: HashMap<(*const RecordSchema, *const RecordSchema), Vec<Difference>>,
    path: Vec<String>,
    depth: usize,
}

/// A schema with names resolved and logical types replaced by their base types.
enum Plain<'a> {
    Primitive(Schema),
    Array(&'a Schema),
    Map(&'a Schema),
    Union(&'a [Schema]),
    Record(&'a RecordSchema),
    Enum(&'a EnumSchema),
    Fixed(&'a FixedSchema),
}

/// Resolves a name.
fn defined<'a>(schema: &'a Schema, definitions: &Definitions<'a>) -> &'a Schema {
    match schema {
        Schema::Ref { name } => {
            definitions.get(name).expect("a parsed schema defines what it names")
        }
        other => other,
    }
}

impl<'a> Plain<'a> {
    fn of(schema: &'a Schema, definitions: &Definitions<'a>) -> Self {
        match schema {
            Schema::Ref { .. } => Self::of(defined(schema, definitions), definitions),
            Schema::Record(record) => Self::Record(record),
            Schema::Enum(symbols) => Self::Enum(symbols),
            Schema::Array(array) => Self::Array(&array.items),
            Schema::Map(map) => Self::Map(&map.types),
            Schema::Union(union) => Self::Union(union.variants()),
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed))
            | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => {
                Self::Fixed(fixed)
            }
            Schema::Uuid(UuidSchema::String) => Self::Primitive(Schema::String),
            Schema::Uuid(UuidSchema::Bytes)
            | Schema::BigDecimal
            | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }) => {
                Self::Primitive(Schema::Bytes)
            }
            Schema::Date | Schema::TimeMillis => Self::Primitive(Schema::Int),
            Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Self::Primitive(Schema::Long),
            Schema::Null
            | Schema::Boolean
            | Schema::Int
            | Schema::Long
            | Schema::Float
            | Schema::Double
            | Schema::Bytes
            | Schema::String => Self::Primitive(schema.clone()),
        }
    }

    /// As in Java's `Schema.Type`.
    fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "ARRAY",
            Self::Map(_) => "MAP",
            Self::Union(_) => "UNION",
            Self::Record(_) => "RECORD",
            Self::Enum(_) => "ENUM",
            Self::Fixed(_) => "FIXED",
            Self::Primitive(Schema::Null) => "NULL",
            Self::Primitive(Schema::Boolean) => "BOOLEAN",
            Self::Primitive(Schema::Int) => "INT",
            Self::Primitive(Schema::Long) => "LONG",
            Self::Primitive(Schema::Float) => "FLOAT",
            Self::Primitive(Schema::Double) => "DOUBLE",
            Self::Primitive(Schema::Bytes) => "BYTES",
            Self::Primitive(_) => "STRING",
        }
    }
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, reader: &'a Schema, writer: &'a Schema) -> Vec<Difference> {
        if self.depth == MAX_DEPTH {
            let about = format!("schemas lie more than {MAX_DEPTH} deep within each other");
            return vec![self.difference(DifferenceKind::TypeMismatch, about)];
        }
        self.depth += 1;
        let mut found = self.compare_plain(reader, writer);
        self.depth -= 1;
        found.truncate(MAX_DIFFERENCES);
        found
    }

    fn compare_plain(&mut self, reader: &'a Schema, writer: &'a Schema) -> Vec<Difference> {
        let plain_reader = Plain::of(reader, &self.reader);
        let plain_writer = Plain::of(writer, &self.writer);
        match (&plain_reader, &plain_writer) {
            (Plain::Primitive(of_reader), Plain::Primitive(of_writer))
                if SchemaCompatibility::can_read(of_writer, of_reader)
                    == Ok(Compatibility::Full) =>
            {
                Vec::new()
            }
            (Plain::Array(of_reader), Plain::Array(of_writer)) => {
                self.within("items", |this| this.compare(of_reader, of_writer))
            }
            (Plain::Map(of_reader), Plain::Map(of_writer)) => {
                self.within("values", |this| this.compare(of_reader, of_writer))
            }
            (Plain::Fixed(of_reader), Plain::Fixed(of_writer)) => {
                let mut found = Vec::from_iter(self.names(reader, writer));
                if of_reader.size != of_writer.size {
                    let about = format!("expected: {}, found: {}", of_writer.size, of_reader.size);
                    found.push(self.difference_at(
                        DifferenceKind::FixedSizeMismatch,
                        "size",
                        about,
                    ));
                }
                found
            }
            (Plain::Enum(of_reader), Plain::Enum(of_writer)) => {
                let mut found = Vec::from_iter(self.names(reader, writer));
                found.extend(self.symbols(of_reader, of_writer));
                found
            }
            (Plain::Record(of_reader), Plain::Record(of_writer)) => {
                let pair = (std::ptr::from_ref(*of_reader), std::ptr::from_ref(*of_writer));
                if let Some(known) = self.known.get(&pair) {
                    return known.clone();
                }
                self.known.insert(pair, Vec::new());
                let mut found = Vec::from_iter(self.names(reader, writer));
                found.extend(self.fields(of_reader, of_writer));
                found.truncate(MAX_DIFFERENCES);
                self.known.insert(pair, found.clone());
                found
            }
            (_, Plain::Union(branches)) => self.writer_union(reader, branches),
            (Plain::Union(branches), _) => {
                if branches.iter().any(|branch| self.compare(branch, writer).is_empty()) {
                    return Vec::new();
                }
                let about =
                    format!("reader union lacking writer type: {}", plain_writer.type_name());
                vec![self.difference(DifferenceKind::MissingUnionBranch, about)]
            }
            _ => {
                let about = format!(
                    "reader type: {} not compatible with writer type: {}",
                    plain_reader.type_name(),
                    plain_writer.type_name()
                );
                vec![self.difference(DifferenceKind::TypeMismatch, about)]
            }
        }
    }

    /// The reader must be able to read whichever branch was written.
    fn writer_union(&mut self, reader: &'a Schema, branches: &'a [Schema]) -> Vec<Difference> {
        let to_union = matches!(Plain::of(reader, &self.reader), Plain::Union(_));
        let mut found = Vec::new();
        for (position, branch) in branches.iter().enumerate() {
            self.path.push(position.to_string());
            let of_branch = self.compare(reader, branch);
            if to_union && !of_branch.is_empty() {
                let kind = Plain::of(branch, &self.writer).type_name();
                let about = format!("reader union lacking writer type: {kind}");
                found.push(self.difference(DifferenceKind::MissingUnionBranch, about));
            } else {
                found.extend(of_branch);
            }
            self.path.pop();
        }
        found
    }

    /// Names are compared without namespaces; the reader's aliases with them.
    fn names(&self, reader: &'a Schema, writer: &'a Schema) -> Option<Difference> {
        let (of_reader, of_writer) = (defined(reader, &self.reader), defined(writer, &self.writer));
        let (reader_name, writer_name) = (of_reader.name()?, of_writer.name()?);
        let expected = writer_name.fullname(None);
        let aliased = || {
            of_reader.aliases().into_iter().flatten().any(|alias| alias.fullname(None) == expected)
        };
        if reader_name.name() == writer_name.name() || aliased() {
            return None;
        }
        let about = format!("expected: {expected}");
        Some(self.difference_at(DifferenceKind::NameMismatch, "name", about))
    }

    /// Symbols that the reader does not know are read as its default, if it has one.
    fn symbols(&self, reader: &EnumSchema, writer: &EnumSchema) -> Option<Difference> {
        let mut missing: Vec<_> =
            writer.symbols.iter().filter(|symbol| !reader.symbols.contains(symbol)).collect();
        if missing.is_empty() || reader.default.is_some() {
            return None;
        }
        missing.sort();
        let missing: Vec<_> = missing.into_iter().map(String::as_str).collect();
        let about = format!("[{}]", missing.join(", "));
        Some(self.difference_at(DifferenceKind::MissingEnumSymbols, "symbols", about))
    }

    fn fields(&mut self, reader: &'a RecordSchema, writer: &'a RecordSchema) -> Vec<Difference> {
        let written: HashMap<_, _> =
            writer.fields.iter().map(|field| (field.name.as_str(), &field.schema)).collect();
        let mut found = Vec::new();
        for (position, field) in reader.fields.iter().enumerate() {
            let mut names = std::iter::once(&field.name).chain(&field.aliases);
            let schema = names.find_map(|name| written.get(name.as_str()));
            self.path.push(format!("fields/{position}"));
            if let Some(schema) = schema {
                found.extend(self.within("type", |this| this.compare(&field.schema, schema)));
            } else if field.default.is_none() {
                let missing = DifferenceKind::ReaderFieldMissingDefaultValue;
                found.push(self.difference(missing, field.name.clone()));
            }
            self.path.pop();
        }
        found
    }

    fn within<T>(&mut self, part: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part.to_owned());
        let result = compare(self);
        self.path.pop();
        result
    }

    fn difference(&self, kind: DifferenceKind, about: String) -> Difference {
        Difference { kind, path: format!("/{}", self.path.join("/")), about }
    }

    fn difference_at(&self, kind: DifferenceKind, part: &str, about: String) -> Difference {
        let path = [self.path.as_slice(), &[part.to_owned()]].concat().join("/");
        Difference { kind, path: format!("/{path}"), about }
    }
}
