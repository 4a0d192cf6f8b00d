//! The timestamp of a reject. It stays as it came, unless the rejects topic would refuse the record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka::KafkaConfig;
use kafka::headers::{self, TIMESTAMP};
use kafka::timestamps::{TimestampLimits, limits};
use kafka::transaction::Record;
use service::with_causes;
use tracing::{debug, warn};

use crate::topology::Topology;

/// How often Kafka is asked for the topic's limits: somebody may have changed them.
const INTERVAL: Duration = Duration::from_secs(60);
/// How far the brokers' clocks may be from ours, in ms.
const CLOCKS_APART_MS: i64 = 60_000;

/// Which timestamps the rejects topic accepts. Clones share it.
#[derive(Clone)]
pub(crate) struct RejectTimes(Arc<Mutex<TimestampLimits>>);

impl RejectTimes {
    /// The limits that are assumed until Kafka has answered.
    pub(crate) fn unknown() -> Self {
        Self(Arc::new(Mutex::new(TimestampLimits::OF_KAFKA_4)))
    }

    /// Asks Kafka. Warns if another topic could refuse a row that the joiner accepts.
    pub(crate) async fn ask(&self, kafka: &KafkaConfig, topology: &Topology, max_future: Duration) {
        let rejects = topology.rejects.name.as_str();
        let others = [&topology.joined, &topology.unmatched, &topology.repartition];
        let others = others.map(|stream| stream.name.as_str());
        let topics = [&[rejects], &others[..]].concat();
        let limits = match limits(kafka, &topics).await {
            Ok(limits) => limits,
            Err(error) => {
                debug!(error = %with_causes(&error), "asking which timestamps the topics take");
                return;
            }
        };
        if let Some(limits) = limits.get(rejects) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = *limits;
        }
        let max_future_ms = i64::try_from(max_future.as_millis()).unwrap_or(i64::MAX);
        for (topic, limits) in limits {
            if topic != rejects && limits.after_ms < max_future_ms {
                warn!(
                    topic,
                    "the topic refuses records that joiner.max_future lets in, and the joiner could not go on: \
                     raise the topic's message.timestamp.after.max.ms, or lower joiner.max_future"
                );
            }
        }
    }

    /// Asks again and again, until it is dropped.
    pub(crate) async fn watch(self, kafka: KafkaConfig, topology: Topology, max_future: Duration) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.ask(&kafka, &topology, max_future).await;
        }
    }

    /// The record as the topic accepts it. If its timestamp is outside of the limits, it gets the present time, and
    /// keeps its own timestamp in a header.
    pub(crate) fn allowed<'r>(&self, record: Record<'r>) -> Record<'r> {
        let limits = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        within(limits, record, since.as_millis() as i64)
    }
}

fn within(limits: TimestampLimits, mut record: Record<'_>, now_ms: i64) -> Record<'_> {
    let refused = |time: &i64| !limits.take(*time, now_ms, CLOCKS_APART_MS);
    if let Some(time) = record.timestamp_ms.filter(refused) {
        record.timestamp_ms = Some(now_ms);
        let headers = record.headers.unwrap_or_default();
        record.headers = Some(headers::with(headers, TIMESTAMP, &time.to_string()));
    }
    record
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;

    #[test]
    fn a_time_that_would_be_refused_moves_into_a_header() {
        let now = 1_800_000_000_000;
        let hour = 3_600_000;
        let written = |time: Option<i64>, limits| {
            let record = within(limits, Record { timestamp_ms: time, ..Record::default() }, now);
            let header = record.headers.as_ref().map(OwnedHeaders::as_borrowed);
            let header = headers::last(header, TIMESTAMP)
                .map(|value| String::from_utf8_lossy(value).into_owned());
            (record.timestamp_ms, header)
        };
        let kept = |time: i64| (Some(time), None);
        let moved = |time: i64| (Some(now), Some(time.to_string()));
        let kafka_4 = TimestampLimits::OF_KAFKA_4;
        let week = TimestampLimits { before_ms: 7 * 24 * hour, ..TimestampLimits::NONE };
        for (time, limits, expected) in [
            (now, kafka_4, kept(now)),
            (now + hour / 2, kafka_4, kept(now + hour / 2)),
            (now + hour, kafka_4, moved(now + hour)),
            (now + 48 * hour, kafka_4, moved(now + 48 * hour)),
            (now + 48 * hour, TimestampLimits::NONE, kept(now + 48 * hour)),
            (0, kafka_4, kept(0)),
            (0, week, moved(0)),
        ] {
            assert_eq!(written(Some(time), limits), expected, "{time} within {limits:?}");
        }
        assert_eq!(written(None, kafka_4), (None, None));
    }
}
