//! Forwards rows to their home task through the repartition topic, and the watermarks behind them (rule 8).

use join::{RowOrigin, Watermark};
use kafka::headers::{self, ORIGIN, SIDE, WATERMARKS};
use kafka::transaction::Record;
use models::{Partition, Side};
use rdkafka::message::OwnedHeaders;
use serde::{Deserialize, Serialize};

use crate::consumer_record::ConsumerRecord;
use crate::rejects::{Reason, RowFault};
use crate::topology::Stream;

/// The form of a watermark record's value. It is the value of the record's header.
const FORM: &str = "1";

/// The watermark of one task's inputs, as the other tasks are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentWatermark {
    /// The task.
    pub(crate) task: Partition,
    /// Its inputs' watermark.
    #[serde(rename = "mark")]
    pub(crate) watermark: Watermark,
}

/// What a record of the repartition topic is.
#[derive(Debug, PartialEq)]
pub(crate) enum RepartitionRecord {
    /// A row of this side, and where it was first read.
    Row(Side, headers::Origin),
    /// Watermarks of other tasks.
    Watermarks(Vec<SentWatermark>),
    /// Neither. Only joiners should write to the topic.
    Stray(RowFault),
}

/// The record that takes a row to its home task.
///
/// Key, value, timestamp and headers stay as they came, in case the row is rejected there. Our headers are the last
/// ones, so that they are found without a look at the others.
pub(crate) fn forward<'r>(
    repartition: &'r Stream,
    home: Partition,
    side: Side,
    record: &ConsumerRecord<'r>,
) -> Record<'r> {
    let origin = origin_of(record).to_string();
    let headers = headers::with(headers::copied(record.headers), ORIGIN, &origin);
    Record {
        topic: &repartition.name,
        partition: home,
        key: record.key,
        value: record.value,
        timestamp_ms: record.timestamp_ms,
        headers: Some(headers::with(headers, SIDE, side.as_str())),
    }
}

/// The value of a watermark record.
pub(crate) fn watermarks_value(watermarks: &[SentWatermark]) -> Vec<u8> {
    serde_json::to_vec(watermarks).expect("plain numbers can be written as JSON")
}

/// The record that takes `value`, which [`watermarks_value`] has made, to the task `home`.
pub(crate) fn watermarks_record<'r>(
    repartition: &'r Stream,
    home: Partition,
    value: &'r [u8],
) -> Record<'r> {
    Record {
        topic: &repartition.name,
        partition: home,
        key: None,
        value: Some(value),
        timestamp_ms: None,
        headers: Some(headers::with(OwnedHeaders::new(), WATERMARKS, FORM)),
    }
}

/// Finds out what a record of the repartition topic is.
pub(crate) fn read(record: &ConsumerRecord<'_>) -> RepartitionRecord {
    match parse(record) {
        Ok(forwarded) => forwarded,
        Err(message) => RepartitionRecord::Stray(RowFault { reason: Reason::NoOrigin, message }),
    }
}

fn parse(record: &ConsumerRecord<'_>) -> Result<RepartitionRecord, String> {
    if headers::nth_last(record.headers, 0, WATERMARKS) == Some(FORM.as_bytes()) {
        let watermarks = serde_json::from_slice(record.value.unwrap_or_default());
        return watermarks
            .map(RepartitionRecord::Watermarks)
            .map_err(|error| format!("watermarks: {error}"));
    }
    let text = |n, name: &str| {
        let value = headers::nth_last(record.headers, n, name);
        let value = value.ok_or_else(|| format!("header {name} is missing"))?;
        std::str::from_utf8(value).map_err(|_| format!("header {name} is not UTF-8"))
    };
    let side = text(0, SIDE)?;
    let side = Side::ALL.into_iter().find(|known| known.as_str() == side);
    let side = side.ok_or_else(|| format!("header {SIDE} names no side"))?;
    let origin = text(1, ORIGIN)?.parse().map_err(|error| format!("header {ORIGIN}: {error}"))?;
    Ok(RepartitionRecord::Row(side, origin))
}

/// Where a record lies.
pub(crate) fn origin_of(record: &ConsumerRecord<'_>) -> headers::Origin {
    headers::Origin {
        topic: record.topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
    }
}

/// The same origin in the join's words, which knows the topic by the side.
pub(crate) fn row_origin(origin: &headers::Origin) -> RowOrigin {
    RowOrigin { partition: origin.partition, offset: origin.offset }
}

#[cfg(test)]
mod tests {
    use models::EventTime;

    use super::*;

    fn sent<'r>(record: &'r Record<'r>, topic: &'r str) -> ConsumerRecord<'r> {
        ConsumerRecord {
            topic,
            partition: record.partition,
            offset: 0,
            key: record.key,
            value: record.value,
            timestamp_ms: record.timestamp_ms,
            headers: record.headers.as_ref().map(OwnedHeaders::as_borrowed),
        }
    }

    fn topic() -> Stream {
        Stream { name: "repartition".to_owned(), partitions: 3 }
    }

    #[test]
    fn a_forwarded_row_says_where_it_comes_from() {
        let own = headers::with(OwnedHeaders::new(), "trace", "42");
        let row = ConsumerRecord {
            topic: "drivers",
            partition: 1,
            offset: 99,
            key: Some(b"driver-7"),
            value: Some(b"value"),
            timestamp_ms: Some(5),
            headers: Some(own.as_borrowed()),
        };
        let topic = topic();
        let record = forward(&topic, 2, Side::Driver, &row);
        assert_eq!((record.partition, record.timestamp_ms), (2, Some(5)));
        assert_eq!((record.key, record.value), (row.key, row.value));
        assert_eq!(
            read(&sent(&record, "repartition")),
            RepartitionRecord::Row(Side::Driver, origin_of(&row))
        );
    }

    #[test]
    fn watermarks_survive_their_record() {
        let watermarks = vec![
            SentWatermark {
                task: 0,
                watermark: Watermark { at: EventTime::from_millis(7), idle: false },
            },
            SentWatermark { task: 1, watermark: Watermark { at: EventTime::MIN, idle: true } },
        ];
        let (topic, value) = (topic(), watermarks_value(&watermarks));
        // As other releases write and read it.
        let text = r#"{"task":0,"mark":{"at":7,"idle":false}}"#;
        assert!(String::from_utf8_lossy(&value).contains(text));
        let record = watermarks_record(&topic, 1, &value);
        assert_eq!(read(&sent(&record, "repartition")), RepartitionRecord::Watermarks(watermarks));
    }

    #[test]
    fn a_record_of_somebody_else_is_a_stray() {
        let record = Record { topic: "repartition", value: Some(b"x"), ..Record::default() };
        assert!(matches!(read(&sent(&record, "repartition")), RepartitionRecord::Stray(_)));
    }
}
