//! Reading an answer of `generate-multiple-trips`: does it hold as many trips as asked?

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::RequestFailure;

/// How much of an unexpected answer is quoted, in characters.
const EXCERPT_CHARS: usize = 160;

/// The part of a trip that is looked at. The rest is skipped, not kept: an answer may hold 10,000 trips.
#[derive(Deserialize)]
struct AnsweredTrip<'a> {
    #[serde(borrow)]
    trip_id: Cow<'a, str>,
}

/// Judges a complete answer to a request for `asked` trips.
pub(crate) fn judge(
    asked: u32,
    status: u16,
    retry_after: Option<&str>,
    body: &[u8],
) -> Result<(), RequestFailure> {
    match status {
        200 => {}
        503 => {
            let retry_after =
                retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            return Err(RequestFailure::Unavailable { detail: excerpt(body), retry_after });
        }
        401 => return Err(RequestFailure::Unauthorized(excerpt(body))),
        code => return Err(RequestFailure::Status { code, detail: excerpt(body) }),
    }
    let trips: Vec<AnsweredTrip<'_>> = serde_json::from_slice(body).map_err(|err| {
        if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            RequestFailure::NotTrips(err.to_string())
        } else {
            RequestFailure::NotJson(excerpt(body))
        }
    })?;
    if let Some(position) = trips.iter().position(|trip| trip.trip_id.is_empty()) {
        return Err(RequestFailure::NotTrips(format!("trip_id of number {position} is empty")));
    }
    let got = u32::try_from(trips.len()).unwrap_or(u32::MAX);
    if got == asked { Ok(()) } else { Err(RequestFailure::TripCount { asked, got }) }
}

/// The beginning of `body` on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let head = &body[..body.len().min(EXCERPT_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = words.chars().take(EXCERPT_CHARS).collect();
    if short.len() < words.len() || head.len() < body.len() {
        short.push('…');
    }
    if short.is_empty() { "(empty)".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: u32, status: u16, body: &str, want: &str) {
        let got = judge(asked, status, None, body.as_bytes());
        let got = got.map_or_else(|failure| failure.to_string(), |()| "ok".to_owned());
        assert_eq!(got, want, "{status} {body}");
    }

    #[test]
    fn an_answer_is_good_only_with_as_many_trips_as_asked() {
        check(2, 200, r#"[{"trip_id":"a","trip_data":{"x":[1]}},{"trip_id":"b\u0041"}]"#, "ok");
        check(0, 200, "[]", "ok");
        check(2, 200, r#"[{"trip_id":"a"}]"#, "asked for 2 trips, the answer holds 1");
        check(
            1,
            200,
            r#"[{"trip_id":"a"},{"trip_id":"b"}]"#,
            "asked for 1 trips, the answer holds 2",
        );
        check(
            1,
            200,
            r#"[{"trip_id":""}]"#,
            "the answer is not an array of trips: trip_id of number 0 is empty",
        );
        check(
            1,
            200,
            r#"[{"id":"a"}]"#,
            "the answer is not an array of trips: missing field `trip_id` at line 1 column 11",
        );
        check(
            1,
            200,
            r#"{"detail":"no"}"#,
            "the answer is not an array of trips: invalid type: map, expected a sequence at line 1 column 0",
        );
        check(1, 200, "<html>\n  hello", "the answer is not JSON: <html> hello");
        check(1, 200, r#"[{"trip_id":"a"}"#, r#"the answer is not JSON: [{"trip_id":"a"}"#);
        check(1, 200, "", "the answer is not JSON: (empty)");
        check(1, 502, r#"{"detail":"x"}"#, r#"the API answered 502: {"detail":"x"}"#);
        check(
            1,
            401,
            r#"{"detail":"Not authenticated"}"#,
            r#"the API does not let us in (401): {"detail":"Not authenticated"}; set client.bearer_token to what it has as producer.bearer_token"#,
        );
        check(1, 503, "busy", "the API is not available (503): busy");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_ignored_as_a_date() {
        for (header, want) in [
            (Some("2"), Some(Duration::from_secs(2))),
            (Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
            (None, None),
        ] {
            let Err(RequestFailure::Unavailable { retry_after, .. }) = judge(1, 503, header, b"")
            else {
                panic!("503 must be Unavailable");
            };
            assert_eq!(retry_after, want);
        }
    }

    #[test]
    fn a_long_answer_is_quoted_in_part() {
        let quoted = excerpt("ä".repeat(1000).as_bytes());
        assert_eq!(quoted.chars().count(), EXCERPT_CHARS + 1);
        assert!(quoted.ends_with('…'));
    }
}
