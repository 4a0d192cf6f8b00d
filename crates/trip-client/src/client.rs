//! One request to the API, with its time-out and retries.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Url, redirect};
use serde_json::json;
use service::ConfigError;
use tokio_util::sync::CancellationToken;

use crate::{Backoff, ClientConfig, Failure, answer};

/// Connections that idle longer are not used again. Less than the 5 s after which common servers close them: a request
/// on a connection that the server just closed can't safely be sent again.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// How long connecting may take, within the time-out of the attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The client of one API. Clones share its connections.
#[derive(Debug, Clone)]
pub struct TripClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    endpoint: Url,
    timeout: Duration,
    retries: u32,
    backoff: Backoff,
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Why it failed, if it did; else the answer held exactly the trips asked for.
    pub outcome: Result<(), Failure>,
    /// How often it was sent again.
    pub retries: u32,
}

impl TripClient {
    /// A client for the API that `config` names. Opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] as [`ClientConfig::validate`], or if no HTTP client can be made of it.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let http = Client::builder()
            .user_agent(concat!("tripstream/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(CONNECT_TIMEOUT))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.max_in_flight)
            // Following one would turn the POST into a GET.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|err| ConfigError::Invalid {
                key: "client".to_owned(),
                reason: format!("no HTTP client can be made: {err}"),
            })?;
        Ok(Self(Arc::new(Inner {
            http,
            endpoint: config.endpoint()?,
            timeout: config.timeout,
            retries: config.retries,
            backoff: config.backoff(),
        })))
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &str {
        self.0.endpoint.as_str()
    }

    /// Asks for `trips` trips and waits for the answer. Retries what [`Failure::is_retryable`] allows, until `stop`.
    pub async fn generate(&self, trips: u32, stop: &CancellationToken) -> Sent {
        let mut retries = 0;
        loop {
            let failure = match self.attempt(trips).await {
                Ok(()) => return Sent { outcome: Ok(()), retries },
                Err(failure) => failure,
            };
            if !failure.is_retryable() || retries == self.0.retries {
                return Sent { outcome: Err(failure), retries };
            }
            let delay = self.delay(retries, &failure);
            tokio::select! {
                () = tokio::time::sleep(delay) => retries += 1,
                () = stop.cancelled() => return Sent { outcome: Err(failure), retries },
            }
        }
    }

    /// The back-off, or what the API asks for if that is more; never more than the largest back-off.
    fn delay(&self, attempt: u32, failure: &Failure) -> Duration {
        let delay = self.0.backoff.delay(attempt, rand::random());
        match failure {
            Failure::Unavailable { retry_after: Some(asked), .. } => {
                delay.max(*asked).min(self.0.backoff.max)
            }
            _ => delay,
        }
    }

    async fn attempt(&self, trips: u32) -> Result<(), Failure> {
        let inner = &*self.0;
        let lost = |err: reqwest::Error| Failure::of_transport(&err, inner.timeout);
        let request =
            inner.http.post(inner.endpoint.clone()).json(&json!({ "number_of_trips": trips }));
        let response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = response.bytes().await.map_err(lost)?;
        let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
        answer::judge(trips, status, retry_after, &body)
    }
}
