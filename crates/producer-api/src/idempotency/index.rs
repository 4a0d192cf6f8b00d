//! The requests that were done, by key, as far as they are remembered.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::entry::KeyEntry;
use super::key::IdempotencyKey;

/// How many keys are forgotten with one transaction at most, so that it stays small.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// How long and how many keys are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) window: Duration,
    pub(crate) keys: usize,
}

impl Bounds {
    fn has_expired(&self, entry: &KeyEntry, now: DateTime<Utc>) -> bool {
        // A time ahead of ours is another process's clock.
        now.signed_duration_since(entry.completion).to_std().is_ok_and(|age| age >= self.window)
    }
}

/// What the topic says. State without a clock: the time is an argument.
#[derive(Debug)]
pub(crate) struct IdempotencyIndex {
    bounds: Bounds,
    entries: HashMap<IdempotencyKey, KeyEntry>,
    by_age: BTreeSet<(DateTime<Utc>, IdempotencyKey)>,
}

impl IdempotencyIndex {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: HashMap::new(), by_age: BTreeSet::new() }
    }

    /// The entry of `key`, unless its window is over.
    pub(crate) fn get(&self, key: &IdempotencyKey, now: DateTime<Utc>) -> Option<KeyEntry> {
        self.entries.get(key).copied().filter(|entry| !self.bounds.has_expired(entry, now))
    }

    /// Whether this very entry is there, whatever the time.
    pub(crate) fn holds(&self, key: &IdempotencyKey, entry: KeyEntry) -> bool {
        self.entries.get(key) == Some(&entry)
    }

    /// Takes over a record of the topic; no entry is a tombstone.
    pub(crate) fn apply(&mut self, key: IdempotencyKey, entry: Option<KeyEntry>) {
        let before = match entry {
            Some(entry) => {
                self.by_age.insert((entry.completion, key.clone()));
                self.entries.insert(key.clone(), entry)
            }
            None => self.entries.remove(&key),
        };
        if let Some(before) = before
            && entry.is_none_or(|entry| entry.completion != before.completion)
        {
            self.by_age.remove(&(before.completion, key));
        }
    }

    /// Which keys to forget when `coming` more come: those whose window is over, and the oldest beyond the bound.
    pub(crate) fn stale(&self, coming: usize, now: DateTime<Utc>) -> Vec<IdempotencyKey> {
        let excess = (self.entries.len() + coming).saturating_sub(self.bounds.keys);
        let oldest = self.by_age.iter().take(FORGOTTEN_AT_ONCE.max(coming)).enumerate();
        oldest
            .take_while(|(rank, (_, key))| {
                *rank < excess || self.bounds.has_expired(&self.entries[key], now)
            })
            .map(|(_, (_, key))| key.clone())
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::idempotency::entry::Fingerprint;

    const BOUNDS: Bounds = Bounds { window: Duration::from_secs(60), keys: 3 };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_389_229, 0).unwrap() + TimeDelta::seconds(seconds)
    }

    fn key(name: &str) -> IdempotencyKey {
        IdempotencyKey::from_header(name.as_bytes()).unwrap()
    }

    fn entry(name: &str, seconds: i64) -> KeyEntry {
        KeyEntry::new(&key(name), Fingerprint::of("/", b""), at(seconds))
    }

    fn index(entries: &[(&str, i64)]) -> IdempotencyIndex {
        let mut index = IdempotencyIndex::new(BOUNDS);
        for (name, seconds) in entries {
            index.apply(key(name), Some(entry(name, *seconds)));
        }
        index
    }

    #[test]
    fn an_entry_is_found_until_its_window_is_over() {
        let index = index(&[("a", 0)]);
        assert_eq!(index.get(&key("b"), at(0)), None);
        for (seconds, found) in [(-5, true), (0, true), (59, true), (60, false), (1_000, false)] {
            assert_eq!(index.get(&key("a"), at(seconds)).is_some(), found, "{seconds}");
        }
    }

    #[test]
    fn an_entry_is_held_until_it_is_forgotten() {
        let mut index = index(&[("a", 0)]);
        let own = entry("a", 0);
        assert_eq!(index.get(&key("a"), at(1_000)), None);
        assert!(index.holds(&key("a"), own));
        assert!(!index.holds(&key("a"), entry("a", 1)) && !index.holds(&key("b"), own));
        index.apply(key("a"), None);
        assert!(!index.holds(&key("a"), own));
    }

    #[test]
    fn what_is_over_or_too_much_is_to_be_forgotten_oldest_first() {
        for (entries, coming, now, stale) in [
            (&[("a", 0), ("b", 1)][..], 1, 10, &[][..]),
            (&[("b", 1), ("a", 0), ("c", 2)], 1, 10, &["a"]),
            (&[("a", 0), ("b", 1), ("c", 2)], 2, 10, &["a", "b"]),
            (&[("a", 0), ("b", 30), ("c", 31)], 0, 61, &["a"]),
            (&[("a", 0), ("b", 1)], 0, 1_000, &["a", "b"]),
        ] {
            let expected: Vec<IdempotencyKey> = stale.iter().map(|name| key(name)).collect();
            assert_eq!(index(entries).stale(coming, at(now)), expected, "{entries:?} {now}");
        }
    }

    #[test]
    fn a_key_has_one_entry_the_last_one() {
        let mut index = index(&[("a", 0), ("a", 100), ("a", 100), ("b", 50)]);
        assert_eq!((index.len(), index.by_age.len()), (2, 2));
        assert_eq!(index.get(&key("a"), at(100)), Some(entry("a", 100)));
        index.apply(key("a"), None);
        index.apply(key("c"), None);
        assert_eq!((index.len(), index.by_age.len()), (1, 1));
    }
}
