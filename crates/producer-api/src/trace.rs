//! Whose request it is: its id, and the trace that it belongs to (W3C Trace Context, version 00).

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use rdkafka::message::{Header, OwnedHeaders};

/// Names a request, in both directions.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// <https://www.w3.org/TR/trace-context/#tracestate-header>
pub(crate) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The header of a record that says which request it was written for.
const RECORD_REQUEST_ID: &str = "tripstream-request-id";
/// The longest id that is taken over from a client.
const LONGEST_ID: usize = 128;
/// The longest `tracestate` that is passed on: what the recommendation asks for at least.
const LONGEST_STATE: usize = 512;

/// What a request is known by: in its answer, in the log, and in the headers of the records it writes.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Visible ASCII.
    id: HeaderValue,
    parent: Option<HeaderValue>,
    state: Option<HeaderValue>,
    /// Whether records carry it.
    on_records: bool,
}

impl Trace {
    /// Takes over what the client sent, if it is sound; makes an id if not. A `traceparent` that is not sound is
    /// ignored, and `tracestate` with it, as the recommendation says.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let id = only(headers, &REQUEST_ID).filter(|id| is_id(id.as_bytes())).cloned();
        let parent = only(headers, &TRACEPARENT).filter(|value| is_parent(value.as_bytes()));
        Self {
            id: id.unwrap_or_else(fresh_id),
            parent: parent.cloned(),
            state: parent.and_then(|_| state(headers)),
            on_records: true,
        }
    }

    /// The same for a request whose records carry it if `on_records` says so.
    pub(crate) const fn on_records(mut self, on_records: bool) -> Self {
        self.on_records = on_records;
        self
    }

    /// That of a request which the server has seen already.
    pub(crate) fn known(request: &HttpRequest) -> Arc<Self> {
        let known = request.extensions().get::<Arc<Self>>().cloned();
        known.unwrap_or_else(|| Arc::new(Self::of(request.headers())))
    }

    /// The request's id.
    pub(crate) const fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// The request's id as a text.
    pub(crate) fn id_text(&self) -> &str {
        text(&self.id)
    }

    /// The trace's id, 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.parent.as_ref().map(|parent| &text(parent)[3..35])
    }

    /// What each record of the request carries, if anything. librdkafka takes headers over with their record, so each one needs a
    /// copy: `clone` is one (`rd_kafka_headers_copy`).
    pub(crate) fn record_headers(&self) -> Option<OwnedHeaders> {
        if !self.on_records {
            return None;
        }
        let headers = [
            (RECORD_REQUEST_ID, Some(&self.id)),
            (TRACEPARENT.as_str(), self.parent.as_ref()),
            (TRACESTATE.as_str(), self.state.as_ref()),
        ];
        let present = headers.iter().filter(|(_, value)| value.is_some()).count();
        let mut owned = OwnedHeaders::new_with_capacity(present);
        for (key, value) in headers {
            if let Some(value) = value {
                owned = owned.insert(Header { key, value: Some(value.as_bytes()) });
            }
        }
        Some(owned)
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().expect("only visible ASCII is taken over")
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// A UUID, version 4.
fn fresh_id() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is visible ASCII")
}

fn is_id(value: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// `00-` trace id `-` parent id `-` flags, in lower-case hexadecimal digits, no id all zeros.
fn is_parent(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let parts: Vec<_> = value.splitn(5, |byte| *byte == b'-').collect();
    let [b"00", trace, parent, flags] = parts[..] else { return false };
    (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
        && is_hex(trace)
        && is_hex(parent)
        && is_hex(flags)
        && !is_zero(trace)
        && !is_zero(parent)
}

/// All that was sent, which may be in several headers, if it isn't too long.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(&TRACESTATE);
    let first = values.next()?;
    let all = values.fold(first.as_bytes().to_vec(), |mut all, value| {
        all.push(b',');
        all.extend_from_slice(value.as_bytes());
        all
    });
    let is_sound = (1..=LONGEST_STATE).contains(&all.len())
        && all.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    is_sound.then(|| HeaderValue::from_bytes(&all).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rdkafka::message::Headers;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn trace(headers: &[(&str, &str)]) -> Trace {
        let request = headers
            .iter()
            .fold(TestRequest::post(), |request, header| request.append_header(*header));
        Trace::of(request.to_http_request().headers())
    }

    #[test]
    fn a_sound_id_is_taken_over_and_any_other_replaced() {
        let longest = "x".repeat(LONGEST_ID);
        for id in ["a", "order/7:retry=2", &longest] {
            assert_eq!(trace(&[("X-Request-Id", id)]).id_text(), id);
        }
        let too_long = "x".repeat(LONGEST_ID + 1);
        for headers in [
            &[][..],
            &[("X-Request-Id", "")],
            &[("X-Request-Id", "a b")],
            &[("X-Request-Id", "ä")],
            &[("X-Request-Id", &too_long)],
            &[("X-Request-Id", "a"), ("X-Request-Id", "a")],
        ] {
            let [one, other] = [trace(headers), trace(headers)];
            let id: uuid::Uuid = one.id_text().parse().unwrap();
            assert_eq!(id.get_version_num(), 4, "{headers:?}");
            assert_ne!(one.id, other.id);
        }
    }

    #[test]
    fn a_trace_is_kept_if_the_recommendation_calls_it_valid() {
        assert_eq!(
            trace(&[("traceparent", PARENT)]).trace_id(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
        for other in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
        ] {
            let trace = trace(&[("traceparent", other), ("tracestate", "a=1")]);
            assert_eq!((trace.trace_id(), &trace.state), (None, &None), "{other}");
        }
        assert_eq!(trace(&[("traceparent", PARENT), ("traceparent", PARENT)]).trace_id(), None);
    }

    #[test]
    fn the_state_comes_with_its_trace_whole_or_not_at_all() {
        let (fits, too_long) = ("x".repeat(LONGEST_STATE), "x".repeat(LONGEST_STATE + 1));
        for (states, expected) in [
            (&["a=1"][..], Some("a=1")),
            (&["a=1", "b=2"], Some("a=1,b=2")),
            (&[&fits], Some(fits.as_str())),
            (&[&too_long], None),
            (&[&fits, "a=1"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers: Vec<_> = states.iter().map(|state| ("tracestate", *state)).collect();
            assert_eq!(trace(&headers).state, None, "without a traceparent");
            headers.push(("traceparent", PARENT));
            assert_eq!(trace(&headers).state.as_ref().map(text), expected);
        }
    }

    #[test]
    fn records_carry_what_there_is() {
        let names = |trace: &Trace| -> Vec<String> {
            let headers = trace.record_headers().unwrap();
            headers.iter().map(|header| header.key.to_owned()).collect()
        };
        assert_eq!(names(&trace(&[])), ["tripstream-request-id"]);
        let all = trace(&[("X-Request-Id", "r"), ("traceparent", PARENT), ("tracestate", "a=1")]);
        assert_eq!(names(&all), ["tripstream-request-id", "traceparent", "tracestate"]);
        let headers = all.record_headers().unwrap();
        let values: Vec<_> = headers.iter().map(|header| header.value.unwrap()).collect();
        assert_eq!(values, [b"r", PARENT.as_bytes(), b"a=1"]);
        assert!(all.on_records(false).record_headers().is_none());
    }
}
