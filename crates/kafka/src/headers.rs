//! Names of record headers, and how they are built and read.
//!
//! A rejected row carries what Kafka Connect puts on its dead letters (KIP-298), so that tools which read
//! those read ours. A forwarded row carries where it came from.

use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

/// Topic that the row was read from (KIP-298).
pub const ERROR_TOPIC: &str = "__connect.errors.topic";
/// Partition that the row was read from, in decimal (KIP-298).
pub const ERROR_PARTITION: &str = "__connect.errors.partition";
/// Offset of the row, in decimal (KIP-298).
pub const ERROR_OFFSET: &str = "__connect.errors.offset";
/// Who rejected it (KIP-298 names a connector here).
pub const ERROR_CONNECTOR_NAME: &str = "__connect.errors.connector.name";
/// What was being done when the error occurred (KIP-298).
pub const ERROR_STAGE: &str = "__connect.errors.stage";
/// The kind of the error (KIP-298 names a Java class here).
pub const ERROR_CLASS_NAME: &str = "__connect.errors.exception.class.name";
/// What was wrong, in words (KIP-298).
pub const ERROR_MESSAGE: &str = "__connect.errors.exception.message";
/// Why the row was rejected, as one word: ours, beside Connect's.
pub const REASON: &str = "reason";

/// The time of a rejected row in milliseconds since the Unix epoch, if the rejects topic would not take it.
pub const TIMESTAMP: &str = "tripstream.timestamp";

/// Where a forwarded row was read: `topic/partition/offset`.
pub const ORIGIN: &str = "tripstream.origin";
/// Which stream a forwarded row belongs to: `trip`, `driver` or `rider`.
pub const SIDE: &str = "tripstream.side";
/// Marks a record as a watermark between tasks instead of a row; the value is the form of its payload.
pub const WATERMARKS: &str = "tripstream.watermarks";

/// Adds one header with a text value.
#[must_use]
pub fn with(headers: OwnedHeaders, name: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key: name, value: Some(value) })
}

/// All headers of a record, in their order, to write them on again.
pub fn copied(headers: Option<&BorrowedHeaders>) -> OwnedHeaders {
    headers.map_or_else(OwnedHeaders::new, BorrowedHeaders::detach)
}

/// The value of the last header called `name`: a later one overrides an earlier one.
///
/// # Panics
///
/// If a header behind it has a name that is not UTF-8: rdkafka can't read such a name. Where others may have
/// written the headers, ask [`nth_last`] for the few that we added ourselves.
pub fn last<'h>(headers: Option<&'h BorrowedHeaders>, name: &str) -> Option<&'h [u8]> {
    let headers = headers?;
    (0..headers.count()).rev().map(|index| headers.get(index)).find(|h| h.key == name)?.value
}

/// The value of the header at place `n` from the end (0 is the last), if it is called `name`. Looks at no other.
pub fn nth_last<'h>(
    headers: Option<&'h BorrowedHeaders>,
    n: usize,
    name: &str,
) -> Option<&'h [u8]> {
    let headers = headers?;
    let index = headers.count().checked_sub(n + 1)?;
    headers.try_get(index).filter(|header| header.key == name)?.value
}

/// A record's place in Kafka: what a reject or a forwarded row says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl std::fmt::Display for Origin {
    /// As in the header [`ORIGIN`]. A topic's name has no slash (only letters, digits, `.`, `_` and `-`).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// The error of parsing an [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no topic/partition/offset")]
pub struct NotAnOrigin(String);

impl std::str::FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('/');
            let topic = parts.next().filter(|topic| !topic.is_empty())?.to_owned();
            let partition = parts.next()?.parse().ok()?;
            let offset = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { topic, partition, offset })
        };
        parse().ok_or_else(|| NotAnOrigin(text.to_owned()))
    }
}

impl Origin {
    /// Adds Connect's headers of this place.
    #[must_use]
    pub fn as_error_headers(&self, headers: OwnedHeaders) -> OwnedHeaders {
        let headers = with(headers, ERROR_TOPIC, &self.topic);
        let headers = with(headers, ERROR_PARTITION, &self.partition.to_string());
        with(headers, ERROR_OFFSET, &self.offset.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_survives_its_header() {
        let origin = Origin { topic: "hw.fake.trips".to_owned(), partition: 2, offset: 41 };
        assert_eq!(origin.to_string(), "hw.fake.trips/2/41");
        assert_eq!(origin.to_string().parse(), Ok(origin));
        for broken in ["", "t", "t/1", "t/x/1", "t/1/2/3", "/1/2"] {
            assert!(broken.parse::<Origin>().is_err(), "{broken}");
        }
    }

    #[test]
    fn the_last_header_of_a_name_counts() {
        let headers = with(OwnedHeaders::new(), REASON, "first");
        let headers = with(headers, SIDE, "trip");
        let headers = with(headers, REASON, "second");
        let read = Some(headers.as_borrowed());
        assert_eq!(last(read, REASON), Some(b"second".as_slice()));
        assert_eq!(last(read, ORIGIN), None);
        assert_eq!(last(None, REASON), None);
        assert_eq!(nth_last(read, 1, SIDE), Some(b"trip".as_slice()));
        assert_eq!(nth_last(read, 0, SIDE), None);
        assert_eq!(nth_last(read, 3, SIDE), None);
        assert_eq!(copied(read).count(), 3);
    }

    #[test]
    fn rejects_name_their_place_as_connect_does() {
        let origin = Origin { topic: "t".to_owned(), partition: 1, offset: 7 };
        let headers = origin.as_error_headers(OwnedHeaders::new());
        let read = |name| last(Some(headers.as_borrowed()), name);
        assert_eq!(read("__connect.errors.topic"), Some(b"t".as_slice()));
        assert_eq!(read("__connect.errors.partition"), Some(b"1".as_slice()));
        assert_eq!(read("__connect.errors.offset"), Some(b"7".as_slice()));
    }
}
