//! Values of rows, on a thread that may block.

use avro_schemas::{
    DecodeError, Record, RegistryError, SchemaCache, SchemaId, WriterSchema, frame,
};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Decodes values, asking the registry for the schemas that are not known yet.
pub struct Values {
    cache: SchemaCache,
    runtime: Handle,
}

/// A value that can't be read: the row's own fault, or nobody knows because the registry doesn't answer.
#[derive(Debug)]
pub enum ValueError {
    /// The row is at fault.
    Row(DecodeError),
    /// The registry could not be asked.
    Outage(RegistryError),
}

impl Values {
    /// Decodes with the schemas of `cache`, which asks the registry on `runtime`.
    pub fn new(cache: SchemaCache, runtime: Handle) -> Self {
        Self { cache, runtime }
    }

    /// The value as a `T`.
    ///
    /// # Errors
    ///
    /// [`ValueError`].
    pub fn read<T: Record>(&self, value: &[u8]) -> Result<T, ValueError> {
        let (schema, datum) = self.schema(value)?;
        schema.decode(datum).map_err(ValueError::Row)
    }

    /// The value as it was written, whatever it is.
    ///
    /// # Errors
    ///
    /// [`ValueError`].
    pub fn read_json(&self, value: &[u8]) -> Result<serde_json::Value, ValueError> {
        let (schema, datum) = self.schema(value)?;
        schema.decode_json(datum).map_err(ValueError::Row)
    }

    fn schema<'v>(&self, value: &'v [u8]) -> Result<(Arc<WriterSchema>, &'v [u8]), ValueError> {
        let (id, datum) = frame(value).map_err(|error| ValueError::Row(error.into()))?;
        Ok((self.fetch(id)?, datum))
    }

    fn fetch(&self, id: SchemaId) -> Result<Arc<WriterSchema>, ValueError> {
        if let Some(schema) = self.cache.get(id) {
            return Ok(schema);
        }
        self.runtime.block_on(self.cache.fetch(id)).map_err(|error| match error {
            RegistryError::UnknownId { id, .. } => {
                ValueError::Row(DecodeError::UnknownSchema { id })
            }
            outage => ValueError::Outage(outage),
        })
    }
}
