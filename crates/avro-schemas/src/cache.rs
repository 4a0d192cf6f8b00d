//! The schemas that were needed so far.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use models::Side;

use crate::decode::{DecodeError, WriterSchema};
use crate::record::{Record, RecordType};
use crate::registry::{RegistryClient, RegistryError};
use crate::row::EncodedRow;
use crate::wire::{SchemaId, frame};

/// How long a registry is believed that has no schema with an id. A schema that is registered later is found after
/// this time, and as many rows as there are meanwhile cost one request.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// How many ids are remembered that the registry has no schema with.
const MAX_MISSING: usize = 10_000;

/// Schemas by id. What was found is kept for good (an id never changes its meaning). That the registry has no such
/// schema is remembered for five seconds. What could not be asked for is asked for again the next time.
#[derive(Debug)]
pub struct SchemaCache {
    client: RegistryClient,
    known: RwLock<HashMap<SchemaId, Arc<WriterSchema>>>,
    /// When the registry has said that it has no schema with this id.
    missing: RwLock<HashMap<SchemaId, Instant>>,
    missing_for: Duration,
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
        let (known, missing) = (RwLock::default(), RwLock::default());
        Self { client, known, missing, missing_for: MISSING_FOR }
    }

    /// The same cache, which remembers for `missing_for` that the registry has no schema with an id.
    #[must_use]
    pub fn remembering_missing_for(self, missing_for: Duration) -> Self {
        Self { missing_for, ..self }
    }

    /// The client behind the cache.
    pub fn client(&self) -> &RegistryClient {
        &self.client
    }

    /// The schema with `id` if it was fetched before. Never waits for the network.
    pub fn get(&self, id: SchemaId) -> Option<Arc<WriterSchema>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Whether the registry has said a moment ago that it has no schema with `id`.
    pub fn is_missing(&self, id: SchemaId) -> bool {
        let missing = self.missing.read().unwrap_or_else(PoisonError::into_inner);
        missing.get(&id).is_some_and(|said| said.elapsed() < self.missing_for)
    }

    /// The schema with `id`, from the registry if need be.
    ///
    /// # Errors
    ///
    /// As [`RegistryClient::schema`]. That there is no such schema is remembered, see
    /// [`is_missing`](Self::is_missing); outages are not.
    pub async fn fetch(&self, id: SchemaId) -> Result<Arc<WriterSchema>, RegistryError> {
        if let Some(schema) = self.get(id) {
            return Ok(schema);
        }
        if self.is_missing(id) {
            return Err(RegistryError::UnknownId { id, url: self.client.url().to_owned() });
        }
        match self.client.schema(id).await {
            Ok(schema) => Ok(self.keep(schema)),
            Err(error) => {
                if matches!(error, RegistryError::UnknownId { .. }) {
                    self.note_missing(id);
                }
                Err(error)
            }
        }
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
            None => self.unknown(id),
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
            None => self.unknown(id),
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

    /// What a value comes to whose schema is not known.
    fn unknown<T>(&self, id: SchemaId) -> Result<Decoded<T>, DecodeError> {
        if self.is_missing(id) {
            Err(DecodeError::UnknownSchema { id })
        } else {
            Ok(Decoded::NeedsSchema(id))
        }
    }

    fn note_missing(&self, id: SchemaId) {
        let mut missing = self.missing.write().unwrap_or_else(PoisonError::into_inner);
        if missing.len() >= MAX_MISSING {
            missing.clear();
        }
        missing.insert(id, Instant::now());
    }

    fn keep(&self, schema: WriterSchema) -> Arc<WriterSchema> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(schema.id()).or_insert_with(|| Arc::new(schema)).clone()
    }
}
