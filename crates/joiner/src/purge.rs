//! Deletes records of the internal topics that nobody will read again.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka::KafkaConfig;
use kafka::topics::delete_records_before;
use models::Partition;
use tracing::debug;

use crate::topology::Topology;

/// How often records are deleted. Each time costs one request for each topic.
const INTERVAL: Duration = Duration::from_secs(30);

type Ends = BTreeMap<Partition, i64>;

/// Remembers up to which offset each partition may be deleted. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Purger {
    repartition: Arc<Mutex<Ends>>,
    changelog: Arc<Mutex<Ends>>,
}

impl Purger {
    /// A repartition partition is committed up to `offset`: older records may be deleted.
    pub(crate) fn read_up_to(&self, partition: Partition, offset: i64) {
        note(&self.repartition, partition, offset);
    }

    /// A committed snapshot begins at `offset` of a changelog partition, or later: older records may be deleted.
    pub(crate) fn snapshot_at(&self, partition: Partition, offset: i64) {
        note(&self.changelog, partition, offset);
    }

    /// Deletes from time to time, until it is dropped. What fails is tried again in the next round.
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
