//! What is kept of a request that was done: enough to answer it again.

use std::hash::Hasher;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24Of128};

use super::key::IdempotencyKey;

/// The form of the record's value.
const VERSION: u8 = 1;
/// Any two numbers; that they never change is what matters, as what they make lies in Kafka.
const HASH_KEYS: (u64, u64) = (0x7472_6970_7374_7265, 0x616d_2d6b_6579_7321);

/// Tells one request from another: the path and the body as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    pub(crate) fn of(path: &str, body: &[u8]) -> Self {
        let mut hasher = SipHasher24Of128::new_with_keys(HASH_KEYS.0, HASH_KEYS.1);
        hasher.write(path.as_bytes());
        // No path has this byte, so nothing of the body can pass for a part of it.
        hasher.write_u8(0);
        hasher.write(body);
        Self(hasher.finish128().as_u128())
    }
}

/// A request that was done. The records that it wrote are a function of the request and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    pub(crate) fingerprint: Fingerprint,
    /// What its records were drawn from.
    pub(crate) seed: u64,
    /// When its trips were over, which is when it came.
    pub(crate) completion: DateTime<Utc>,
}

/// A value that is no entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyEntryError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("version {0} is not known here")]
    Version(u8),
    #[error("{field} is {value:?}")]
    Field { field: &'static str, value: String },
}

/// Numbers as texts: not every reader of JSON has integers of 64 bits.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    version: u8,
    fingerprint: String,
    seed: String,
    completion_us: i64,
}

impl KeyEntry {
    /// The entry of a request that comes at `completion`. Its trips are others each time that the key is used anew,
    /// after its entry has gone.
    pub(crate) fn new(
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
        completion: DateTime<Utc>,
    ) -> Self {
        let completion_us = completion.timestamp_micros();
        let mut hasher = SipHasher24::new_with_keys(HASH_KEYS.0, HASH_KEYS.1);
        hasher.write(&completion_us.to_le_bytes());
        hasher.write(key.as_str().as_bytes());
        let completion =
            DateTime::from_timestamp_micros(completion_us).expect("it was a time before");
        Self { fingerprint, seed: hasher.finish(), completion }
    }

    pub(crate) fn to_value(self) -> Vec<u8> {
        let stored = StoredEntry {
            version: VERSION,
            fingerprint: format!("{:032x}", self.fingerprint.0),
            seed: format!("{:016x}", self.seed),
            completion_us: self.completion.timestamp_micros(),
        };
        serde_json::to_vec(&stored).expect("texts and numbers are JSON")
    }

    pub(crate) fn from_value(value: &[u8]) -> Result<Self, KeyEntryError> {
        let StoredEntry { version, fingerprint, seed, completion_us } =
            serde_json::from_slice(value)?;
        if version != VERSION {
            return Err(KeyEntryError::Version(version));
        }
        let wrong =
            |field, value: &dyn ToString| KeyEntryError::Field { field, value: value.to_string() };
        Ok(Self {
            fingerprint: u128::from_str_radix(&fingerprint, 16)
                .map(Fingerprint)
                .map_err(|_| wrong("fingerprint", &fingerprint))?,
            seed: u64::from_str_radix(&seed, 16).map_err(|_| wrong("seed", &seed))?,
            completion: DateTime::from_timestamp_micros(completion_us)
                .ok_or_else(|| wrong("completion_us", &completion_us))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> KeyEntry {
        let key = IdempotencyKey::from_header(b"k").unwrap();
        let completion = DateTime::from_timestamp(1_795_389_229, 281_670_999).unwrap();
        KeyEntry::new(&key, Fingerprint::of("/api/generate-trip", b"{}"), completion)
    }

    /// What one version writes, the next one has to read: hashes and form must stay.
    #[test]
    fn an_entry_looks_like_this_and_can_be_read_back() {
        let value = entry().to_value();
        assert_eq!(KeyEntry::from_value(&value).unwrap(), entry());
        let expected = r#"{"version":1,"fingerprint":"f40d1f8230d8a704df5ef06fbcabe5c1","seed":"25a7fbe3553fc65e","completion_us":1795389229281670}"#;
        assert_eq!(String::from_utf8(value).unwrap(), expected);
    }

    #[test]
    fn path_and_body_tell_requests_apart() {
        let of = Fingerprint::of;
        assert_eq!(of("/a", b"b"), of("/a", b"b"));
        for (path, body) in [("/a", &b"c"[..]), ("/ab", b""), ("/", b"ab"), ("/a", b"b ")] {
            assert_ne!(of("/a", b"b"), of(path, body), "{path} {body:?}");
        }
    }

    #[test]
    fn what_is_no_entry_is_said() {
        for (value, expected) in [
            ("", "EOF"),
            (r#"{"version":2,"fingerprint":"0","seed":"0","completion_us":0}"#, "version 2"),
            (r#"{"version":1,"fingerprint":"x","seed":"0","completion_us":0}"#, "fingerprint"),
            (r#"{"version":1,"fingerprint":"0","seed":"-","completion_us":0}"#, "seed"),
        ] {
            let error = KeyEntry::from_value(value.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
