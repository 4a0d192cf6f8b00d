//! Why a request failed, and whether trips may have been produced all the same.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

/// What OpenSSL says of a certificate that nobody vouches for.
const UNTRUSTED: &str = "certificate verify failed";
/// Its reasons that mean: whoever signed it is not known here.
const STRANGERS: [&str; 3] = ["self-signed", "issuer certificate", "verify the first certificate"];
/// Its reasons that mean: it is for somebody else.
const MISMATCHES: [&str; 2] = ["hostname mismatch", "IP address mismatch"];

/// The outcome of a request that did not bring the trips asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// No connection came about, so the API never saw the request.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// 503: the API refused before it produced anything.
    #[error("the API is not available (503): {detail}")]
    Unavailable {
        /// What the answer said, shortened.
        detail: String,
        /// How long the API asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// No complete answer within the time-out.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The connection broke after the request was sent.
    #[error("the connection broke: {0}")]
    ConnectionLost(String),
    /// 401: the API asks for a token, and for another one than was sent.
    #[error(
        "the API does not let us in (401): {0}; set client.bearer_token to what it has as producer.bearer_token"
    )]
    Unauthorized(String),
    /// Any other status than 200.
    #[error("the API answered {code}: {detail}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// What the answer said, shortened.
        detail: String,
    },
    /// 200 with something that is not JSON.
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    /// 200 with JSON that is not an array of trips.
    #[error("the answer is not an array of trips: {0}")]
    NotTrips(String),
    /// 200 with another number of trips than asked for.
    #[error("asked for {asked} trips, the answer holds {got}")]
    TripCount {
        /// How many were asked for.
        asked: u32,
        /// How many the answer held.
        got: u32,
    },
}

impl RequestFailure {
    /// The name under which it is counted: a word, or `http_` and the status.
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            RequestFailure::Connect(_) => "connect".into(),
            RequestFailure::Unavailable { .. } => "unavailable".into(),
            RequestFailure::Timeout(_) => "timeout".into(),
            RequestFailure::ConnectionLost(_) => "connection_lost".into(),
            RequestFailure::Unauthorized(_) => "http_401".into(),
            RequestFailure::Status { code, .. } => format!("http_{code}").into(),
            RequestFailure::NotJson(_) => "not_json".into(),
            RequestFailure::NotTrips(_) => "not_trips".into(),
            RequestFailure::TripCount { .. } => "trip_count".into(),
        }
    }

    /// Whether the request may be sent again: nothing was produced, and it can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, RequestFailure::Connect(_) | RequestFailure::Unavailable { .. })
    }

    /// Whether it tells that nobody serves there: no answer, or a 503. Any other answer, bad as it may be, comes from an
    /// API that runs.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            RequestFailure::Connect(_)
                | RequestFailure::Unavailable { .. }
                | RequestFailure::Timeout(_)
                | RequestFailure::ConnectionLost(_)
        )
    }

    /// How long the API asks to wait, if it does.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let RequestFailure::Unavailable { retry_after, .. } = self { *retry_after } else { None }
    }

    /// How many trips the failed request for `asked` may have left in Kafka all the same.
    pub fn uncertain_trips(&self, asked: u32) -> u32 {
        match self {
            // 4xx: a request that the API calls wrong is refused before anything is generated.
            RequestFailure::Connect(_)
            | RequestFailure::Unavailable { .. }
            | RequestFailure::Unauthorized(_)
            | RequestFailure::Status { code: 400..500, .. } => 0,
            RequestFailure::TripCount { got, .. } => asked.max(*got),
            _ => asked,
        }
    }

    /// Sorts an error of the HTTP client. `timeout` is the limit that the request had.
    pub(crate) fn of_transport(err: &reqwest::Error, timeout: Duration) -> Self {
        if err.is_connect() {
            RequestFailure::Connect(untrusted(err).unwrap_or_else(|| root_cause(err)))
        } else if err.is_timeout() {
            RequestFailure::Timeout(timeout)
        } else {
            RequestFailure::ConnectionLost(root_cause(err))
        }
    }
}

/// What is wrong with the API's certificate, if that is the cause.
fn untrusted(err: &reqwest::Error) -> Option<String> {
    let host = err.url().and_then(reqwest::Url::host_str).unwrap_or_default();
    let mut cause: &dyn Error = err;
    let mut text = cause.to_string();
    while !text.contains(UNTRUSTED) {
        cause = cause.source()?;
        text = cause.to_string();
    }
    Some(certificate(&text, host))
}

/// Such a `text` in short, with what helps. OpenSSL names the reason at the end of a long one, in parentheses.
fn certificate(text: &str, host: &str) -> String {
    let reason = text.rfind('(').map_or("", |at| &text[at..]);
    let help = if STRANGERS.iter().any(|stranger| reason.contains(stranger)) {
        "; set client.ca_location if it is to be trusted".to_owned()
    } else if MISMATCHES.iter().any(|mismatch| reason.contains(mismatch)) {
        format!("; it is not for {host}, which client.url names")
    } else {
        String::new()
    };
    format!("{UNTRUSTED} {reason}{help}")
}

/// The innermost error's text: `Connection refused (os error 111)` rather than `error sending request`.
pub(crate) fn root_cause(err: &dyn Error) -> String {
    let mut innermost = err;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_is_what_helps_against_the_reason() {
        const TRUST: &str = "; set client.ca_location if it is to be trusted";
        const NAME: &str = "; it is not for api.example, which client.url names";
        for (reason, help) in [
            ("self-signed certificate", TRUST),
            ("self-signed certificate in certificate chain", TRUST),
            ("unable to get local issuer certificate", TRUST),
            ("unable to get issuer certificate", TRUST),
            ("unable to verify the first certificate", TRUST),
            ("hostname mismatch", NAME),
            ("IP address mismatch", NAME),
            ("certificate has expired", ""),
            ("certificate is not yet valid", ""),
        ] {
            let text = format!(
                "error:0A000086:SSL routines:tls_post_process_server_certificate:\
                certificate verify failed:../ssl/statem/statem_clnt.c:1889: ({reason})"
            );
            let said = certificate(&text, "api.example");
            assert_eq!(said, format!("certificate verify failed ({reason}){help}"));
        }
    }

    #[test]
    fn only_requests_that_produced_nothing_are_sent_again() {
        let text = || "x".to_owned();
        // (failure, counted as, retryable, trips of 5 that may be in Kafka)
        let cases = [
            (RequestFailure::Connect(text()), "connect", true, 0),
            (
                RequestFailure::Unavailable { detail: text(), retry_after: None },
                "unavailable",
                true,
                0,
            ),
            (RequestFailure::Timeout(Duration::from_secs(1)), "timeout", false, 5),
            (RequestFailure::ConnectionLost(text()), "connection_lost", false, 5),
            (RequestFailure::Unauthorized(text()), "http_401", false, 0),
            (RequestFailure::Status { code: 502, detail: text() }, "http_502", false, 5),
            (RequestFailure::Status { code: 504, detail: text() }, "http_504", false, 5),
            (RequestFailure::Status { code: 422, detail: text() }, "http_422", false, 0),
            (RequestFailure::NotJson(text()), "not_json", false, 5),
            (RequestFailure::NotTrips(text()), "not_trips", false, 5),
            (RequestFailure::TripCount { asked: 5, got: 4 }, "trip_count", false, 5),
            (RequestFailure::TripCount { asked: 5, got: 7 }, "trip_count", false, 7),
        ];
        let outages = ["connect", "unavailable", "timeout", "connection_lost"];
        for (failure, reason, retryable, uncertain) in cases {
            assert_eq!(failure.is_outage(), outages.contains(&reason), "{failure}");
            assert_eq!(failure.reason(), reason);
            assert_eq!(failure.is_retryable(), retryable, "{failure}");
            assert_eq!(failure.uncertain_trips(5), uncertain, "{failure}");
        }
    }
}
