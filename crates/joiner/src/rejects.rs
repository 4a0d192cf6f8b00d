//! Rows that can't take part in the join, on their way to the rejects topic (rule 7).

use kafka::headers::{self, Origin};
use kafka::partitioner::partition_for;
use kafka::transaction::Record;
use prometheus_client::encoding::EncodeLabelValue;
use rdkafka::message::OwnedHeaders;

use crate::rows::Incoming;
use crate::topology::Stream;

/// Why a row was rejected: the header `reason`, and a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// It has no value.
    Tombstone,
    /// It is so large that a trip with it would not fit in one record of an output.
    TooLarge,
    /// It is not framed Avro, or not what its schema says.
    Undecodable,
    /// The registry has no schema with the id that it carries.
    UnknownSchema,
    /// It is another kind of record.
    WrongType,
    /// It belongs to no trip.
    EmptyTripId,
    /// A row in the internal topic does not say where it comes from.
    NoOrigin,
    /// The join rejected it.
    Join(join::RejectReason),
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::TooLarge => "too_large",
            Self::Undecodable => "undecodable",
            Self::UnknownSchema => "unknown_schema",
            Self::WrongType => "wrong_type",
            Self::EmptyTripId => "empty_trip_id",
            Self::NoOrigin => "no_origin",
            Self::Join(reason) => reason.as_str(),
        }
    }

    /// KIP-298's stages: a converter makes a value of the bytes, a transformation does something with it.
    const fn stage(self) -> &'static str {
        match self {
            Self::Join(_) | Self::EmptyTripId => "TRANSFORMATION",
            _ => "VALUE_CONVERTER",
        }
    }
}

impl EncodeLabelValue for Reason {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder,
    ) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// A reason with what was wrong in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl From<join::RejectReason> for Fault {
    fn from(reason: join::RejectReason) -> Self {
        let message = match reason {
            join::RejectReason::Late => {
                "the row came too late: its trip is decided, or its window is over"
            }
            join::RejectReason::Timestamp => {
                "the row has no timestamp, or one further in the future than joiner.max_future"
            }
            join::RejectReason::Duplicate => "another row has taken this side of the trip",
        };
        Self { reason: Reason::Join(reason), message: message.to_owned() }
    }
}

/// What is left of a row that can't be written once more: compressed, it may have been within a limit that it now
/// exceeds. Its headers still say where it lies.
pub(crate) const fn without_content<'r>(incoming: &Incoming<'r>) -> Incoming<'r> {
    Incoming { key: None, value: None, headers: None, ..*incoming }
}

/// The record for the rejects topic: as the row came, with what was wrong in its headers.
///
/// `origin` is where the row was first read. A row that was forwarded keeps the two headers of that, too.
pub(crate) fn record<'r>(
    rejects: &'r Stream,
    connector: &str,
    incoming: &Incoming<'r>,
    origin: &Origin,
    fault: &Fault,
) -> Record<'r> {
    let headers = headers::copied(incoming.headers);
    let headers = origin.as_error_headers(headers);
    let class = format!("tripstream.joiner.{}", fault.reason.as_str());
    let said = [
        (headers::ERROR_CONNECTOR_NAME, connector),
        (headers::ERROR_STAGE, fault.reason.stage()),
        (headers::ERROR_CLASS_NAME, &class),
        (headers::ERROR_MESSAGE, shortened(&fault.message)),
        (headers::REASON, fault.reason.as_str()),
    ];
    let headers: OwnedHeaders = said
        .into_iter()
        .fold(headers, |headers, (name, value)| headers::with(headers, name, value));
    // A row without a key goes where it lay, as far as there is such a partition.
    let partition = match incoming.key {
        Some(key) => partition_for(key, rejects.partitions),
        None => origin.partition % rejects.partitions,
    };
    Record {
        topic: &rejects.name,
        partition,
        key: incoming.key,
        value: incoming.value,
        timestamp_ms: incoming.timestamp_ms,
        headers: Some(headers),
    }
}

/// The longest message that is kept. Some quote what they complain about, and that may be the whole row.
const MAX_MESSAGE_BYTES: usize = 1_024;

fn shortened(message: &str) -> &str {
    let end = (0..=MAX_MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end));
    message
        .get(..end.unwrap_or_default())
        .filter(|start| start.len() < message.len())
        .unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let long = "é".repeat(1_000);
        assert_eq!(shortened(&long), "é".repeat(512));
        assert_eq!(shortened(&format!("a{long}")).len(), 1_023);
    }

    #[test]
    fn a_reject_is_the_row_as_it_came_and_says_why() {
        let rejects = Stream { name: "rejects".to_owned(), partitions: 3 };
        let own = headers::with(OwnedHeaders::new(), "trace", "42");
        let incoming = Incoming {
            topic: "trips",
            partition: 4,
            offset: 7,
            key: None,
            value: Some(b"garbage"),
            timestamp_ms: Some(1_000),
            headers: Some(own.as_borrowed()),
        };
        let origin = Origin { topic: "trips".to_owned(), partition: 4, offset: 7 };
        let fault = Fault { reason: Reason::Undecodable, message: "no magic byte".to_owned() };
        let record = record(&rejects, "joiner", &incoming, &origin, &fault);
        assert_eq!((record.topic, record.partition), ("rejects", 1));
        assert_eq!((record.key, record.value), (None, Some(b"garbage".as_slice())));
        assert_eq!(record.timestamp_ms, Some(1_000));
        let headers = record.headers.expect("headers");
        let read = |name| {
            let value = headers::last(Some(headers.as_borrowed()), name).expect(name);
            String::from_utf8_lossy(value).into_owned()
        };
        let names = [
            "trace",
            headers::ERROR_TOPIC,
            headers::ERROR_OFFSET,
            headers::ERROR_MESSAGE,
            "reason",
        ];
        assert_eq!(names.map(read), ["42", "trips", "7", "no magic byte", "undecodable"]);
    }
}
