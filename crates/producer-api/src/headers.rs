//! The headers that say how a request is to be written and answered: `Tripstream-Atomic`, `Idempotency-Key` and `Accept`.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, HeaderMap, HeaderName};

use crate::idempotency::key::{IdempotencyKey, InvalidKey};

/// All records of the request in one transaction: `true` or `false`.
pub(crate) static ATOMIC: HeaderName = HeaderName::from_static("tripstream-atomic");
/// draft-ietf-httpapi-idempotency-key-header.
pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Of an answer: the records were written for an earlier request with the same key.
pub(crate) static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// One JSON value a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// A header that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHeader {
    #[error("the header Tripstream-Atomic must be true or false")]
    Atomic,
    #[error("the header Idempotency-Key {0}")]
    Key(#[from] InvalidKey),
}

/// How the records are to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Each record by itself.
    Plain,
    /// All in one transaction.
    Atomic,
    /// All in one transaction, and once for this key.
    Once(IdempotencyKey),
}

/// Reads how the records are to be written; `atomic` is what holds for a request that doesn't say.
pub(crate) fn writing(request: &HttpRequest, atomic: bool) -> Result<Writing, InvalidHeader> {
    let headers = request.headers();
    if let Some(key) = only(headers, &IDEMPOTENCY_KEY, InvalidKey::NotOne)? {
        return Ok(Writing::Once(IdempotencyKey::from_header(key)?));
    }
    let wanted = match only(headers, &ATOMIC, InvalidHeader::Atomic)? {
        None => atomic,
        Some(value) if value.eq_ignore_ascii_case(b"true") => true,
        Some(value) if value.eq_ignore_ascii_case(b"false") => false,
        Some(_) => return Err(InvalidHeader::Atomic),
    };
    Ok(if wanted { Writing::Atomic } else { Writing::Plain })
}

/// The value of a header that may be there once.
fn only<'h, E>(headers: &'h HeaderMap, name: &HeaderName, twice: E) -> Result<Option<&'h [u8]>, E> {
    let mut values = headers.get_all(name);
    let first = values.next();
    match values.next() {
        Some(_) => Err(twice),
        None => Ok(first.map(|value| value.as_bytes().trim_ascii())),
    }
}

/// Whether the client takes one JSON value a line.
pub(crate) fn accepts_lines(request: &HttpRequest) -> bool {
    let ranges = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(NDJSON));
        // RFC 9110, 12.4.2: a weight of 0 means "not acceptable".
        named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> HttpRequest {
        let request = TestRequest::post();
        headers
            .iter()
            .fold(request, |request, header| request.append_header(*header))
            .to_http_request()
    }

    #[test]
    fn the_headers_say_how_records_are_written() {
        let key = |key: &str| Writing::Once(IdempotencyKey::from_header(key.as_bytes()).unwrap());
        for (headers, by_default, expected) in [
            (&[][..], false, Ok(Writing::Plain)),
            (&[], true, Ok(Writing::Atomic)),
            (&[("Tripstream-Atomic", "true")], false, Ok(Writing::Atomic)),
            (&[("Tripstream-Atomic", " True ")], false, Ok(Writing::Atomic)),
            (&[("Tripstream-Atomic", "false")], true, Ok(Writing::Plain)),
            (&[("Tripstream-Atomic", "1")], false, Err(InvalidHeader::Atomic)),
            (
                &[("Tripstream-Atomic", "true"), ("Tripstream-Atomic", "true")],
                false,
                Err(InvalidHeader::Atomic),
            ),
            (&[("Idempotency-Key", "k")], false, Ok(key("k"))),
            (&[("Idempotency-Key", "k"), ("Tripstream-Atomic", "false")], false, Ok(key("k"))),
            (&[("Idempotency-Key", "")], false, Err(InvalidKey::Length.into())),
            (
                &[("Idempotency-Key", "k"), ("Idempotency-Key", "l")],
                false,
                Err(InvalidKey::NotOne.into()),
            ),
        ] {
            assert_eq!(writing(&request(headers), by_default), expected, "{headers:?}");
        }
    }

    #[test]
    fn lines_are_for_clients_that_name_them() {
        for (accept, expected) in [
            ("application/x-ndjson", true),
            ("application/json, Application/X-NDJSON;q=0.5", true),
            ("application/x-ndjson; q=0", false),
            ("*/*", false),
            ("application/json", false),
        ] {
            assert_eq!(accepts_lines(&request(&[("Accept", accept)])), expected, "{accept}");
        }
        assert!(!accepts_lines(&request(&[])));
    }
}
