//! The client of a schema registry that speaks Confluent's REST API (Confluent's own, Apicurio under
//! `/apis/ccompat/v7`, Karapace, Redpanda).
//!
//! It is built on the uncached calls of `schema_registry_converter`, which know the API's paths, bodies and
//! media types. Its cached encoders and decoders are not used: they keep 429, 500 and 504 as final answers.
//! Which answers are final, how often to ask again, and what an error says is decided here.

mod client;
mod config;
mod error;

pub use client::RegistryClient;
pub use config::RegistryConfig;
pub use error::RegistryError;
