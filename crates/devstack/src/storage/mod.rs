//! The storage: record batches, and small entries of JSON.
//!
//! Nothing else is stored. [`Change`] has all writes, [`Storage`] all reads.

#[cfg(test)]
pub(crate) mod gate;
mod sqlite;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use sqlite::{FILE, Sqlite};

/// The id of a partition's log. A topic that is deleted and created again has new logs.
/// From 0 to 2^22 - 1.
pub(crate) type LogId = u32;

/// A record batch (KIP-98, message format 2) with its offsets in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    /// Offset of its first record, from 0 to 2^40 - 1.
    pub(crate) base_offset: i64,
    /// Offset of its last record.
    pub(crate) last_offset: i64,
    /// The largest timestamp of its records.
    pub(crate) max_timestamp: i64,
    /// The whole batch, with its base offset in the header.
    pub(crate) bytes: Bytes,
}

/// The table of an entry. Keys are unique in their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// The cluster's id, and the next ids to assign.
    Meta,
    /// Topics by name.
    Topics,
    /// Logs by id: their start offsets.
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
    /// Removes the batch with this base offset from a log.
    Remove { log: LogId, base_offset: i64 },
    /// Removes all batches that end below `offset` from a log.
    Trim { log: LogId, offset: i64 },
    /// Removes all batches of a log.
    Drop { log: LogId },
    /// Sets an entry to a JSON text.
    Put { table: Table, key: String, json: String },
    /// Removes an entry, if it exists.
    Delete { table: Table, key: String },
}

impl Change {
    /// Sets an entry to `value` as JSON.
    pub(crate) fn put(table: Table, key: impl Into<String>, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_string(value).expect("our entries are plain data with text keys");
        Self::Put { table, key: key.into(), json }
    }

    /// Removes an entry, if it exists.
    pub(crate) fn delete(table: Table, key: impl Into<String>) -> Self {
        Self::Delete { table, key: key.into() }
    }
}

/// Batches and entries that outlive the process.
pub(crate) trait Storage: Send + Sync + 'static {
    /// Writes all of `changes` in order, or none of them.
    fn commit(&self, changes: &[Change]) -> Result<(), StorageError>;

    /// Batches of `log`, starting with the one that contains `offset` or, if there is none, with the first one after
    /// it. Returns batches below `end` up to `max_bytes`, and at least one if there is one.
    fn batches(
        &self,
        log: LogId,
        offset: i64,
        end: i64,
        max_bytes: usize,
    ) -> Result<Vec<StoredBatch>, StorageError>;

    /// The first batch of `log` from offset `from` on whose largest timestamp is at least `timestamp`.
    fn batch_at_time(
        &self,
        log: LogId,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<StoredBatch>, StorageError>;

    /// The batch of `log` with the largest timestamp, the first one if there are several.
    fn latest_batch_by_time(&self, log: LogId) -> Result<Option<StoredBatch>, StorageError>;

    /// Base and last offset, largest timestamp and size in bytes of the first `limit` batches of `log`, in their order,
    /// without reading them.
    fn outline(&self, log: LogId, limit: usize) -> Result<Vec<BatchOutline>, StorageError>;

    /// The size in bytes of all batches of `log`.
    fn size(&self, log: LogId) -> Result<u64, StorageError>;

    /// The offset after the last batch of `log`, if it has batches.
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
    /// An error of the file system.
    #[error("{doing} {path}: {source}")]
    Io { doing: &'static str, path: String, source: std::io::Error },
    /// An error of SQLite.
    #[error("{doing} {path}: {source}")]
    Sqlite { doing: &'static str, path: String, source: rusqlite::Error },
    /// An entry that this program did not write.
    #[error("an entry of {table:?} can't be read: {key:?}: {source}")]
    Entry { table: Table, key: String, source: serde_json::Error },
}
