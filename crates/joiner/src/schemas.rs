//! The schemas of the rows that come in, for a thread that must not wait for the registry.

use std::collections::HashMap;
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
    asked: Arc<Mutex<HashMap<SchemaId, Asked>>>,
    runtime: Handle,
    ctx: Context,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    UnderWay,
    Missing,
}

/// What is known now of a schema that was unknown when its row came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaLookup {
    /// The registry is being asked.
    Pending,
    /// The schema is known. The row can be decoded.
    Known,
    /// The registry has answered that there is no such schema.
    Missing,
}

/// Pause before a registry that doesn't answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

impl Schemas {
    pub(crate) fn new(cache: Arc<SchemaCache>, runtime: Handle, ctx: Context) -> Self {
        Self { cache, asked: Arc::default(), runtime, ctx }
    }

    /// Decodes a row of `side`, if its schema is known.
    pub(crate) fn row<'v>(
        &self,
        side: Side,
        value: &'v [u8],
    ) -> Result<Decoded<EncodedRow<'v>>, DecodeError> {
        self.cache.row(side, value)
    }

    /// What is known of the schema `id`. The first call asks the registry. "Missing" is answered once, and the next
    /// row with that id asks again.
    pub(crate) fn look_up(&self, id: SchemaId) -> SchemaLookup {
        if self.cache.get(id).is_some() {
            return SchemaLookup::Known;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.get(&id) {
            Some(Asked::Missing) => {
                asked.remove(&id);
                SchemaLookup::Missing
            }
            Some(Asked::UnderWay) => SchemaLookup::Pending,
            None => {
                asked.insert(id, Asked::UnderWay);
                self.runtime.spawn(self.clone().fetch(id));
                SchemaLookup::Pending
            }
        }
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
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if found {
            asked.remove(&id);
        } else {
            asked.insert(id, Asked::Missing);
        }
    }
}
