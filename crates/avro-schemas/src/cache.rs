//! The schemas that were needed so far.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use models::Side;

use crate::decode::{DecodeError, WriterSchema};
use crate::record::{Record, RecordType};
use crate::registry::{RegistryClient, RegistryError};
use crate::row::EncodedRow;
use crate::wire::{SchemaId, frame};

/// Schemas by id. What was found is kept for good (an id never changes its meaning); what was not found, or
/// could not be asked for, is asked for again the next time.
#[derive(Debug)]
pub struct SchemaCache {
    client: RegistryClient,
    known: RwLock<HashMap<SchemaId, Arc<WriterSchema>>>,
}

/// What a value came to without asking the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<T> {
    /// The record.
    Record(T),
    /// The value's schema is not known yet: [`SchemaCache::fetch`] it, then decode again.
    NeedsSchema(SchemaId),
}

/// Why [`SchemaCache::decode_fetching`] has no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The row is at fault.
    #[error(transparent)]
    Row(#[from] DecodeError),
    /// The registry could not be asked: nothing is known about the row.
    #[error(transparent)]
    Outage(RegistryError),
}

impl SchemaCache {
    /// An empty cache in front of `client`.
    pub fn new(client: RegistryClient) -> Self {
        Self { client, known: RwLock::default() }
    }

    /// The client behind the cache.
    pub fn client(&self) -> &RegistryClient {
        &self.client
    }

    /// The schema with `id` if it was fetched before. Never waits for the network.
    pub fn get(&self, id: SchemaId) -> Option<Arc<WriterSchema>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The schema with `id`, from the registry if need be.
    ///
    /// # Errors
    ///
    /// As [`RegistryClient::schema`]; errors are not kept.
    pub async fn fetch(&self, id: SchemaId) -> Result<Arc<WriterSchema>, RegistryError> {
        if let Some(schema) = self.get(id) {
            return Ok(schema);
        }
        let schema = self.client.schema(id).await?;
        Ok(self.keep(schema))
    }

    /// Registers the schema of `record` under `subject`, and keeps it.
    ///
    /// # Errors
    ///
    /// As [`RegistryClient::register`].
    pub async fn register(
        &self,
        subject: &str,
        record: RecordType,
    ) -> Result<SchemaId, RegistryError> {
        let id = self.client.register(subject, record).await?;
        self.keep(WriterSchema::own(id, record));
        Ok(id)
    }

    /// Decodes a framed value with what is known. Never waits for the network.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the row is at fault.
    pub fn decode<T: Record>(&self, value: &[u8]) -> Result<Decoded<T>, DecodeError> {
        let (id, datum) = frame(value)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            Some(schema) => schema.decode(datum).map(Decoded::Record),
            None => Ok(Decoded::NeedsSchema(id)),
        }
    }

    /// Reads a framed value as a row of `side` with what is known. Never waits for the network.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the row is at fault.
    pub fn row<'v>(
        &self,
        side: Side,
        value: &'v [u8],
    ) -> Result<Decoded<EncodedRow<'v>>, DecodeError> {
        let (id, datum) = frame(value)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            Some(schema) => schema.row(side, datum).map(Decoded::Record),
            None => Ok(Decoded::NeedsSchema(id)),
        }
    }

    /// Decodes a framed value, asking the registry for its schema if need be.
    ///
    /// # Errors
    ///
    /// [`ReadError`], which keeps the row's faults apart from the registry's.
    pub async fn decode_fetching<T: Record>(&self, value: &[u8]) -> Result<T, ReadError> {
        let (id, datum) = frame(value).map_err(DecodeError::from)?;
        let schema = match self.fetch(id).await {
            Ok(schema) => schema,
            Err(RegistryError::UnknownId { id, .. }) => {
                return Err(DecodeError::UnknownSchema { id }.into());
            }
            Err(error) => return Err(ReadError::Outage(error)),
        };
        Ok(schema.decode(datum)?)
    }

    fn keep(&self, schema: WriterSchema) -> Arc<WriterSchema> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(schema.id()).or_insert_with(|| Arc::new(schema)).clone()
    }
}
