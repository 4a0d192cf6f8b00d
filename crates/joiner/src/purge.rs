//! Deletes from the internal topics what nobody will read again.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka::KafkaConfig;
use kafka::topics::delete_records_before;
use models::Partition;
use tracing::debug;

use crate::topology::Topology;

/// How often something is deleted. It's no hurry, and each time is one request a topic.
const INTERVAL: Duration = Duration::from_secs(30);

type Ends = BTreeMap<Partition, i64>;

/// Remembers up to where each partition may be deleted. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Purger {
    repartition: Arc<Mutex<Ends>>,
    changelog: Arc<Mutex<Ends>>,
}

impl Purger {
    /// Forwarded rows before `offset` are committed as read.
    pub(crate) fn read_up_to(&self, partition: Partition, offset: i64) {
        note(&self.repartition, partition, offset);
    }

    /// A committed snapshot lies at `offset` or behind.
    pub(crate) fn snapshot_at(&self, partition: Partition, offset: i64) {
        note(&self.changelog, partition, offset);
    }

    /// Deletes from time to time, for as long as it is polled. Failures are tried again with the next round.
    pub(crate) async fn run(self, kafka: KafkaConfig, topology: Topology) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            clean(&kafka, &topology.repartition.name, &self.repartition).await;
            clean(&kafka, &topology.changelog.name, &self.changelog).await;
        }
    }
}

fn note(ends: &Mutex<Ends>, partition: Partition, offset: i64) {
    let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    let end = ends.entry(partition).or_insert(offset);
    *end = offset.max(*end);
}

async fn clean(kafka: &KafkaConfig, topic: &str, ends: &Mutex<Ends>) {
    let due = mem::take(&mut *ends.lock().unwrap_or_else(PoisonError::into_inner));
    if due.is_empty() {
        return;
    }
    let offsets: Vec<(Partition, i64)> = due.into_iter().collect();
    match delete_records_before(kafka, topic, &offsets).await {
        Ok(()) => debug!(topic, ?offsets, "deleted what is read"),
        Err(error) => {
            debug!(topic, %error, "deleting what is read");
            for (partition, offset) in offsets {
                note(ends, partition, offset);
            }
        }
    }
}
