#![doc = include_str!("../README.md")]

mod access;
mod answer;
mod api;
mod atomic;
mod config;
mod connect;
mod cors;
mod descriptors;
mod docs;
mod error;
mod failures;
mod filled;
mod idempotency;
mod metrics;
mod observe;
mod publisher;
mod server;
mod stream;
mod tls;
mod trace;
mod unread;
mod wishes;

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
