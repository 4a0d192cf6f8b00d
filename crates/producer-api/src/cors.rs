//! Which web pages may use the API from a browser (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::fmt;

use actix_cors::Cors;
use actix_web::http::Uri;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::headers::{ATOMIC, IDEMPOTENCY_KEY, REPLAYED};
use crate::trace;

/// Stands for all origins.
const ANY: &str = "*";
/// How long a browser may remember a preflight's answer, in seconds: Starlette's default.
const MAX_AGE: usize = 600;

/// The headers for `origins`, each of which [has no flaw](flaw).
pub(crate) fn middleware(origins: &[String]) -> Cors {
    let allowed: [HeaderName; 8] = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        ATOMIC.clone(),
        IDEMPOTENCY_KEY.clone(),
        trace::REQUEST_ID.clone(),
        trace::TRACEPARENT.clone(),
        trace::TRACESTATE.clone(),
    ];
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers(allowed)
        .expose_headers([trace::REQUEST_ID.clone(), REPLAYED.clone(), RETRY_AFTER])
        .max_age(MAX_AGE);
    if origins.iter().any(|origin| origin == ANY) {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Why a browser would never name this origin, if so.
pub(crate) fn flaw(origin: &str) -> Option<&'static str> {
    if origin == ANY {
        return None;
    }
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let Some(rest) = rest else { return Some("must begin with http:// or https://") };
    if rest.contains(['/', '?', '#', '@']) {
        return Some("must end after host and port");
    }
    if rest.contains('*') {
        return Some("must be one origin; only \"*\" by itself stands for all");
    }
    if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("must be in lower case, as browsers write it");
    }
    let is_one = |uri: &Uri| {
        let has_port = uri.authority().is_some_and(|all| all.as_str() != uri.host().unwrap_or(""));
        uri.host().is_some_and(|host| !host.is_empty()) && has_port == uri.port_u16().is_some()
    };
    if !origin.parse::<Uri>().is_ok_and(|uri| is_one(&uri)) {
        return Some("must be a host, and a port if it is not the usual one");
    }
    // Browsers leave these out, so such an origin would match none.
    let usual = if origin.starts_with("https:") { ":443" } else { ":80" };
    if rest.ends_with(usual) {
        return Some("must be without the port that is the usual one");
    }
    None
}

/// A list, or as the environment and flags have it, a text with commas.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Origins;

    impl<'de> Visitor<'de> for Origins {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of origins, or a text with commas between them")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            Ok(origins.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut origins = Vec::new();
            while let Some(origin) = items.next_element()? {
                origins.push(origin);
            }
            Ok(origins)
        }
    }

    deserializer.deserialize_any(Origins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for origin in [
            "*",
            "https://example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "http://10.0.0.1",
            "http://example.com:443",
            "https://example.com:80",
            "https://example.com:8443",
            "https://[2001:db8::443]",
        ] {
            assert_eq!(flaw(origin), None, "{origin}");
        }
        for (origin, expected) in [
            ("example.com", "http://"),
            ("ftp://example.com", "http://"),
            ("", "http://"),
            ("https://example.com/", "end after"),
            ("https://example.com/app", "end after"),
            ("https://me@example.com", "end after"),
            ("https://*.example.com", "one origin"),
            ("https://Example.com", "lower case"),
            ("https://", "a host"),
            ("https://:80", "a host"),
            ("https://example.com:", "a host"),
            ("https://example.com:x", "a host"),
            ("https://example.com:443", "without the port"),
            ("http://[::1]:80", "without the port"),
            ("https://exa mple.com", "a host"),
        ] {
            let flaw = flaw(origin);
            assert!(flaw.is_some_and(|flaw| flaw.contains(expected)), "{origin}: {flaw:?}");
        }
    }

    #[test]
    fn a_list_may_be_written_as_a_text() {
        let read = |json: &str| list(&mut serde_json::Deserializer::from_str(json));
        let expected = ["https://a", "https://b"].map(str::to_owned);
        assert_eq!(read(r#"["https://a","https://b"]"#).unwrap(), expected);
        assert_eq!(read(r#""https://a, https://b""#).unwrap(), expected);
        assert!(read(r#""""#).unwrap().is_empty());
        assert!(read("7").is_err());
    }
}
