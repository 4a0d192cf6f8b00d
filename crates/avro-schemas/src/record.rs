//! Which record has which schema, and the reader of each, built once.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use models::records;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most that one length prefix in a datum may ask for, in bytes.
///
/// Kafka's own limit for a record (`max.message.bytes`) is about the same by default. Without this, apache-avro
/// would set aside 512 MiB on the word of four bytes.
const MAX_ALLOCATION_BYTES: usize = 1024 * 1024;

/// The records that the pipeline writes, each with the schema of the same name in namespace `com.example`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// [`records::Trip`].
    Trip,
    /// [`records::DriverEarning`].
    DriverEarning,
    /// [`records::Rider`].
    Rider,
    /// [`records::JoinedStream`].
    JoinedStream,
    /// [`records::UnmatchedTrip`].
    UnmatchedTrip,
}

impl RecordType {
    /// All types, in the order in which they index arrays.
    pub const ALL: [RecordType; 5] = [
        RecordType::Trip,
        RecordType::DriverEarning,
        RecordType::Rider,
        RecordType::JoinedStream,
        RecordType::UnmatchedTrip,
    ];

    /// The schema as JSON, as it is registered.
    pub const fn schema_json(self) -> &'static str {
        match self {
            RecordType::Trip => include_str!("../../../schemas/Trip.avsc"),
            RecordType::DriverEarning => include_str!("../../../schemas/DriverEarning.avsc"),
            RecordType::Rider => include_str!("../../../schemas/Rider.avsc"),
            RecordType::JoinedStream => include_str!("../../../schemas/JoinedStream.avsc"),
            RecordType::UnmatchedTrip => include_str!("../../../schemas/UnmatchedTrip.avsc"),
        }
    }

    /// The full name of the schema: `com.example.Trip`.
    pub const fn full_name(self) -> &'static str {
        match self {
            RecordType::Trip => "com.example.Trip",
            RecordType::DriverEarning => "com.example.DriverEarning",
            RecordType::Rider => "com.example.Rider",
            RecordType::JoinedStream => "com.example.JoinedStream",
            RecordType::UnmatchedTrip => "com.example.UnmatchedTrip",
        }
    }

    /// The name of the schema without its namespace: `Trip`.
    pub(crate) fn name(self) -> &'static str {
        let full_name = self.full_name();
        full_name.rsplit_once('.').map_or(full_name, |(_, name)| name)
    }

    /// The type whose schema has the name `name` in our namespace. Schemas of other namespaces match, too: resolution
    /// asks that "both schemas are records with the same (unqualified) name".
    ///
    /// Source: <https://avro.apache.org/docs/1.12.0/specification/#schema-resolution>.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.name() == name)
    }

    /// The reader of this type, and what it is built from.
    pub(crate) fn codec(self) -> &'static Codec {
        &CODECS[self as usize]
    }
}

/// A record of [`models::records`] that has a schema.
pub trait Record: Serialize + DeserializeOwned + sealed::Sealed {
    /// Which one it is.
    const TYPE: RecordType;
}

mod sealed {
    /// Only the records of [`models::records`] have schemas.
    pub trait Sealed {}
}

macro_rules! records {
    ($($name:ident),*) => {$(
        impl sealed::Sealed for records::$name {}
        impl Record for records::$name {
            const TYPE: RecordType = RecordType::$name;
        }
    )*};
}
records!(Trip, DriverEarning, Rider, JoinedStream, UnmatchedTrip);

/// What decodes one record type. Building one costs far more than using it.
pub(crate) struct Codec {
    pub(crate) schema: &'static Schema,
    /// Two schemas with the same canonical form write the same bytes, whatever their own name is.
    pub(crate) nameless: String,
    pub(crate) reader: GenericDatumReader<'static>,
}

static SCHEMAS: LazyLock<[Schema; 5]> = LazyLock::new(|| {
    RecordType::ALL.map(|record| {
        Schema::parse_str(record.schema_json()).expect("schemas/*.avsc are valid Avro")
    })
});

static CODECS: LazyLock<[Codec; 5]> = LazyLock::new(|| {
    limit_allocations();
    RecordType::ALL.map(|record| {
        let schema = &SCHEMAS[record as usize];
        Codec {
            schema,
            nameless: nameless(schema),
            reader: GenericDatumReader::builder(schema).build().expect("a self-contained schema"),
        }
    })
});

/// The canonical form of `schema` behind its own name, which it begins with.
pub(crate) fn nameless(schema: &Schema) -> String {
    let canonical = schema.canonical_form();
    let name = schema.name().map(|name| format!(r#"{{"name":"{}""#, name.fullname(None)));
    match name.and_then(|name| canonical.strip_prefix(&name)) {
        Some(rest) => rest.to_owned(),
        None => canonical,
    }
}

/// Bounds what apache-avro sets aside; the first call in a process decides.
pub(crate) fn limit_allocations() {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_has_the_name_of_its_record() {
        for record in RecordType::ALL {
            let name = record.codec().schema.name().expect("a record has a name");
            assert_eq!(name.fullname(None), record.full_name());
            assert_eq!(name.name(), record.name());
            assert_eq!(RecordType::by_name(record.name()), Some(record));
        }
        assert_eq!(RecordType::by_name("Bus"), None);
    }

    #[test]
    fn no_length_prefix_sets_aside_more_than_the_limit() {
        LazyLock::force(&CODECS);
        assert_eq!(apache_avro::util::max_allocation_bytes(usize::MAX), MAX_ALLOCATION_BYTES);
    }
}
