//! Where the API and the joiner are, made of what `[client]` says.

use reqwest::Url;
use service::ConfigError;

/// Where requests for trips go: `path` below `client.url`.
pub(crate) fn trips(base: &str, path: &str) -> Result<Url, ConfigError> {
    join_url("url", base, path, "http://localhost:8001")
}

/// Where the API says whether it can work: below `client.url`.
pub(crate) fn readiness(base: &str) -> Result<Url, ConfigError> {
    join_url("url", base, "/health/ready", "http://localhost:8001")
}

/// Where the metrics of the joiner at `client.joiner_url` are.
pub(crate) fn joiner_metrics(base: &str) -> Result<Url, ConfigError> {
    join_url("joiner_url", base, "/metrics", "http://127.0.0.1:8002")
}

/// `path` below `base`, the value of `key`.
fn join_url(key: &str, base: &str, path: &str, example: &str) -> Result<Url, ConfigError> {
    let text = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    let url = Url::parse(&text).map_err(|err| {
        invalid(key, format!("{base:?} is not an address such as {example}: {err}"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid(key, format!("{base:?} is not an address such as {example}")));
    }
    Ok(url)
}

/// What is wrong with a key of `[client]`.
pub(crate) fn invalid(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key: format!("client.{key}"), reason: reason.into() }
}
