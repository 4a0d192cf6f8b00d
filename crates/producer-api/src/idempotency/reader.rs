//! From the topic of keys to what is known.

use std::convert::Infallible;
use std::time::Duration;

use kafka::KafkaConfig;
use kafka::read_to_end::{self, OffsetRange, TopicReader, Watch};
use models::Partition;
use rdkafka::Message;
use rdkafka::error::KafkaError;
use tracing::warn;

use super::entry::KeyEntry;
use super::key::IdempotencyKey;
use crate::error::Error;

/// The only partition that is used: who writes to it has read it to its end, so it has one order.
pub(crate) const PARTITION: Partition = 0;
/// How long nothing may come before reading is given up for this time.
const STALLED: Duration = Duration::from_secs(3);

/// Why the topic was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("reading topic {topic}: {source}")]
    Kafka { topic: String, source: KafkaError },
    #[error("reading topic {topic}: nothing came for {STALLED:?}{}", because(.last.as_ref()))]
    Stalled { topic: String, last: Option<KafkaError> },
}

fn because(last: Option<&KafkaError>) -> String {
    last.map_or_else(String::new, |error| format!(" ({error})"))
}

/// Reads the topic from where it came to last.
pub(crate) struct Reader {
    topic: String,
    keys: TopicReader,
    next: i64,
}

impl Reader {
    pub(crate) fn new(kafka: &KafkaConfig, topic: &str) -> Result<Self, Error> {
        let mut client = kafka.client()?;
        client.set("group.id", "tripstream-producer-idempotency");
        client.set("reconnect.backoff.max.ms", "1000");
        let keys = TopicReader::new(client, topic, STALLED).map_err(Error::Producer)?;
        Ok(Self { topic: topic.to_owned(), keys, next: 0 })
    }

    /// Hands over every record up to the end of what is committed when this is called. Blocks.
    pub(crate) fn catch_up(
        &mut self,
        mut apply: impl FnMut(IdempotencyKey, Option<KeyEntry>),
    ) -> Result<(), ReadError> {
        let Self { topic, keys, next } = self;
        let failed = |source| ReadError::Kafka { topic: topic.clone(), source };
        let end = keys.ends(&[PARTITION]).map_err(failed)?[0];
        if end < *next {
            // The topic is another one than before.
            *next = 0;
        }
        let range = OffsetRange { partition: PARTITION, from: *next, to: end };
        let watch = Watch { patience: STALLED, stop: &|| false, progress: &|_| {} };
        let read = keys.read(&[range], &watch, |record| {
            *next = record.offset() + 1;
            match parse(record.key(), record.payload()) {
                Ok((key, entry)) => apply(key, entry),
                Err(reason) => warn!(
                    topic,
                    offset = record.offset(),
                    "a record is no idempotency key and is left out: {reason}"
                ),
            }
            Ok::<_, Infallible>(())
        });
        read.map_err(|error| match error {
            read_to_end::ReadError::Kafka(source) => failed(source),
            read_to_end::ReadError::Stalled { last } => {
                ReadError::Stalled { topic: topic.clone(), last }
            }
            read_to_end::ReadError::Stopped => unreachable!("nobody asks it to stop"),
            read_to_end::ReadError::Record(never) => match never {},
        })
    }
}

fn parse(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<(IdempotencyKey, Option<KeyEntry>), String> {
    let key = IdempotencyKey::from_bytes(key.unwrap_or_default())
        .map_err(|error| format!("its key {error}"))?;
    let entry = value.map(KeyEntry::from_value).transpose();
    entry.map(|entry| (key, entry)).map_err(|error| error.to_string())
}
