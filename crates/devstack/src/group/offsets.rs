//! Committed offsets, and pending offsets of open transactions (Kafka's `OffsetMetadataManager`).

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::storage::{Change, StorageError, Table};

/// The committed offset of a group in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The offset of the next record to read.
    pub(crate) offset: i64,
    /// -1 if it is not known.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// When it was committed.
    pub(crate) timestamp: Millis,
    /// Its number in the order of all commits. Kafka uses the offset in `__consumer_offsets`.
    pub(super) order: u64,
}

type TopicPartition = (String, i32);
type CommittedPartitions = BTreeMap<TopicPartition, Committed>;

/// The key of a stored entry, a JSON array: group, topic, partition and, for a pending offset, the producer.
#[derive(Serialize, Deserialize)]
struct OffsetKey(String, String, i32, Option<i64>);

#[derive(Debug, Default)]
pub(super) struct Offsets {
    committed: HashMap<String, CommittedPartitions>,
    /// By producer id, then by group.
    pending: BTreeMap<i64, HashMap<String, CommittedPartitions>>,
    next_order: u64,
}

impl Offsets {
    pub(super) fn load(entries: Vec<(String, String)>) -> Result<Self, StorageError> {
        let mut offsets = Self::default();
        for (key, json) in entries {
            let parsed = serde_json::from_str(&key)
                .and_then(|key: OffsetKey| Ok((key, serde_json::from_str::<Committed>(&json)?)));
            let (OffsetKey(group, topic, partition, producer), committed) = parsed
                .map_err(|source| StorageError::Entry { table: Table::Offsets, key, source })?;
            offsets.next_order = offsets.next_order.max(committed.order + 1);
            let groups = match producer {
                Some(producer) => offsets.pending.entry(producer).or_default(),
                None => &mut offsets.committed,
            };
            groups.entry(group).or_default().insert((topic, partition), committed);
        }
        Ok(offsets)
    }

    /// The groups with committed or pending offsets.
    pub(super) fn groups(&self) -> Vec<String> {
        let pending = self.pending.values().flat_map(HashMap::keys);
        self.committed.keys().chain(pending).cloned().collect()
    }

    /// Takes the next number in the order of commits.
    pub(super) fn next_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order - 1
    }

    /// Commits an offset, or adds it to the pending offsets of the transaction of `producer`.
    pub(super) fn put(
        &mut self,
        group: &str,
        partition: TopicPartition,
        producer: Option<i64>,
        committed: Committed,
        changes: &mut Vec<Change>,
    ) {
        changes.push(Change::put(Table::Offsets, key(group, &partition, producer), &committed));
        let groups = match producer {
            Some(producer) => self.pending.entry(producer).or_default(),
            None => &mut self.committed,
        };
        groups.entry(group.to_owned()).or_default().insert(partition, committed);
    }

    pub(super) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.committed.get(group)?.get(&(topic.to_owned(), partition))
    }

    /// All committed offsets of a group, in the order of topics and partitions.
    pub(super) fn all(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        let partitions = self.committed.get(group).into_iter().flatten();
        partitions.map(|((topic, partition), committed)| (topic.as_str(), *partition, committed))
    }

    /// Whether an open transaction has an offset of this partition.
    pub(super) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        let partition = (topic.to_owned(), partition);
        let mut partitions = self.pending.values().filter_map(|groups| groups.get(group));
        partitions.any(|partitions| partitions.contains_key(&partition))
    }

    /// Ends a transaction: its offsets are committed or dropped. An offset that was committed without a transaction
    /// later stays.
    pub(super) fn complete(&mut self, producer: i64, committed: bool, changes: &mut Vec<Change>) {
        for (group, partitions) in self.pending.remove(&producer).unwrap_or_default() {
            for (partition, offset) in partitions {
                changes
                    .push(Change::delete(Table::Offsets, key(&group, &partition, Some(producer))));
                let current = self.get(&group, &partition.0, partition.1);
                if committed && current.is_none_or(|current| current.order < offset.order) {
                    self.put(&group, partition, None, offset, changes);
                }
            }
        }
    }

    /// Removes the offsets of a group in one partition.
    pub(super) fn delete(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        changes: &mut Vec<Change>,
    ) {
        let partition = (topic.to_owned(), partition);
        self.take(Some(group), partition.clone()..=partition, changes);
    }

    /// Removes the offsets of a group.
    pub(super) fn delete_group(&mut self, group: &str, changes: &mut Vec<Change>) {
        self.take(Some(group), .., changes);
    }

    /// Removes the offsets of all groups in a topic.
    pub(super) fn delete_topic(&mut self, topic: &str, changes: &mut Vec<Change>) {
        self.take(None, (topic.to_owned(), i32::MIN)..=(topic.to_owned(), i32::MAX), changes);
    }

    /// Removes the committed and pending offsets of one group, or of all, in a range of partitions.
    fn take(
        &mut self,
        group: Option<&str>,
        range: impl RangeBounds<TopicPartition> + Clone,
        changes: &mut Vec<Change>,
    ) {
        let pending = self.pending.iter_mut().map(|(producer, groups)| (Some(*producer), groups));
        for (producer, groups) in pending.chain([(None, &mut self.committed)]) {
            let mut take_of = |group: &str, partitions: &mut CommittedPartitions| {
                let taken = partitions.range(range.clone()).map(|(partition, _)| partition.clone());
                for partition in taken.collect::<Vec<_>>() {
                    partitions.remove(&partition);
                    changes.push(Change::delete(Table::Offsets, key(group, &partition, producer)));
                }
                partitions.is_empty()
            };
            match group {
                Some(group) => {
                    if groups.get_mut(group).is_some_and(|partitions| take_of(group, partitions)) {
                        groups.remove(group);
                    }
                }
                None => groups.retain(|group, partitions| !take_of(group, partitions)),
            }
        }
        self.pending.retain(|_, groups| !groups.is_empty());
    }
}

fn key(group: &str, (topic, partition): &TopicPartition, producer: Option<i64>) -> String {
    let key = OffsetKey(group.to_owned(), topic.clone(), *partition, producer);
    serde_json::to_string(&key).expect("texts and numbers are JSON")
}
