//! A record as the consumer delivers it.

use models::Partition;
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders, OwnedMessage};

/// A record that was read. It borrows from a message of librdkafka, or from a detached copy.
#[derive(Clone, Copy)]
pub(crate) struct ConsumerRecord<'m> {
    pub(crate) topic: &'m str,
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    /// Milliseconds since the Unix epoch, if the record has a timestamp.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) headers: Option<&'m BorrowedHeaders>,
}

impl<'m> From<&'m BorrowedMessage<'_>> for ConsumerRecord<'m> {
    fn from(message: &'m BorrowedMessage<'_>) -> Self {
        Self::of(message, message.headers())
    }
}

impl<'m> From<&'m OwnedMessage> for ConsumerRecord<'m> {
    fn from(message: &'m OwnedMessage) -> Self {
        Self::of(message, message.headers().map(OwnedHeaders::as_borrowed))
    }
}

impl<'m> ConsumerRecord<'m> {
    fn of(message: &'m impl Message, headers: Option<&'m BorrowedHeaders>) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            timestamp_ms: message.timestamp().to_millis(),
            headers,
        }
    }
}
