//! The schemas of the rows that come in, for a thread that must not wait for the registry.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use avro_schemas::{DecodeError, Decoded, EncodedRow, RegistryError, SchemaCache, SchemaId};
use models::Side;
use service::Context;
use tokio::runtime::Handle;
use tracing::{info, warn};

/// Decodes rows whose schema is known, and fetches other schemas in the background.
#[derive(Clone)]
pub(crate) struct Schemas {
    cache: Arc<SchemaCache>,
    /// The ids that the registry is being asked for.
    asked: Arc<Mutex<HashSet<SchemaId>>>,
    runtime: Handle,
    ctx: Context,
}

/// What is known now of a schema that was unknown when its row came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaLookup {
    /// The registry is being asked.
    Pending,
    /// The registry has answered. The row can be decoded, or rejected if there is no such schema.
    Answered,
}

/// Pause before a registry that doesn't answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

impl Schemas {
    pub(crate) fn new(cache: Arc<SchemaCache>, runtime: Handle, ctx: Context) -> Self {
        Self { cache, asked: Arc::default(), runtime, ctx }
    }

    /// Decodes a row of `side`, if its schema is known. A row whose schema the registry did not have a moment ago is at
    /// fault.
    pub(crate) fn row<'v>(
        &self,
        side: Side,
        value: &'v [u8],
    ) -> Result<Decoded<EncodedRow<'v>>, DecodeError> {
        self.cache.row(side, value)
    }

    /// What is known of the schema `id`. The first call asks the registry. That there is no such schema is remembered
    /// for some seconds, as long as [`SchemaCache`] does. Then the next row with that id asks again.
    pub(crate) fn look_up(&self, id: SchemaId) -> SchemaLookup {
        if self.cache.get(id).is_some() || self.cache.is_missing(id) {
            return SchemaLookup::Answered;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.insert(id) {
            self.runtime.spawn(self.clone().fetch(id));
        }
        SchemaLookup::Pending
    }

    async fn fetch(self, id: SchemaId) {
        let mut warned = false;
        let found = loop {
            match self.cache.fetch(id).await {
                Ok(_) => break true,
                Err(RegistryError::UnknownId { .. }) => break false,
                Err(error) => {
                    self.ctx.health.set("registry", Err(error.to_string()));
                    if !warned {
                        warn!(schema = %id, %error, "rows wait for their schema");
                        warned = true;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.ctx.shutdown.wait() => return,
            }
        };
        if warned {
            info!(schema = %id, found, "the registry has answered; the rows go on");
            self.ctx.health.set("registry", Ok(()));
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
