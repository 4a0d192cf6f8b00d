//! One request to the API, with its time-out and retries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use models::is_loopback;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, Response, Url, redirect};
use serde_json::json;
use service::ConfigError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::circuit::{Circuit, CircuitPass};
use crate::{Backoff, ClientConfig, RequestFailure, addresses, answer};

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
    readiness: Url,
    timeout: Duration,
    retries: u32,
    backoff: Backoff,
    circuit: Mutex<Circuit>,
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Why it failed, if it did; else the answer held exactly the trips asked for.
    pub(crate) outcome: Result<(), RequestFailure>,
    /// How often it was sent again.
    pub(crate) retries: u32,
}

impl TripClient {
    /// A client for the API that `config` names. Opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] as [`ClientConfig::validate`], or if no HTTP client can be made of it.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let endpoint = config.endpoint()?;
        let readiness = addresses::readiness(&config.url)?;
        let http = http_for(&endpoint)
            .user_agent(concat!("tripstream/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(CONNECT_TIMEOUT))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.max_in_flight)
            .default_headers(config.headers()?)
            .tls_certs_merge(config.certificates()?)
            // Following one would turn the POST into a GET.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|err| ConfigError::Invalid {
                key: "client".to_owned(),
                reason: format!("no HTTP client can be made: {err}"),
            })?;
        Ok(Self(Arc::new(Inner {
            http,
            endpoint,
            readiness,
            timeout: config.timeout,
            retries: config.retries,
            backoff: config.backoff(),
            circuit: Mutex::new(Circuit::new(config.open_circuit_after, config.backoff())),
        })))
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &str {
        self.0.endpoint.as_str()
    }

    /// What the API answers to whether it can work, within `limit`. The circuit does not hear of it.
    pub(crate) async fn ask_readiness(&self, limit: Duration) -> reqwest::Result<Response> {
        let Inner { http, readiness, timeout, .. } = &*self.0;
        http.get(readiness.clone()).timeout(limit.min(*timeout)).send().await
    }

    /// Leave to send a request now; `None` while the API is down and another request is finding out whether it is back.
    pub(crate) fn admit(&self) -> Option<CircuitPass> {
        self.circuit().ask(Instant::now())
    }

    /// Leave that is not made use of.
    pub(crate) fn give_back(&self, pass: CircuitPass) {
        self.circuit().give_back(pass);
    }

    /// Asks for `trips` trips and waits for the answer. Retries what [`RequestFailure::is_retryable`] allows, until `stop`,
    /// and as long as the circuit lets it.
    pub(crate) async fn generate(
        &self,
        trips: u32,
        mut pass: CircuitPass,
        stop: &CancellationToken,
    ) -> Sent {
        let mut retries = 0;
        loop {
            let outcome = self.attempt(trips).await;
            self.observe(pass, &outcome);
            let failure = match outcome {
                Ok(()) => return Sent { outcome: Ok(()), retries },
                Err(failure) => failure,
            };
            if !failure.is_retryable() || retries == self.0.retries {
                return Sent { outcome: Err(failure), retries };
            }
            let asked = failure.retry_after();
            let delay = self.0.backoff.delay_at_least(asked, retries, rand::random());
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.cancelled() => return Sent { outcome: Err(failure), retries },
            }
            match self.admit() {
                Some(next) => pass = next,
                // The requests of an outage don't gather to be sent at its end.
                None => return Sent { outcome: Err(failure), retries },
            }
            retries += 1;
        }
    }

    /// Tells the circuit how an attempt went.
    fn observe(&self, pass: CircuitPass, outcome: &Result<(), RequestFailure>) {
        match outcome {
            Err(failure) if failure.is_outage() => {
                let asked = failure.retry_after();
                self.circuit().failed(pass, Instant::now(), asked, rand::random());
            }
            _ => self.circuit().answered(),
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.0.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, trips: u32) -> Result<(), RequestFailure> {
        let inner = &*self.0;
        let lost = |err: reqwest::Error| RequestFailure::of_transport(&err, inner.timeout);
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

/// What asks `url`: directly where that is this machine itself, whatever else goes through a proxy.
pub(crate) fn http_for(url: &Url) -> ClientBuilder {
    let client = Client::builder();
    if url.host_str().is_some_and(is_loopback) { client.no_proxy() } else { client }
}
