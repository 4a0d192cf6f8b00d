//! What can go wrong between us and the registry.

use std::error::Error;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

use crate::wire::SchemaId;

/// A request that the registry did not fulfil. Says what was asked, where, and what came back; no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The configuration can't be used.
    #[error("[registry] {key}: {why}")]
    Config {
        /// The key within the section.
        key: &'static str,
        /// What is wrong with its value.
        why: String,
    },
    /// No usable answer, after all retries: no connection, time-out, 408, 429, 5xx.
    #[error("cannot {asked} at schema registry {url}, {attempts} attempts: {answer}")]
    Unavailable {
        /// What was asked.
        asked: String,
        /// The registry's address.
        url: String,
        /// How often it was asked.
        attempts: u32,
        /// What came back the last time.
        answer: String,
    },
    /// The registry doesn't take our credentials (401, 403).
    #[error(
        "cannot {asked} at schema registry {url}: access denied, check [registry] basic_auth: {answer}"
    )]
    Denied {
        /// What was asked.
        asked: String,
        /// The registry's address.
        url: String,
        /// What came back.
        answer: String,
    },
    /// The answer is not one that a registry gives to this request, such as a web server's 404 page.
    #[error(
        "cannot {asked} at schema registry {url}: the answer is not a registry's, check [registry] url: {answer}"
    )]
    NotARegistry {
        /// What was asked.
        asked: String,
        /// The registry's address.
        url: String,
        /// What came back.
        answer: String,
    },
    /// The registry knows no schema with this id.
    #[error("schema registry {url} has no schema {id}")]
    UnknownId {
        /// The id that was asked for.
        id: SchemaId,
        /// The registry's address.
        url: String,
    },
    /// A schema that we may not register isn't there.
    #[error(
        "schema registry {url} has no {schema} of ours under subject {subject}, and {why}: have it registered there"
    )]
    NotRegistered {
        /// Full name of the schema.
        schema: &'static str,
        /// The subject.
        subject: String,
        /// The registry's address.
        url: String,
        /// Why we may not register it.
        why: String,
    },
    /// The registry doesn't take this schema (409 incompatible with the subject's versions, 422 invalid).
    #[error("schema registry {url} refuses to {asked}: {answer}")]
    Refused {
        /// What was asked.
        asked: String,
        /// The registry's address.
        url: String,
        /// What came back.
        answer: String,
    },
}

impl RegistryError {
    /// Whether the registry, or the way to it, is at fault: nothing is known about the schema that was asked for,
    /// and the same request may succeed later. A row must not be rejected for this.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Denied { .. }
            | Self::NotARegistry { .. }
            | Self::NotRegistered { .. } => true,
            Self::Config { .. } | Self::UnknownId { .. } | Self::Refused { .. } => false,
        }
    }
}

/// What one attempt came to.
#[derive(Debug)]
pub(super) enum Failure {
    Retry { answer: String },
    Forbidden { answer: String },
    Denied { answer: String },
    NotARegistry { answer: String },
    NotFound,
    Refused { answer: String },
}

impl Failure {
    pub(super) fn of(error: &SRCError) -> Self {
        let answer = answer(error);
        let Some(said) = error.source().and_then(<dyn Error>::downcast_ref::<RawError>) else {
            // Without an error body the request failed on its way, or an answer with status 200 made no sense.
            let undecodable = error
                .source()
                .and_then(<dyn Error>::downcast_ref::<reqwest::Error>)
                .is_none_or(reqwest::Error::is_decode);
            return if undecodable {
                Self::NotARegistry { answer }
            } else {
                Self::Retry { answer }
            };
        };
        // A body that is no registry's is given the code 0. A web server's own 404 may well be JSON: Apicurio says
        // `"error_code": 404` of a wrong path, and 40403 of an unknown schema, as Confluent does.
        let by_registry = said.error_code != 0;
        match status(error) {
            Some(404) if said.error_code / 100 == 404 => Self::NotFound,
            // Apicurio says so when two clients register the first version of a subject at the same moment. Asked
            // again, it finds the schema that the other one has registered.
            Some(409) if by_registry && said.message.contains("already exists") => {
                Self::Retry { answer }
            }
            Some(409 | 422) if by_registry => Self::Refused { answer },
            Some(403) => Self::Forbidden { answer },
            Some(401) => Self::Denied { answer },
            Some(408 | 429 | 500..) | None => Self::Retry { answer },
            Some(_) => Self::NotARegistry { answer },
        }
    }
}

/// The HTTP status. `schema_registry_converter` tells it in the text of its error only.
fn status(error: &SRCError) -> Option<u16> {
    let (_, status) = error.error.split_once(" failed with status ")?;
    status.split(' ').next()?.parse().ok()
}

/// The answer on one line: the status and the registry's own words, or why there was none.
fn answer(error: &SRCError) -> String {
    let mut text = match (status(error), error.error.split_once("status ")) {
        (Some(_), Some((_, status))) => status.to_owned(),
        _ => error.error.clone(),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        match cause.downcast_ref::<RawError>() {
            Some(said) if said.error_code == 0 => {}
            Some(said) => text = format!("{text} (error {}: {})", said.error_code, said.message),
            None => text = format!("{text}: {cause}"),
        }
        next = cause.source();
    }
    text
}
