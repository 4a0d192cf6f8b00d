//! The settings of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use models::secret::Secret;
use models::topics::Topics;
use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, Settings, ShutdownConfig};

use crate::capacity::RECORD_UNIT_BYTES;
use crate::tls::Tls;
use crate::trip_cost::RECORDS_PER_TRIP;
use crate::{access, cors};

/// librdkafka's own limit on `linger.ms`.
const LONGEST_LINGER: Duration = Duration::from_secs(900);
/// The times that a client may be given. actix-web's clock ticks each half second: shorter ones would be over at once.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Beyond this, it is a mistake.
const LONGEST_WINDOW: Duration = Duration::from_secs(10 * 366 * 86_400);

/// All sections that the producer API reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerApiConfig {
    /// Section `[log]`.
    pub log: LogConfig,
    /// Section `[shutdown]`.
    pub shutdown: ShutdownConfig,
    /// Section `[kafka]`.
    pub kafka: KafkaConfig,
    /// Section `[registry]`.
    pub registry: RegistryConfig,
    /// Section `[topics]`; the three inputs of the join are written.
    pub topics: Topics,
    /// Section `[producer]`.
    pub producer: ProducerConfig,
}

/// Section `[producer]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerConfig {
    /// Where the API, `/health/*` and `/metrics` are served.
    pub listen: SocketAddr,
    /// What clients of the five endpoints have to send as `Authorization: Bearer ...`; visible ASCII. Without it
    /// everybody may use them. `/health/*`, `/metrics` and the documentation ask for nothing in any case.
    #[serde(deserialize_with = "service::config::unless_empty")]
    pub bearer_token: Option<Secret>,
    /// Pages of these origins may use the API from a browser (CORS): such as `https://example.com:8443`, or `*` for
    /// all. Empty: no answer says anything about it.
    #[serde(deserialize_with = "cors::list")]
    pub cors_origins: Vec<String>,
    /// A PEM file: the server's certificate, then those that lead to its root. With it HTTPS is served, and no HTTP.
    #[serde(deserialize_with = "service::config::unless_empty")]
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file: the private key of that certificate, without a passphrase.
    #[serde(deserialize_with = "service::config::unless_empty")]
    pub tls_key: Option<PathBuf>,
    /// How long a client may take for the head of a connection's first request; with TLS, for the handshake as long
    /// again. It is answered with 408. The schedulers keep a connection for up to 4 s before they use it: below 5 s they may
    /// meet one that is being closed.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a client may take for a request's body before it is answered with 408.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a client may take none of an answer that waits for it, before its connection is cut (Linux only).
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How long a connection may be idle between two requests. Longer than what proxies and load balancers wait: who
    /// sends the requests is to close it, lest the next one meets a connection that is being closed. The schedulers do so
    /// after 4 s: not below 5 s.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How many connections are served at once, rounded up to the same number for each worker thread, of which there is
    /// one for each processor. More have to wait. Each needs an open file: no more are served than the process may have.
    pub max_connections: usize,
    /// Makes the trips repeatable: trip number i is the same in every run, but for its times. Without it a seed is
    /// drawn and logged.
    pub seed: Option<u64>,
    /// The largest `number_of_trips` that a request may ask for.
    pub max_trips_per_request: u32,
    /// The largest request body, in bytes.
    pub body_limit_bytes: usize,
    /// How long Kafka may take to acknowledge a record before the request is answered with an error. Noticed up to
    /// a second late.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
    /// How long a record waits for others to share its batch. Without it, those share one that come while the
    /// connection is busy: small requests are answered up to five times as fast, and large ones lose a twentieth.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How many records of up to 1 KiB may be on their way to Kafka at once; a larger record counts as one for each
    /// KiB begun. A request that doesn't fit is answered with 503.
    pub queue_records: u32,
    /// The largest `number_of_trips` of a request for `application/x-ndjson`.
    pub max_trips_streamed: u32,
    /// Whether each record carries the id and the trace of its request in headers. It costs requests for many trips about
    /// a quarter of their throughput.
    pub record_headers: bool,
    /// Whether a request's records are written in one transaction when it doesn't say (`Tripstream-Atomic`).
    pub atomic: bool,
    /// Who this process is to Kafka's transaction coordinator; each process needs its own, and keeps it over
    /// restarts. Without it: `tripstream-producer-<host name>-<port>`.
    pub transactional_id: Option<String>,
    /// The compacted topic that keeps what was done for which `Idempotency-Key`; only its partition 0 is used.
    /// Empty: no key is accepted.
    pub idempotency_topic: String,
    /// How long a key is remembered, at least twice `delivery_timeout`.
    #[serde(with = "humantime_serde")]
    pub idempotency_window: Duration,
    /// How many keys are remembered; the oldest are forgotten first.
    pub idempotency_keys: u32,
    /// Replication factor that the topic of keys is created with; -1 leaves it to the broker.
    pub internal_replicas: i32,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8001)),
            bearer_token: None,
            cors_origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            max_connections: 10_000,
            seed: None,
            max_trips_per_request: 10_000,
            body_limit_bytes: 64 * 1024,
            delivery_timeout: Duration::from_secs(8),
            linger: Duration::ZERO,
            queue_records: 100_000,
            max_trips_streamed: 10_000_000,
            record_headers: true,
            atomic: false,
            transactional_id: None,
            idempotency_topic: "tripstream-producer-idempotency".to_owned(),
            idempotency_window: Duration::from_secs(86_400),
            idempotency_keys: 100_000,
            internal_replicas: -1,
        }
    }
}

impl Settings for ProducerApiConfig {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.producer.validate()
    }
}

impl ProducerConfig {
    /// The transactional id of this process, which listens on `port`.
    pub(crate) fn transactional_id(&self, port: u16) -> String {
        self.transactional_id.clone().unwrap_or_else(|| {
            let system = rustix::system::uname();
            format!("tripstream-producer-{}-{port}", system.nodename().to_string_lossy())
        })
    }

    /// What connections are encrypted with; `None` for plain HTTP.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`].
    pub(crate) fn tls(&self) -> Result<Option<Tls>, ConfigError> {
        Tls::load(self.tls_certificate.as_deref(), self.tls_key.as_deref())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.validate_access()?;
        self.validate_patience()?;
        self.validate_records()
    }

    /// Who may use the API, and how.
    fn validate_access(&self) -> Result<(), ConfigError> {
        if let Some(flaw) = self.bearer_token.as_ref().and_then(access::flaw) {
            return invalid("bearer_token", flaw);
        }
        for origin in &self.cors_origins {
            if let Some(flaw) = cors::flaw(origin) {
                let reason = format!("{origin:?} {flaw}, such as \"https://example.com:8443\"");
                return invalid("cors_origins", reason);
            }
        }
        self.tls().map(drop)
    }

    /// How many clients there may be, and how slow.
    fn validate_patience(&self) -> Result<(), ConfigError> {
        for (key, time) in [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
            ("keep_alive", self.keep_alive),
        ] {
            if !PATIENCE.contains(&time) {
                return invalid(key, "must be from 1s to 24h");
            }
        }
        if self.max_connections == 0 {
            return invalid("max_connections", "must be at least 1");
        }
        Ok(())
    }

    /// What records and requests may be like.
    fn validate_records(&self) -> Result<(), ConfigError> {
        if self.body_limit_bytes == 0 {
            return invalid("body_limit_bytes", "must be at least 1");
        }
        if self.delivery_timeout < Duration::from_millis(1)
            || self.delivery_timeout.as_millis() > i32::MAX as u128
        {
            return invalid("delivery_timeout", "must be from 1ms to 24 days");
        }
        if self.linger > LONGEST_LINGER || self.linger >= self.delivery_timeout {
            return invalid("linger", "must be shorter than delivery_timeout, and 15m at most");
        }
        if self.transactional_id.as_deref().is_some_and(str::is_empty) {
            return invalid("transactional_id", "must not be empty; leave it out to have one made");
        }
        if self.idempotency_keys == 0 || self.idempotency_window.is_zero() {
            return invalid(
                if self.idempotency_keys == 0 { "idempotency_keys" } else { "idempotency_window" },
                "must not be 0; to accept no Idempotency-Key, set idempotency_topic to \"\"",
            );
        }
        if self.idempotency_window > LONGEST_WINDOW {
            return invalid("idempotency_window", "must be 10 years at most");
        }
        // A key must not be forgotten while its request may still be written.
        if !self.idempotency_topic.is_empty() && self.idempotency_window < self.delivery_timeout * 2
        {
            return invalid(
                "idempotency_window",
                format!("must be at least twice delivery_timeout ({:?})", self.delivery_timeout),
            );
        }
        // A request is let in whole or not at all, so the largest one must fit into an empty queue.
        let needed = (u64::from(self.max_trips_per_request) * u64::from(RECORDS_PER_TRIP))
            .max(self.body_limit_bytes as u64 / RECORD_UNIT_BYTES as u64 + 2);
        if u64::from(self.queue_records) < needed {
            return invalid(
                "queue_records",
                format!(
                    "must be at least {needed}, to hold the largest request that max_trips_per_request \
                     ({}) and body_limit_bytes ({}) allow",
                    self.max_trips_per_request, self.body_limit_bytes
                ),
            );
        }
        Ok(())
    }
}

fn invalid(key: &str, reason: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Invalid { key: format!("producer.{key}"), reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_local() {
        let config = ProducerApiConfig::default();
        config.validate().unwrap();
        assert_eq!(config.producer.listen.to_string(), "127.0.0.1:8001");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let default = ProducerConfig::default;
        let cases = [
            (ProducerConfig { max_trips_per_request: 40_000, ..default() }, "queue_records"),
            (
                ProducerConfig { queue_records: 60, max_trips_per_request: 0, ..default() },
                "queue_records",
            ),
            (ProducerConfig { body_limit_bytes: 0, ..default() }, "body_limit_bytes"),
            (ProducerConfig { delivery_timeout: Duration::ZERO, ..default() }, "delivery_timeout"),
            (ProducerConfig { linger: Duration::from_secs(8), ..default() }, "linger"),
            (
                ProducerConfig { bearer_token: Some(Secret::new("a b")), ..default() },
                "bearer_token",
            ),
            (
                ProducerConfig { cors_origins: vec!["example.com".to_owned()], ..default() },
                "cors_origins",
            ),
            (ProducerConfig { tls_certificate: Some("a".into()), ..default() }, "tls_key"),
            (ProducerConfig { tls_key: Some("a".into()), ..default() }, "tls_certificate"),
            (
                ProducerConfig { header_timeout: Duration::from_millis(999), ..default() },
                "header_timeout",
            ),
            (ProducerConfig { body_timeout: Duration::MAX, ..default() }, "body_timeout"),
            (ProducerConfig { write_timeout: Duration::ZERO, ..default() }, "write_timeout"),
            (ProducerConfig { keep_alive: Duration::ZERO, ..default() }, "keep_alive"),
            (ProducerConfig { max_connections: 0, ..default() }, "max_connections"),
            (
                ProducerConfig { transactional_id: Some(String::new()), ..default() },
                "transactional_id",
            ),
            (ProducerConfig { idempotency_keys: 0, ..default() }, "idempotency_keys"),
            (
                ProducerConfig { idempotency_window: Duration::ZERO, ..default() },
                "idempotency_window",
            ),
            (
                ProducerConfig { idempotency_window: Duration::MAX, ..default() },
                "idempotency_window",
            ),
            (
                ProducerConfig { idempotency_window: Duration::from_secs(15), ..default() },
                "idempotency_window",
            ),
        ];
        for (config, key) in cases {
            let error = config.validate().expect_err(key).to_string();
            assert!(error.contains(&format!("producer.{key}")), "{error}");
        }
    }
}
