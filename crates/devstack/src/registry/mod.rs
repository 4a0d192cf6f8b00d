//! The schema registry: Confluent's REST API for schemas in Avro.
//!
//! [`Catalog`] has the state and the rules, `http` decodes requests, and [`Registry`] between them answers only when
//! all changes are durable.

mod canonical;
mod catalog;
mod compatibility;
mod deletion;
mod entries;
mod error;
mod http;
mod level;
mod levels;
mod mode;
mod modes;
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

/// A catalog with a journal.
pub(crate) struct Registry {
    catalog: Mutex<Catalog>,
    journal: Arc<Journal>,
}

impl Registry {
    pub(crate) fn new(catalog: Catalog, journal: Arc<Journal>) -> Self {
        Self { catalog: Mutex::new(catalog), journal }
    }

    /// Asks the catalog, and returns the answer when all changes that it may reflect are durable. Otherwise a client
    /// could read an id that a crash loses, and later find another schema under it.
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
        // The catalog checks before it changes anything, so a panic leaves no partial change.
        let mut catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = question(&mut catalog);
        let changes = catalog.take_changes();
        let position =
            if changes.is_empty() { self.journal.position() } else { self.journal.submit(changes) };
        (answer, position)
    }
}
