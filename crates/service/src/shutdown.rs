//! One signal that tells every task to finish what it has and stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Section `[shutdown]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long a service may take to finish its work after the first signal, before it is cut off and the process
    /// ends with status 1.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30) }
    }
}

/// The wish to stop, passed down by value. Clones share it; once triggered it stays so.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A wish that nobody has uttered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all who hold a clone to stop.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether stopping has been asked for. For loops on threads of their own.
    pub fn requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until stopping is asked for. Safe to drop and call again.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// The token behind it, for `tokio_util`'s combinators.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}
