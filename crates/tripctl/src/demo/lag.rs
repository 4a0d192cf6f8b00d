//! How far the joiner is behind, as Kafka's own tools tell it: the inputs' ends less the offsets its group committed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kafka::{LogContext, log_ends};
use models::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch::Sender;
use tracing::debug;

use verify::consume::{self, ConsumeError};
use verify::settings::Settings;

const EACH: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps `lag` current, in rows of the three inputs, for as long as it is polled. None where Kafka can't be asked.
pub(super) async fn follow(settings: &Settings, lag: Sender<Option<u64>>) -> Infallible {
    let group = settings.joiner().unwrap_or_default().group_id;
    let topics = settings.topics.inputs().map(|topic| topic.name.clone());
    let meter = Meter::new(settings, &group, topics);
    let meter = meter.inspect_err(|error| debug!(%error, "the lag can't be measured")).ok();
    let meter = meter.map(Arc::new);
    loop {
        if let Some(meter) = meter.clone() {
            let measured = tokio::task::spawn_blocking(move || meter.measure()).await;
            let measured = measured.expect("asking for offsets doesn't panic");
            let measured = measured.inspect_err(|error| debug!(%error, "the lag is not known"));
            lag.send_replace(measured.ok());
        }
        tokio::time::sleep(EACH).await;
    }
}

struct Meter {
    consumer: BaseConsumer<LogContext>,
    topics: [String; 3],
}

impl Meter {
    fn new(settings: &Settings, group: &str, topics: [String; 3]) -> Result<Self, ConsumeError> {
        // Of offsets that a transaction holds the last committed ones count, without waiting.
        let properties = [("isolation.level", "read_uncommitted")];
        let consumer = consume::consumer_with(&settings.kafka, group, &properties)?;
        Ok(Self { consumer, topics })
    }

    /// Blocks.
    fn measure(&self) -> Result<u64, KafkaError> {
        let mut partitions: Vec<(&str, Partition)> = Vec::new();
        for topic in &self.topics {
            let metadata = self.consumer.fetch_metadata(Some(topic), TIMEOUT)?;
            let found = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            partitions.extend(found.map(|partition| (topic.as_str(), partition.id())));
        }
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in &partitions {
            wanted.add_partition(topic, *partition);
        }
        let committed = self.consumer.committed_offsets(wanted, TIMEOUT)?;
        let starts = log_ends::starts(&self.consumer, partitions.iter().copied(), TIMEOUT)?;
        let ends = log_ends::ends(&self.consumer, partitions.iter().copied(), TIMEOUT)?;
        let mut rows = 0;
        for ((topic, partition), (low, high)) in
            partitions.into_iter().zip(starts.into_iter().zip(ends))
        {
            let next = committed.find_partition(topic, partition).map(|found| found.offset());
            let next = if let Some(Offset::Offset(next)) = next { next.max(low) } else { low };
            rows += u64::try_from(high - next).unwrap_or(0);
        }
        Ok(rows)
    }
}
