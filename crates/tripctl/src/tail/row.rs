//! One row as one line of JSON.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, UNIX_EPOCH};

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use serde_json::{Map, Value, json};

/// How many bytes of a value that can't be decoded are shown.
const SHOWN_BYTES: usize = 256;

/// A row whose value was decoded, or why it was not.
pub(super) fn line(message: &BorrowedMessage<'_>, decoded: Option<Result<Value, String>>) -> Value {
    let mut row = json!({
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp().to_millis().map(timestamp),
        "key": message.key().map(text),
    });
    let fields = row.as_object_mut().expect("an object");
    let headers = headers(message);
    if !headers.is_empty() {
        fields.insert("headers".to_owned(), Value::Object(headers));
    }
    match decoded {
        None => {
            fields.insert("value".to_owned(), Value::Null);
        }
        Some(Ok(value)) => {
            fields.insert("value".to_owned(), value);
        }
        Some(Err(error)) => {
            fields.insert("error".to_owned(), error.into());
            let bytes = message.payload().unwrap_or_default();
            fields.insert("length".to_owned(), bytes.len().into());
            fields.insert("bytes".to_owned(), hex(&bytes[..bytes.len().min(SHOWN_BYTES)]).into());
        }
    }
    row
}

/// `2026-11-22T23:13:49.281Z`; the number itself if it is no time that can be written.
fn timestamp(ms: i64) -> Value {
    // The end of the year 9999, where RFC 3339 ends.
    const LAST_MS: i64 = 253_402_300_799_999;
    if !(0..=LAST_MS).contains(&ms) {
        return ms.into();
    }
    let at = UNIX_EPOCH + Duration::from_millis(ms.cast_unsigned());
    humantime::format_rfc3339_millis(at).to_string().into()
}

/// Text as it is, other bytes in hexadecimal.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").expect("writing to a String does not fail");
    }
    out
}

/// The headers by name; a name that occurs again has all its values, in their order.
fn headers(message: &BorrowedMessage<'_>) -> Map<String, Value> {
    let mut all = Map::new();
    let Some(headers) = message.headers() else { return all };
    for index in 0..headers.count() {
        // rdkafka panics at a name that is not UTF-8, which any client may write.
        let header = catch_unwind(AssertUnwindSafe(|| headers.get(index)));
        let (name, value) = match &header {
            Ok(header) => {
                (header.key, header.value.map_or(Value::Null, |value| text(value).into()))
            }
            Err(_) => ("(not UTF-8)", Value::Null),
        };
        match all.get_mut(name) {
            None => {
                all.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_written_are_numbers() {
        assert_eq!(timestamp(1_795_389_229_281), "2026-11-22T23:13:49.281Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(-1), -1);
        assert_eq!(timestamp(i64::MAX), i64::MAX);
    }

    #[test]
    fn bytes_that_are_no_text_are_hexadecimal() {
        assert_eq!(text(b"a1"), "a1");
        assert_eq!(text(b"\xff\x00"), "0xff00");
    }
}
