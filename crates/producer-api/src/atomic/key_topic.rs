//! The topic of idempotency keys, as the thread that keeps it sees it: its reader, and the records that a transaction
//! adds to it.

use chrono::{DateTime, Utc};
use kafka::transaction::Record;
use rdkafka::message::OwnedHeaders;

use super::waiting::WaitingRequest;
use crate::idempotency::IdempotencyKeys;
use crate::idempotency::key::IdempotencyKey;
use crate::idempotency::reader::{PARTITION, Reader};

/// The topic of keys, for the writer that keeps it.
pub(crate) struct KeyTopic {
    pub(crate) keys: IdempotencyKeys,
    pub(crate) topic: String,
    pub(crate) reader: Reader,
}

/// A key that a transaction writes, or a tombstone for one that is forgotten.
pub(super) struct KeyRecord {
    key: IdempotencyKey,
    /// `None`: a tombstone.
    value: Option<Vec<u8>>,
    /// Of the request that the key is of; nobody asked for a tombstone.
    headers: Option<OwnedHeaders>,
}

impl KeyTopic {
    pub(super) fn name(&self) -> &str {
        &self.topic
    }

    /// The keys of a group of requests, and tombstones for those that have to make room for them at `now`.
    pub(super) fn records_of(
        &self,
        group: &[WaitingRequest],
        now: DateTime<Utc>,
    ) -> Vec<KeyRecord> {
        let mut records: Vec<_> = group
            .iter()
            .filter_map(|waiting| {
                let (key, entry) = waiting.once.as_ref()?;
                Some(KeyRecord {
                    key: key.key().clone(),
                    value: Some(entry.to_value()),
                    headers: waiting.encoded.headers(),
                })
            })
            .collect();
        let mut stale = self.keys.stale(records.len(), now);
        // One key may be stale and come again, with a new request.
        stale.retain(|key| records.iter().all(|coming| coming.key != *key));
        let tombstones = stale.into_iter().map(|key| KeyRecord { key, value: None, headers: None });
        records.extend(tombstones);
        records
    }

    /// Remembers what a committed transaction has written.
    pub(super) fn committed(&self, group: &[WaitingRequest], written: Vec<KeyRecord>) {
        for (key, entry) in group.iter().filter_map(|waiting| waiting.once.as_ref()) {
            self.keys.apply(key.key().clone(), Some(*entry));
        }
        for KeyRecord { key, .. } in written.into_iter().filter(|record| record.value.is_none()) {
            self.keys.apply(key, None);
        }
    }
}

impl KeyRecord {
    pub(super) fn as_record<'a>(&'a self, topic: &'a str) -> Record<'a> {
        Record {
            topic,
            partition: PARTITION,
            key: Some(self.key.as_str().as_bytes()),
            value: self.value.as_deref(),
            headers: self.headers.clone(),
            ..Record::default()
        }
    }
}
