//! The schema registry: Confluent's REST API for schemas in Avro.
//!
//! [`Catalog`] holds the state and decides, `http` turns requests into questions to it, and [`Registry`] between them
//! sees to it that nothing is answered before it is durable.

mod canonical;
mod catalog;
mod compatibility;
mod deletion;
mod entries;
mod error;
mod http;
mod level;
mod levels;
mod resolution;
mod schema;
mod subject;
mod submission;
mod version_id;

use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;

pub(crate) use catalog::Catalog;
use error::RegistryError;
pub(crate) use http::server;

use crate::journal::{Journal, JournalPosition};

/// A catalog whose changes are durable before anyone hears of them.
pub(crate) struct Registry {
    catalog: Mutex<Catalog>,
    journal: Arc<Journal>,
}

impl Registry {
    pub(crate) fn new(catalog: Catalog, journal: Arc<Journal>) -> Self {
        Self { catalog: Mutex::new(catalog), journal }
    }

    /// Asks the catalog, and gives its answer as soon as everything that the answer may tell of is durable: a client
    /// that read an id which is then lost in a crash would find another schema under it later.
    async fn ask<T>(
        &self,
        question: impl FnOnce(&mut Catalog) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let (answer, position) = self.decide(question);
        self.journal.durable(position).await.map_err(|error| {
            error!(%error, "a change of the schema registry could not be stored");
            RegistryError::Store
        })?;
        answer
    }

    fn decide<T>(
        &self,
        question: impl FnOnce(&mut Catalog) -> Result<T, RegistryError>,
    ) -> (Result<T, RegistryError>, JournalPosition) {
        // The catalog checks first and changes then, so a panic on odd input leaves nothing half done.
        let mut catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = question(&mut catalog);
        let changes = catalog.take_changes();
        let position =
            if changes.is_empty() { self.journal.position() } else { self.journal.submit(changes) };
        (answer, position)
    }
}
