#![doc = include_str!("../README.md")]

mod access;
mod api;
mod atomic;
mod capacity;
mod config;
mod connect;
mod cors;
mod descriptors;
mod docs;
mod draw;
mod endpoints;
mod error;
mod failures;
mod headers;
mod idempotency;
mod json;
mod metrics;
mod observe;
mod paths;
mod publisher;
mod refusal;
mod server;
mod stream;
mod tls;
mod trace;
mod trip_cost;
mod undelivered;
mod unread;

pub use config::{ProducerApiConfig, ProducerConfig};
pub use error::Error;
pub use server::Server;

/// The service's name, in its log and metrics.
pub const NAME: &str = "producer-api";

/// Binds and runs the service: what the binary does, and [`service::main`] takes.
///
/// # Errors
///
/// Those of [`Server::bind`] and [`Server::run`].
pub async fn run(config: ProducerApiConfig, ctx: service::Context) -> anyhow::Result<()> {
    Server::bind(config, ctx)?.run().await?;
    Ok(())
}
