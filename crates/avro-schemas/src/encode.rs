//! Records to framed bytes.

use std::fmt;
use std::marker::PhantomData;

use crate::datum::{self, NotInSchemas};
use crate::record::Record;
use crate::wire::SchemaId;

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the record as {schema}")]
pub struct EncodeError {
    /// Full name of the schema it was to be written with.
    schema: &'static str,
    source: NotInSchemas,
}

/// Writes records of one type with the schema id that the registry gave its schema.
pub struct Encoder<T> {
    id: SchemaId,
    record: PhantomData<fn(&T)>,
}

impl<T: Record> Encoder<T> {
    /// An encoder that marks its values with `id`, which must belong to the schema of `T`.
    pub fn new(id: SchemaId) -> Self {
        Self { id, record: PhantomData }
    }

    /// The id that the values are marked with.
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// Appends `record` to `out`, framed. A caller that clears and reuses `out` allocates nothing.
    ///
    /// ```
    /// use avro_schemas::{Encoder, SchemaId};
    /// use models::records::DriverEarning;
    ///
    /// let mut value = Vec::new();
    /// Encoder::new(SchemaId::new(7)).encode(&DriverEarning::default(), &mut value)?;
    /// assert_eq!(value[..5], [0, 0, 0, 0, 7]);
    /// # Ok::<(), avro_schemas::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the record doesn't fit its schema, which would be a mistake in this crate; `out` is
    /// then as it was.
    pub fn encode(&self, record: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        out.extend_from_slice(&self.id.header());
        datum::write(record, out).map_err(|source| {
            out.truncate(start);
            EncodeError { schema: T::TYPE.full_name(), source }
        })
    }
}

impl<T> Clone for Encoder<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Encoder<T> {}

impl<T> fmt::Debug for Encoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("id", &self.id).finish_non_exhaustive()
    }
}
