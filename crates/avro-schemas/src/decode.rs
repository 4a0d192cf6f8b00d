//! Avro data to records, whichever version of the schema they were written with.

use std::error::Error as _;
use std::fmt;
use std::io::{self, Read};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

use crate::json;
use crate::record::{Record, RecordType, limit_allocations, nameless};
use crate::schema_json;
use crate::wire::{FrameError, SchemaId};

/// Why a value is not the record that was asked for. All of these are the row's own fault: asking again would
/// give the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value is not in Confluent's wire format.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The registry doesn't know the schema id that the value carries.
    #[error("unknown schema id {id}: the registry has no such schema")]
    UnknownSchema {
        /// The id in the value.
        id: SchemaId,
    },
    /// The schema that the id stands for can't be used.
    #[error("schema {id} is not a usable Avro schema: {why}")]
    InvalidSchema {
        /// The id in the value.
        id: SchemaId,
        /// What is wrong with it.
        why: String,
    },
    /// The value is another kind of record.
    #[error("wrong record type: schema {id} is {found}, expected {expected}")]
    WrongType {
        /// The id in the value.
        id: SchemaId,
        /// Full name of the schema that the value was written with.
        found: String,
        /// Full name of the schema that was asked for.
        expected: &'static str,
    },
    /// The value was written with a version of the schema that this value can't be resolved from.
    #[error("schema {id} can't be read as {expected}: field {field}: {why}")]
    Incompatible {
        /// The id in the value.
        id: SchemaId,
        /// Full name of the schema that was asked for.
        expected: &'static str,
        /// The first field of our schema that can't be had.
        field: String,
        /// Why not.
        why: String,
    },
    /// The value ends within the record.
    #[error("truncated: the value ends within the {expected} record")]
    Truncated {
        /// Full name of the schema of the record.
        expected: String,
    },
    /// The value goes on behind the record.
    #[error("{count} bytes left over behind the {expected} record")]
    TrailingBytes {
        /// Full name of the schema of the record.
        expected: String,
        /// Bytes behind the record.
        count: usize,
    },
    /// The bytes are not what the schema says: text that is not UTF-8, a union branch that doesn't exist ...
    #[error("malformed {expected} record: {why}")]
    Malformed {
        /// Full name of the schema of the record.
        expected: String,
        /// What is wrong.
        why: String,
    },
}

/// A schema that rows were written with, as the registry gave it, with all that can be known of it beforehand.
pub struct WriterSchema {
    id: SchemaId,
    plan: Plan,
}

/// How values written with a schema are read.
enum Plan {
    /// Writes the same bytes as our own schema of this type.
    Same(RecordType),
    /// Another version of our schema of this type: read generically, then resolved.
    Resolve { record: RecordType, foreign: Box<Foreign> },
    /// Some other Avro schema.
    Other { name: String, reader: Box<GenericDatumReader<'static>> },
    /// Nothing that Avro data can be read with.
    Unusable { why: String },
}

struct Foreign {
    /// Reads and resolves to our schema.
    resolving: GenericDatumReader<'static>,
    /// Reads as written.
    plain: GenericDatumReader<'static>,
}

impl WriterSchema {
    /// Takes over the Avro schema `json` that the registry knows as `id`. A schema that can't be used is taken
    /// over as well, and makes each [`decode`](Self::decode) fail: what an id stands for never changes.
    ///
    /// A schema that differs from ours is kept for the rest of the process, since its reader borrows it.
    /// Registries number their schemas, so there are at most as many as there were versions.
    pub fn parse(id: SchemaId, json: &str) -> Self {
        limit_allocations();
        let plan = match schema_json::parse(json) {
            Ok(schema) => {
                Plan::of(schema).unwrap_or_else(|error| Plan::Unusable { why: cause(&error) })
            }
            Err(error) => Plan::Unusable { why: cause(&error) },
        };
        Self { id, plan }
    }

    /// A schema that the registry knows as `id`, but that is not Avro, or needs what we don't have.
    pub(crate) fn unusable(id: SchemaId, why: impl Into<String>) -> Self {
        Self { id, plan: Plan::Unusable { why: why.into() } }
    }

    /// Our own schema of `record`, which the registry knows as `id`.
    pub fn own(id: SchemaId, record: RecordType) -> Self {
        Self { id, plan: Plan::Same(record) }
    }

    /// The id that the registry knows it by.
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The record type that it describes, in whichever version.
    pub fn record_type(&self) -> Option<RecordType> {
        match &self.plan {
            Plan::Same(record) | Plan::Resolve { record, .. } => Some(*record),
            Plan::Other { .. } | Plan::Unusable { .. } => None,
        }
    }

    /// Whether it writes the same bytes as our own schema of `record`.
    pub(crate) fn is_own(&self, record: RecordType) -> bool {
        matches!(&self.plan, Plan::Same(own) if *own == record)
    }

    /// Reads `datum`, all of it, as a `T`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], all variants but those about the frame and the registry.
    pub fn decode<T: Record>(&self, datum: &[u8]) -> Result<T, DecodeError> {
        match &self.plan {
            Plan::Same(record) if *record == T::TYPE => {
                let reader = &record.codec().reader;
                read(T::TYPE.full_name(), datum, |bytes| reader.read_deser(bytes))
            }
            Plan::Resolve { record, foreign } if *record == T::TYPE => {
                let expected = T::TYPE.full_name();
                match read(expected, datum, |bytes| foreign.resolving.read_value(bytes)) {
                    Ok(value) => {
                        apache_avro::from_value(&value).map_err(|error| malformed(expected, &error))
                    }
                    Err(DecodeError::Malformed { why, .. }) => {
                        Err(self.why_not(foreign, T::TYPE, datum, why))
                    }
                    Err(error) => Err(error),
                }
            }
            Plan::Same(other) | Plan::Resolve { record: other, .. } => {
                Err(self.wrong_type::<T>(other.full_name()))
            }
            Plan::Other { name, .. } => Err(self.wrong_type::<T>(name)),
            Plan::Unusable { why } => Err(self.invalid(why)),
        }
    }

    /// Reads `datum`, all of it, as it was written, for people to look at. A number that JSON has no form for is a
    /// text: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], all variants but those about the frame, the registry and the expected type.
    pub fn decode_json(&self, datum: &[u8]) -> Result<serde_json::Value, DecodeError> {
        let (name, reader) = match &self.plan {
            Plan::Same(record) => (record.full_name(), &record.codec().reader),
            Plan::Resolve { record, foreign } => (record.full_name(), &foreign.plain),
            Plan::Other { name, reader } => (name.as_str(), &**reader),
            Plan::Unusable { why } => return Err(self.invalid(why)),
        };
        let value = read(name, datum, |bytes| reader.read_value(bytes))?;
        json::of(value).map_err(|error| malformed(name, &error))
    }

    /// Tells a value that is broken from one that our schema has no use for, and finds the field.
    fn why_not(
        &self,
        foreign: &Foreign,
        record: RecordType,
        datum: &[u8],
        why: String,
    ) -> DecodeError {
        let expected = record.full_name();
        let written = match read(expected, datum, |bytes| foreign.plain.read_value(bytes)) {
            Ok(Value::Record(fields)) => fields,
            Ok(_) => return DecodeError::Malformed { expected: expected.to_owned(), why },
            Err(error) => return error,
        };
        let Schema::Record(ours) = record.codec().schema else {
            unreachable!("our schemas are records")
        };
        let (field, why) = ours
            .fields
            .iter()
            .find_map(|field| {
                match written.iter().find(|(name, _)| *name == field.name) {
                    Some((_, value)) => {
                        value.clone().resolve(&field.schema).err().map(|e| cause(&e))
                    }
                    None if field.default.is_none() => {
                        Some("it wasn't written and has no default".to_owned())
                    }
                    None => None,
                }
                .map(|why| (field.name.clone(), why))
            })
            .unwrap_or_else(|| ("(unknown)".to_owned(), why));
        DecodeError::Incompatible { id: self.id, expected, field, why }
    }

    fn wrong_type<T: Record>(&self, found: &str) -> DecodeError {
        DecodeError::WrongType {
            id: self.id,
            found: found.to_owned(),
            expected: T::TYPE.full_name(),
        }
    }

    fn invalid(&self, why: &str) -> DecodeError {
        DecodeError::InvalidSchema { id: self.id, why: why.to_owned() }
    }
}

impl fmt::Debug for WriterSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = match &self.plan {
            Plan::Same(record) => record.full_name().to_owned(),
            Plan::Resolve { record, .. } => format!("another version of {}", record.full_name()),
            Plan::Other { name, .. } => name.clone(),
            Plan::Unusable { why } => format!("unusable: {why}"),
        };
        f.debug_struct("WriterSchema").field("id", &self.id).field("schema", &plan).finish()
    }
}

impl Plan {
    fn of(schema: Schema) -> Result<Self, apache_avro::Error> {
        let Some(name) = schema.name().map(|name| name.fullname(None)) else {
            let name = schema.canonical_form();
            return Ok(Plan::Other { name, reader: Box::new(plain_reader(keep(schema))?) });
        };
        let record = match &schema {
            Schema::Record(own) => RecordType::by_name(own.name.name()),
            _ => None,
        };
        let Some(record) = record else {
            return Ok(Plan::Other { name, reader: Box::new(plain_reader(keep(schema))?) });
        };
        let codec = record.codec();
        if nameless(&schema) == codec.nameless {
            return Ok(Plan::Same(record));
        }
        let schema = keep(schema);
        let resolving = GenericDatumReader::builder(schema).reader_schema(codec.schema).build()?;
        let foreign = Box::new(Foreign { resolving, plain: plain_reader(schema)? });
        Ok(Plan::Resolve { record, foreign })
    }
}

fn keep(schema: Schema) -> &'static Schema {
    Box::leak(Box::new(schema))
}

fn plain_reader(
    schema: &'static Schema,
) -> Result<GenericDatumReader<'static>, apache_avro::Error> {
    GenericDatumReader::builder(schema).build()
}

/// Bytes to read from, and whether somebody wanted more than there were.
///
/// apache-avro takes the end of its input for null in several places (strings, unions, booleans) when it reads
/// a `Value`; so the end is noticed here.
struct Datum<'a> {
    rest: &'a [u8],
    ran_out: bool,
}

impl Read for Datum<'_> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.rest.read(out)?;
        self.ran_out |= count == 0 && !out.is_empty();
        Ok(count)
    }

    #[inline]
    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        let result = self.rest.read_exact(out);
        self.ran_out |= result.is_err();
        result
    }
}

/// Runs `with` over the whole of `datum`.
fn read<R>(
    expected: &str,
    datum: &[u8],
    with: impl FnOnce(&mut Datum<'_>) -> Result<R, apache_avro::Error>,
) -> Result<R, DecodeError> {
    let mut bytes = Datum { rest: datum, ran_out: false };
    let result = with(&mut bytes);
    if bytes.ran_out {
        return Err(DecodeError::Truncated { expected: expected.to_owned() });
    }
    let value = result.map_err(|error| malformed(expected, &error))?;
    match bytes.rest.len() {
        0 => Ok(value),
        count => Err(DecodeError::TrailingBytes { expected: expected.to_owned(), count }),
    }
}

fn malformed(expected: &str, error: &apache_avro::Error) -> DecodeError {
    DecodeError::Malformed { expected: expected.to_owned(), why: cause(error) }
}

/// The error with its causes, on one line.
fn cause(error: &apache_avro::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}
