//! The section `[registry]`.

use std::time::Duration;

use models::secret::Secret;
use serde::{Deserialize, Serialize};

/// Where the schema registry is and how patiently it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Address of its Confluent API, with the path prefix if it has one. No credentials in here. Several, separated
    /// by commas, are tried in turn.
    pub url: String,
    /// Whether our schemas are registered where they are not yet. If not, they are only looked up.
    pub auto_register: bool,
    /// `user:password`, sent as HTTP basic authentication. An empty text means none.
    pub basic_auth: Option<Secret>,
    /// How long one request may take, from connecting to the last byte of the answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How often a request is sent again after a failed connection, 408, 429 or 5xx.
    pub retries: u32,
    /// Pause before the first retry; it doubles from one to the next, with jitter.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// Longest pause before a retry.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8081/apis/ccompat/v7".to_owned(),
            auto_register: true,
            basic_auth: None,
            timeout: Duration::from_secs(5),
            retries: 3,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
        }
    }
}

impl RegistryConfig {
    /// The pause before retry number `retry`, counted from 0, without jitter.
    pub(crate) fn pause(&self, retry: u32) -> Duration {
        self.backoff.saturating_mul(2_u32.saturating_pow(retry)).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = RegistryConfig::default();
        let pauses = [0, 1, 2, 4, 5, 40].map(|retry| config.pause(retry).as_millis());
        assert_eq!(pauses, [100, 200, 400, 1600, 2000, 2000]);
    }

    #[test]
    fn the_section_reads_its_own_names_and_no_others() {
        let read = |json: &str| serde_json::from_str::<RegistryConfig>(json);
        let config = read(r#"{"url": "http://sr/x", "timeout": "250ms", "basic_auth": "u:p"}"#)
            .expect("known names");
        assert_eq!(config.timeout, Duration::from_millis(250));
        assert_eq!(config.basic_auth.as_ref().map(Secret::expose), Some("u:p"));
        assert!(!serde_json::to_string(&config).expect("plain values").contains("u:p"));
        assert!(read(r#"{"uri": "http://sr"}"#).is_err());
    }
}
