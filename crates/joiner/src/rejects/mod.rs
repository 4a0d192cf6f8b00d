//! Makes the records of the rejects topic, for rows that can't take part in the join (rule 7).

mod reason;
mod times;

use kafka::headers::{self, Origin};
use kafka::partitioner::partition_for;
use kafka::transaction::Record;
use rdkafka::message::OwnedHeaders;

use crate::consumer_record::ConsumerRecord;
use crate::topology::Stream;

pub(crate) use reason::{Reason, RowFault};
pub(crate) use times::RejectTimes;

/// The row without its content, in case the record is too large: a row that was compressed may exceed a limit when it
/// is written again. The headers of the reject still say where the row lies.
pub(crate) const fn without_content<'r>(row: &ConsumerRecord<'r>) -> ConsumerRecord<'r> {
    ConsumerRecord { key: None, value: None, headers: None, ..*row }
}

/// The record for the rejects topic: the row as it came, with the fault in its headers.
///
/// `origin` is where the row was first read. The reject of a forwarded row also keeps the two headers that it got when
/// it was forwarded.
pub(crate) fn record<'r>(
    rejects: &'r Stream,
    connector: &str,
    row: &ConsumerRecord<'r>,
    origin: &Origin,
    fault: &RowFault,
) -> Record<'r> {
    let headers = headers::copied(row.headers);
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
    // A row without a key keeps its partition number, as far as the topic has so many.
    let partition = match row.key {
        Some(key) => partition_for(key, rejects.partitions),
        None => origin.partition % rejects.partitions,
    };
    Record {
        topic: &rejects.name,
        partition,
        key: row.key,
        value: row.value,
        timestamp_ms: row.timestamp_ms,
        headers: Some(headers),
    }
}

/// The longest message that is kept. Some messages quote the fault, and that may be the whole row.
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
        let row = ConsumerRecord {
            topic: "trips",
            partition: 4,
            offset: 7,
            key: None,
            value: Some(b"garbage"),
            timestamp_ms: Some(1_000),
            headers: Some(own.as_borrowed()),
        };
        let origin = Origin { topic: "trips".to_owned(), partition: 4, offset: 7 };
        let fault = RowFault { reason: Reason::Undecodable, message: "no magic byte".to_owned() };
        let record = record(&rejects, "joiner", &row, &origin, &fault);
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
