//! What outlives the process: record batches as they came, and small entries of JSON.
//!
//! Nothing else is kept on disk, so this page is the whole of the file's format: [`Change`] is what can be written,
//! [`Storage`] is what can be asked.

#[cfg(test)]
pub(crate) mod gate;
mod sqlite;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use sqlite::{FILE, Sqlite};

/// Names one partition of one incarnation of a topic: a topic that is deleted and created again has other logs.
/// From 0 to 2^22 - 1.
pub(crate) type LogId = u32;

/// A record batch (KIP-98, message format 2) with the offsets that it has in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    /// Offset of its first record, from 0 to 2^40 - 1.
    pub(crate) base_offset: i64,
    /// Offset of its last record.
    pub(crate) last_offset: i64,
    /// The largest timestamp of its records.
    pub(crate) max_timestamp: i64,
    /// The batch, header included, its base offset filled in.
    pub(crate) bytes: Bytes,
}

/// What an entry is about. Keys are unique in their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// The file itself: its format version, the cluster's id, the next ids to give out.
    Meta,
    /// Topics by name.
    Topics,
    /// Logs by id: where they start.
    Logs,
    /// `<log>/<producer id>`: sequences and open transactions of the producers of a log.
    Producers,
    /// `<log>/<last offset>`: aborted transactions of a log.
    Aborted,
    /// Transactional ids: producer ids, epochs, states.
    Transactions,
    /// Consumer groups by name: generation, members, assignments.
    Groups,
    /// Committed offsets of groups.
    Offsets,
    /// Schemas, subjects, versions and settings of the registry.
    Registry,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Adds a batch to a log. One with the same base offset is replaced.
    Append { log: LogId, batch: StoredBatch },
    /// Takes the batch with this base offset out of a log.
    Remove { log: LogId, base_offset: i64 },
    /// Takes out of a log all batches that end below `offset`.
    Trim { log: LogId, offset: i64 },
    /// Takes out all batches of a log.
    Drop { log: LogId },
    /// Sets an entry to a JSON text.
    Put { table: Table, key: String, json: String },
    /// Removes an entry, if it is there.
    Delete { table: Table, key: String },
}

impl Change {
    /// Sets an entry to `value` as JSON.
    pub(crate) fn put(table: Table, key: impl Into<String>, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_string(value).expect("our entries are plain data with text keys");
        Self::Put { table, key: key.into(), json }
    }

    /// Removes an entry, if it is there.
    pub(crate) fn delete(table: Table, key: impl Into<String>) -> Self {
        Self::Delete { table, key: key.into() }
    }
}

/// Batches and entries that outlive the process.
pub(crate) trait Storage: Send + Sync + 'static {
    /// Writes all of `changes`, in this order, or nothing of them.
    fn commit(&self, changes: &[Change]) -> Result<(), StorageError>;

    /// The batches of `log` from the one that contains `offset` on (or, if there is none, from the first one behind
    /// it), as many as fit into `max_bytes` together, at least one if there is one, and none that begins at or behind
    /// `end`.
    fn batches(
        &self,
        log: LogId,
        offset: i64,
        end: i64,
        max_bytes: usize,
    ) -> Result<Vec<StoredBatch>, StorageError>;

    /// The first batch of `log` that begins at or behind `from` and whose largest timestamp is at least `timestamp`.
    fn batch_at_time(
        &self,
        log: LogId,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<StoredBatch>, StorageError>;

    /// The batch of `log` that has its largest timestamp, the first one if there are several.
    fn latest_batch_by_time(&self, log: LogId) -> Result<Option<StoredBatch>, StorageError>;

    /// Base and last offset, largest timestamp and size in bytes of the first `limit` batches of `log`, in their order,
    /// without reading them.
    fn outline(&self, log: LogId, limit: usize) -> Result<Vec<BatchOutline>, StorageError>;

    /// The offset behind the last batch of `log`, if it has batches.
    fn end(&self, log: LogId) -> Result<Option<i64>, StorageError>;

    /// The entries of a table, in no particular order.
    fn entries(&self, table: Table) -> Result<Vec<(String, String)>, StorageError>;
}

/// A batch without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchOutline {
    /// Offset of its first record.
    pub(crate) base_offset: i64,
    /// Offset of its last record.
    pub(crate) last_offset: i64,
    /// The largest timestamp of its records.
    pub(crate) max_timestamp: i64,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// Why the file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The file was written by another version of this program.
    #[error(
        "{path} has format {found}, this program writes format {expected}: delete it, or use the program that wrote it"
    )]
    Format { path: String, found: i64, expected: i64 },
    /// Another process has it open.
    #[error("{path} is in use by another devstack: stop that one, or choose another --data-dir")]
    InUse { path: String },
    /// The file was written by something else.
    #[error("{path} is not a file of the devstack: choose another --data-dir")]
    Foreign { path: String },
    /// The file system says no.
    #[error("{doing} {path}: {source}")]
    Io { doing: &'static str, path: String, source: std::io::Error },
    /// What SQLite says.
    #[error("{doing} {path}: {source}")]
    Sqlite { doing: &'static str, path: String, source: rusqlite::Error },
    /// An entry that this program did not write.
    #[error("an entry of {table:?} can't be read: {key:?}: {source}")]
    Entry { table: Table, key: String, source: serde_json::Error },
}
