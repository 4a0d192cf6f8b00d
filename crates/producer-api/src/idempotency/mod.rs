//! Requests with a key: done once, answered as often as they are sent.
//!
//! What was done is a record in a compacted topic, written in the same transaction as the records of the request: one
//! is there if the other is. All processes write to it with one transactional id. So who writes has read all that
//! others wrote before, or is fenced: to take the id over ends what others have open, then the topic is read to its
//! end, and whoever is taken over from can't commit any more.

pub(crate) mod entry;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod reader;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use entry::{Fingerprint, KeyEntry};
use index::{Bounds, IdempotencyIndex};
use key::IdempotencyKey;

/// What is known of keys. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKeys(Arc<Mutex<KeyState>>);

#[derive(Debug)]
struct KeyState {
    done: IdempotencyIndex,
    running: HashMap<IdempotencyKey, Fingerprint>,
}

/// Where a request with a key stands.
#[derive(Debug)]
pub(crate) enum KeyStatus {
    /// It is new, and ours to do.
    New(KeyInUse),
    /// It was done.
    Done(KeyEntry),
}

/// A request that can't be done because of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyConflict {
    #[error("this Idempotency-Key was used for another request: another path or another body")]
    OtherRequest,
    #[error(
        "a request with this Idempotency-Key is being processed; send it again when that one is answered"
    )]
    InUse,
}

/// A key in use. Free again when dropped.
#[derive(Debug)]
pub(crate) struct KeyInUse {
    keys: IdempotencyKeys,
    key: IdempotencyKey,
}

impl IdempotencyKeys {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(KeyState {
            done: IdempotencyIndex::new(bounds),
            running: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, KeyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `key` into use for a request, unless it was used before.
    pub(crate) fn begin(
        &self,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
        now: DateTime<Utc>,
    ) -> Result<KeyStatus, KeyConflict> {
        let mut state = self.lock();
        if let Some(entry) = state.done.get(key, now) {
            return entry.is_of(fingerprint).map(KeyStatus::Done);
        }
        match state.running.get(key) {
            Some(running) if *running == fingerprint => Err(KeyConflict::InUse),
            Some(_) => Err(KeyConflict::OtherRequest),
            None => {
                state.running.insert(key.clone(), fingerprint);
                Ok(KeyStatus::New(KeyInUse { keys: self.clone(), key: key.clone() }))
            }
        }
    }

    /// The entry of `key`, if its request was done.
    pub(crate) fn done(&self, key: &IdempotencyKey, now: DateTime<Utc>) -> Option<KeyEntry> {
        self.lock().done.get(key, now)
    }

    /// Whether this very entry is there, however old. A request that may have been written is not to be written again
    /// because its window is over meanwhile.
    pub(crate) fn holds(&self, key: &IdempotencyKey, entry: KeyEntry) -> bool {
        self.lock().done.holds(key, entry)
    }

    /// Takes over a record of the topic.
    pub(crate) fn apply(&self, key: IdempotencyKey, entry: Option<KeyEntry>) {
        self.lock().done.apply(key, entry);
    }

    /// See [`IdempotencyIndex::stale`].
    pub(crate) fn stale(&self, coming: usize, now: DateTime<Utc>) -> Vec<IdempotencyKey> {
        self.lock().done.stale(coming, now)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().done.len()
    }
}

impl KeyEntry {
    /// This entry, if it is of that request.
    pub(crate) fn is_of(self, fingerprint: Fingerprint) -> Result<Self, KeyConflict> {
        if self.fingerprint == fingerprint { Ok(self) } else { Err(KeyConflict::OtherRequest) }
    }
}

impl KeyInUse {
    pub(crate) const fn key(&self) -> &IdempotencyKey {
        &self.key
    }
}

impl Drop for KeyInUse {
    fn drop(&mut self) {
        self.keys.lock().running.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_runs_once_and_then_is_done_or_free() {
        let keys = IdempotencyKeys::new(Bounds { window: Duration::from_secs(60), keys: 10 });
        let key = IdempotencyKey::from_header(b"k").unwrap();
        let [one, other] = [b"one", b"two"].map(|body| Fingerprint::of("/", body));
        let now = DateTime::UNIX_EPOCH;

        let Ok(KeyStatus::New(running)) = keys.begin(&key, one, now) else { panic!("it is new") };
        assert_eq!(keys.begin(&key, one, now).unwrap_err(), KeyConflict::InUse);
        assert_eq!(keys.begin(&key, other, now).unwrap_err(), KeyConflict::OtherRequest);
        drop(running);

        let Ok(KeyStatus::New(running)) = keys.begin(&key, other, now) else {
            panic!("it is free")
        };
        let entry = KeyEntry::new(&key, other, now);
        keys.apply(key.clone(), Some(entry));
        drop(running);
        let standing = keys.begin(&key, other, now);
        assert!(matches!(standing, Ok(KeyStatus::Done(done)) if done == entry), "{standing:?}");
        assert_eq!(keys.begin(&key, one, now).unwrap_err(), KeyConflict::OtherRequest);
    }
}
