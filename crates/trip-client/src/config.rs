//! Section `[client]`: how the API is reached and how hard it may be driven.

use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use service::ConfigError;

use crate::{Backoff, Overrun};

/// The most ticks that a queue may hold, whatever the configuration says.
const MAX_QUEUE: usize = 1_000_000;

/// Section `[client]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Where the producer API is: `http` or `https`; may carry a path prefix.
    pub url: String,
    /// The path that generates trips, below `url`.
    pub trips_path: String,
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
    /// A request that starts later than this after its intended start is counted as late.
    #[serde(with = "humantime_serde")]
    pub late_after: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8001".to_owned(),
            trips_path: "/api/generate-multiple-trips".to_owned(),
            max_in_flight: 10,
            timeout: Duration::from_secs(10),
            retries: 3,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            late_after: Duration::from_millis(100),
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
        let text = format!(
            "{}/{}",
            self.url.trim_end_matches('/'),
            self.trips_path.trim_start_matches('/')
        );
        let example = "an address such as http://localhost:8001";
        let url = Url::parse(&text)
            .map_err(|err| invalid("url", format!("{:?} is not {example}: {err}", self.url)))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid("url", format!("{:?} is not {example}", self.url)));
        }
        Ok(url)
    }

    /// Checks what the types can't say.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.endpoint()?;
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
        Ok(())
    }
}

fn invalid(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key: format!("client.{key}"), reason: reason.into() }
}

/// Checks the keys that the sections of both schedulers share; `section` is the name for messages.
///
/// # Errors
///
/// [`ConfigError::Invalid`], naming the key.
pub fn validate_load(
    section: &str,
    trips: u32,
    overrun: Overrun,
    queue_limit: usize,
    extent: crate::Extent,
) -> Result<(), ConfigError> {
    let invalid = |key: &str, reason: String| {
        Err(ConfigError::Invalid { key: format!("{section}.{key}"), reason })
    };
    if trips == 0 {
        return invalid("trips", "must be at least 1".to_owned());
    }
    if overrun == Overrun::Queue && !(1..=MAX_QUEUE).contains(&queue_limit) {
        return invalid("queue_limit", format!("must be from 1 to {MAX_QUEUE}, not {queue_limit}"));
    }
    if extent.count == Some(0) {
        return invalid("count", "must be at least 1".to_owned());
    }
    if extent.duration.is_some_and(|duration| duration.is_zero()) {
        return invalid("duration", "must be more than zero".to_owned());
    }
    Ok(())
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
                ClientConfig { max_backoff: Duration::from_millis(1), ..default() },
                "configuration key \"client.max_backoff\": must not be less than client.backoff",
            ),
        ];
        for (config, want) in cases {
            assert_eq!(config.validate().unwrap_err().to_string(), want);
        }
        default().validate().unwrap();
    }

    #[test]
    fn a_load_of_nothing_is_refused_by_name() {
        let check = |trips, queue_limit, count, seconds: Option<u64>| {
            let extent = crate::Extent { count, duration: seconds.map(Duration::from_secs) };
            validate_load("s", trips, Overrun::Queue, queue_limit, extent)
                .map_or_else(|err| err.to_string(), |()| "ok".to_owned())
        };
        assert_eq!(check(1, 1, Some(1), Some(1)), "ok");
        assert_eq!(check(0, 1, None, None), "configuration key \"s.trips\": must be at least 1");
        assert_eq!(
            check(1, 0, None, None),
            "configuration key \"s.queue_limit\": must be from 1 to 1000000, not 0"
        );
        assert_eq!(check(1, 1, Some(0), None), "configuration key \"s.count\": must be at least 1");
        assert_eq!(
            check(1, 1, None, Some(0)),
            "configuration key \"s.duration\": must be more than zero"
        );
    }
}
