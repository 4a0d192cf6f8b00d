//! Section `[client]`: how the API is reached and how hard it may be driven.

use std::path::PathBuf;
use std::time::Duration;

use models::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Url};
use serde::{Deserialize, Serialize};
use service::ConfigError;

use crate::addresses::{self, invalid};
use crate::backoff::Backoff;
use crate::schedule::Extent;

/// Section `[client]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Where the producer API is: `http` or `https`; may carry a path prefix.
    pub url: String,
    /// The path that generates trips, below `url`.
    pub trips_path: String,
    /// What the API asks for, if it does: its `producer.bearer_token`.
    #[serde(deserialize_with = "service::config::unless_empty")]
    pub bearer_token: Option<Secret>,
    /// A PEM file of certificates that are trusted, beside those of the operating system: of the authority that signed
    /// the API's certificate, or that one itself.
    #[serde(deserialize_with = "service::config::unless_empty")]
    pub ca_location: Option<PathBuf>,
    /// How many requests may run at once. At least 1.
    pub max_in_flight: usize,
    /// How long one attempt may take, from connecting to the last byte of the answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How often a request that produced nothing (no connection, 503) is sent again.
    pub retries: u32,
    /// The longest wait before the first retry; it doubles with each.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// The longest wait before any retry, also when the API asks for more.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// After so many attempts in a row that found nobody there (no connection, no answer, 503), one request at a time
    /// finds out whether the API is back, and other ticks are skipped. At least 1.
    pub open_circuit_after: u32,
    /// A request that starts later than this after its intended start is counted as late.
    #[serde(with = "humantime_serde")]
    pub late_after: Duration,
    /// Where the joiner's `/metrics` are, for `until_joined`.
    pub joiner_url: String,
    /// At the end of a run, wait until the joiner has joined as many trips as were confirmed, at most so long.
    #[serde(with = "humantime_serde")]
    pub until_joined: Option<Duration>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8001".to_owned(),
            trips_path: "/api/generate-multiple-trips".to_owned(),
            bearer_token: None,
            ca_location: None,
            max_in_flight: 10,
            timeout: Duration::from_secs(10),
            retries: 3,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            open_circuit_after: 5,
            late_after: Duration::from_millis(100),
            joiner_url: "http://127.0.0.1:8002".to_owned(),
            until_joined: None,
        }
    }
}

impl ClientConfig {
    /// The waits between attempts.
    pub fn backoff(&self) -> Backoff {
        Backoff { initial: self.backoff, max: self.max_backoff }
    }

    /// The address that requests go to.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if `url` is not an absolute `http` or `https` URL.
    pub fn endpoint(&self) -> Result<Url, ConfigError> {
        addresses::trips(&self.url, &self.trips_path)
    }

    /// What goes with each request.
    pub(crate) fn headers(&self) -> Result<HeaderMap, ConfigError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.bearer_token {
            let token = token.expose();
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let reason = "must be of visible ASCII characters, without spaces; \
                              leave it out if the API asks for none";
                return Err(invalid("bearer_token", reason));
            }
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .expect("visible ASCII may stand in a header");
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// The certificates that are trusted beside those of the operating system.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, ConfigError> {
        let Some(path) = &self.ca_location else { return Ok(Vec::new()) };
        let file = path.display();
        let pem = std::fs::read(path)
            .map_err(|err| invalid("ca_location", format!("cannot read {file}: {err}")))?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(invalid("ca_location", format!("{file} holds no certificate in PEM form")));
        }
        Ok(certificates)
    }

    /// Checks what the types can't say.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.endpoint()?;
        self.headers()?;
        self.certificates()?;
        let zero = "must be more than zero";
        if self.max_in_flight == 0 {
            return Err(invalid("max_in_flight", "must be at least 1"));
        }
        if self.timeout.is_zero() {
            return Err(invalid("timeout", zero));
        }
        if self.backoff.is_zero() {
            return Err(invalid("backoff", zero));
        }
        if self.max_backoff < self.backoff {
            return Err(invalid("max_backoff", "must not be less than client.backoff"));
        }
        if self.open_circuit_after == 0 {
            return Err(invalid("open_circuit_after", "must be at least 1"));
        }
        if self.until_joined.is_some() {
            addresses::joiner_metrics(&self.joiner_url)?;
        }
        Ok(())
    }

    /// Checks that a run that is to wait for the joiner has an end of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if it goes on for ever.
    pub fn validate_end(&self, section: &str, extent: Extent) -> Result<(), ConfigError> {
        if self.until_joined.is_some() && extent == Extent::default() {
            let reason = format!("the run needs an end: set {section}.count or {section}.duration");
            return Err(invalid("until_joined", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_keeps_a_path_prefix() {
        for (url, want) in [
            ("http://localhost:8001", "http://localhost:8001/api/generate-multiple-trips"),
            ("http://localhost:8001/", "http://localhost:8001/api/generate-multiple-trips"),
            ("https://h/trips/", "https://h/trips/api/generate-multiple-trips"),
        ] {
            let config = ClientConfig { url: url.to_owned(), ..ClientConfig::default() };
            assert_eq!(config.endpoint().unwrap().as_str(), want);
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let default = ClientConfig::default;
        let cases = [
            (
                ClientConfig { url: "localhost:8001".into(), ..default() },
                "configuration key \"client.url\": \"localhost:8001\" is not an address such as http://localhost:8001",
            ),
            (
                ClientConfig { url: String::new(), ..default() },
                "configuration key \"client.url\": \"\" is not an address such as http://localhost:8001: \
                 relative URL without a base",
            ),
            (
                ClientConfig { bearer_token: Some(Secret::new("a b")), ..default() },
                "configuration key \"client.bearer_token\": must be of visible ASCII characters, without spaces; \
                 leave it out if the API asks for none",
            ),
            (
                ClientConfig { ca_location: Some("no/such.pem".into()), ..default() },
                "configuration key \"client.ca_location\": cannot read no/such.pem: \
                 No such file or directory (os error 2)",
            ),
            (
                ClientConfig { ca_location: Some("Cargo.toml".into()), ..default() },
                "configuration key \"client.ca_location\": Cargo.toml holds no certificate in PEM form",
            ),
            (
                ClientConfig { max_in_flight: 0, ..default() },
                "configuration key \"client.max_in_flight\": must be at least 1",
            ),
            (
                ClientConfig { timeout: Duration::ZERO, ..default() },
                "configuration key \"client.timeout\": must be more than zero",
            ),
            (
                ClientConfig { backoff: Duration::ZERO, ..default() },
                "configuration key \"client.backoff\": must be more than zero",
            ),
            (
                ClientConfig { open_circuit_after: 0, ..default() },
                "configuration key \"client.open_circuit_after\": must be at least 1",
            ),
            (
                ClientConfig {
                    until_joined: Some(Duration::from_secs(1)),
                    joiner_url: "x".into(),
                    ..default()
                },
                "configuration key \"client.joiner_url\": \"x\" is not an address such as http://127.0.0.1:8002: \
                 relative URL without a base",
            ),
            (
                ClientConfig { max_backoff: Duration::from_millis(1), ..default() },
                "configuration key \"client.max_backoff\": must not be less than client.backoff",
            ),
        ];
        for (config, want) in cases {
            assert_eq!(config.validate().unwrap_err().to_string(), want);
        }
        default().validate().unwrap();
    }
}
