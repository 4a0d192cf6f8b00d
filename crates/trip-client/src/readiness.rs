//! Waiting, before the first tick, until the API can work.

use std::time::Duration;

use reqwest::StatusCode;
use service::{Context, Dependency};
use tracing::debug;

use crate::failure::root_cause;
use crate::{TripClient, answer};

/// The name of the readiness check.
pub(crate) const CHECK: &str = "api";
/// How long the API may take to say whether it is ready.
const ANSWER: Duration = Duration::from_secs(3);

/// Why the API is not known to be ready.
#[derive(Debug, thiserror::Error)]
enum ReadinessError {
    /// It says so itself.
    #[error("the API is not ready yet (503): {0}")]
    NotYet(String),
    /// It says nothing.
    #[error("no answer: {0}")]
    Silent(String),
}

impl TripClient {
    /// Waits for as long as the API answers `/health/ready` with 503, as it does while it starts, or until shutdown. It is
    /// asked with growing pauses; the log says once what is waited for.
    ///
    /// Any other answer means ready: it may come from a server that has no such path. An API that does not answer at all
    /// is not waited for: its requests fail, and are counted.
    pub async fn until_ready(&self, ctx: &Context) {
        let api = Dependency::new(CHECK, &ctx.health);
        let is_wait = |error: &ReadinessError| matches!(error, ReadinessError::NotYet(_));
        tokio::select! {
            ready = api.reached(|| self.ensure_ready(), is_wait) => if let Err(error) = ready {
                debug!(%error, "beginning without knowing whether the API is ready");
            },
            () = ctx.shutdown.wait() => {}
        }
    }

    async fn ensure_ready(&self) -> Result<(), ReadinessError> {
        let asked = self.ask_readiness(ANSWER).await;
        let answer = asked.map_err(|error| ReadinessError::Silent(root_cause(&error)))?;
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            return Ok(());
        }
        let body = answer.bytes().await.unwrap_or_default();
        Err(ReadinessError::NotYet(answer::excerpt(&body)))
    }
}
