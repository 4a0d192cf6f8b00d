//! `lab bench`: how fast a service is on this machine and this Kafka, and how far that is from the fastest that could
//! be. A run has topics of its own and removes all that it made.

mod error;
pub mod joiner;
pub mod producer;
mod rows;
mod summary;
mod table;

use std::thread;

pub use error::BenchError;
use kafka::topics;
use service::{Shutdown, with_causes};
pub use summary::Summary;
use tracing::{info, warn};

use fleet::{Fleet, Usage};
use verify::settings::Settings;

/// Cores that this process may use.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` where blocking is allowed.
async fn blocking<T: Send + 'static>(
    shutdown: &Shutdown,
    work: impl FnOnce(&Shutdown) -> Result<T, BenchError> + Send + 'static,
) -> Result<T, BenchError> {
    let shutdown = shutdown.clone();
    let work = tokio::task::spawn_blocking(move || work(&shutdown));
    work.await.expect("measuring does not panic")
}

/// Gives `work` a fleet to start programs with. Their logs are kept if it fails.
async fn with_fleet<T>(
    work: impl AsyncFnOnce(&Fleet) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let fleet = Fleet::new("tripstream-bench-")?;
    let outcome = work(&fleet).await;
    if outcome.as_ref().is_err_and(|error| !matches!(error, BenchError::Interrupted)) {
        info!(logs = %fleet.keep().display(), "the logs are kept");
    }
    outcome
}

/// Deletes the topics of the run `prefix`. What can't be deleted is told, but the figures are good without.
async fn delete_topics(settings: &Settings, prefix: &str, names: &[&str]) {
    if let Err(error) = topics::delete(&settings.kafka, names).await {
        let error = with_causes(&error);
        warn!(error, "could not delete the topics {prefix}.*; delete them by hand");
    }
}

/// A prefix that no other run has: from the time and the process id.
fn unique_prefix() -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("bench-{:x}-{:x}", now.as_millis(), std::process::id())
}
