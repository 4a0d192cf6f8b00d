//! [`Storage`] in one SQLite file, or in memory.
//!
//! The file is in WAL mode with `synchronous=NORMAL`. A commit is passed to the operating system, so it survives when
//! the process is killed, but it reaches the disk only at the next checkpoint. A power loss can undo the last commits,
//! but it can't damage the file.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, Statement, Transaction, TransactionBehavior};

use super::{BatchOutline, Change, LogId, Storage, StorageError, StoredBatch, Table};

/// The file in a data directory.
pub(crate) const FILE: &str = "devstack.sqlite3";
/// Locked by the process that has the file open. The kernel releases the lock when the process ends.
const LOCK_FILE: &str = "devstack.lock";

/// Marks a SQLite file as one of ours: "trip" in ASCII.
const APPLICATION_ID: i64 = 0x7472_6970;
const FORMAT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE batches (
        id            INTEGER PRIMARY KEY, -- log << 40 | base offset
        last_offset   INTEGER NOT NULL,
        max_timestamp INTEGER NOT NULL,
        size          INTEGER NOT NULL,
        bytes         BLOB NOT NULL        -- last: what is before it is read without it
    );
    CREATE TABLE entries (
        kind INTEGER NOT NULL,
        key  TEXT NOT NULL,
        json TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
";

/// With pages of 16 KiB a small commit takes 50 % longer, with 4 KiB a large batch takes 10 % longer.
const PAGE_SIZE: i64 = 8 * 1024;
/// The size of a checkpoint, which copies pages from the WAL to the file. Commits wait for it: longer if it is larger,
/// more often if it is smaller.
const CHECKPOINT_PAGES: i64 = 16 * 1024 * 1024 / PAGE_SIZE;
const CACHE_PAGES: i64 = 4 * 1024 * 1024 / PAGE_SIZE;
/// So many free pages are kept for later writes.
const SPARE_PAGES: i64 = 16 * 1024 * 1024 / PAGE_SIZE;
/// A commit returns at most this many free pages to the file system, because it may have to move as many.
const VACUUM_PAGES: i64 = 2 * 1024 * 1024 / PAGE_SIZE;

const OFFSET_BITS: u32 = 40;
const OFFSET_END: i64 = 1 << OFFSET_BITS;

/// Batches and entries in SQLite.
pub(crate) struct Sqlite {
    /// The path, for error messages.
    path: String,
    writer: Mutex<Connection>,
    /// A second connection, so that reading doesn't wait for writing. `None` for a database in memory.
    reader: Option<Mutex<Connection>>,
    /// The last field, so that it is dropped after the connections.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the file in the directory `dir`, or creates both.
    pub(crate) fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(FILE).display().to_string();
        let io = |doing, source| StorageError::Io { doing, path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(|source| io("creating the directory of", source))?;
        let lock = File::create(dir.join(LOCK_FILE)).map_err(|source| io("locking", source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StorageError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(io("locking", source)),
        }
        let connect = || Connection::open(dir.join(FILE)).map_err(sqlite("opening", &path));
        let mut writer = connect()?;
        prepare(&mut writer, &path)?;
        let reader = connect()?;
        reader.pragma_update(None, "query_only", true).map_err(sqlite("opening", &path))?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            reader: Some(Mutex::new(reader)),
            _lock: Some(lock),
        })
    }

    /// Opens a database in memory.
    pub(crate) fn in_memory() -> Result<Self, StorageError> {
        let path = String::from(":memory:");
        let mut writer = Connection::open_in_memory().map_err(sqlite("opening", &path))?;
        prepare(&mut writer, &path)?;
        Ok(Self { path, writer: Mutex::new(writer), reader: None, _lock: None })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let reader = self.reader.as_ref().unwrap_or(&self.writer);
        reader.lock().expect("no panic while it is held")
    }

    /// The writing connection, for tests that damage something.
    #[cfg(test)]
    pub(super) fn connection_for_tests(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().expect("no panic while it is held")
    }

    /// Runs `query` on the reading connection.
    fn read<T>(
        &self,
        doing: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        query(&self.reader()).map_err(sqlite(doing, &self.path))
    }
}

/// Prepares a new connection: checks the format and creates the tables.
fn prepare(connection: &mut Connection, path: &str) -> Result<(), StorageError> {
    let set = |connection: &Connection, name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update(None, name, value).map_err(sqlite("opening", path))
    };
    let get = |connection: &Connection, name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(sqlite("opening", path))
    };
    let format = (get(connection, "application_id")?, get(connection, "user_version")?);
    let is_new = connection
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))
        .map_err(sqlite("opening", path))?;
    match format {
        (APPLICATION_ID, FORMAT) => {}
        // The process may have been killed before it created the tables.
        (0, 0) if is_new => {}
        (APPLICATION_ID, found) => {
            return Err(StorageError::Format { path: path.into(), found, expected: FORMAT });
        }
        _ => return Err(StorageError::Foreign { path: path.into() }),
    }
    // The first two have an effect only while the file is empty, and the third writes to it.
    set(connection, "page_size", &PAGE_SIZE)?;
    set(connection, "auto_vacuum", &"INCREMENTAL")?;
    set(connection, "journal_mode", &"WAL")?;
    set(connection, "synchronous", &"NORMAL")?;
    set(connection, "wal_autocheckpoint", &CHECKPOINT_PAGES)?;
    set(connection, "cache_size", &CACHE_PAGES)?;
    if is_new {
        let create = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
            transaction.commit()
        };
        create(connection).map_err(sqlite("creating the tables of", path))?;
    }
    Ok(())
}

impl Storage for Sqlite {
    fn commit(&self, changes: &[Change]) -> Result<(), StorageError> {
        let mut writer = self.writer.lock().expect("no panic while it is held");
        let mut write = || {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut removed = 0;
            for change in changes {
                removed += apply(&transaction, change)?;
            }
            if removed > 0 {
                give_back(&transaction)?;
            }
            transaction.commit()
        };
        write().map_err(sqlite("writing to", &self.path))
    }

    fn batches(
        &self,
        log: LogId,
        offset: i64,
        end: i64,
        max_bytes: usize,
    ) -> Result<Vec<StoredBatch>, StorageError> {
        self.read("reading batches of", |connection| {
            let offset = offset.clamp(0, OFFSET_END - 1);
            // Only the last batch that begins at or before the offset can contain it.
            let mut statement = connection.prepare_cached(
                "SELECT id, last_offset FROM batches WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
            )?;
            let containing = statement
                .query_row((id(log, 0), id(log, offset)), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .filter(|&(_, last_offset): &(i64, i64)| last_offset >= offset);
            let from = containing.map_or(id(log, offset), |(containing, _)| containing);
            let mut statement = connection.prepare_cached(
                "SELECT id, last_offset, max_timestamp, size, bytes FROM batches WHERE id >= ?1 AND id < ?2 ORDER BY id",
            )?;
            let mut rows = statement.query((from, id(log, end.clamp(0, OFFSET_END))))?;
            let mut batches = Vec::new();
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                bytes += outline(row)?.size as usize;
                if bytes > max_bytes && !batches.is_empty() {
                    break;
                }
                batches.push(stored(row)?);
            }
            Ok(batches)
        })
    }

    fn batch_at_time(
        &self,
        log: LogId,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<StoredBatch>, StorageError> {
        self.read("reading batches by time of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, last_offset, max_timestamp, size, bytes FROM batches
                 WHERE id >= ?1 AND id < ?2 AND max_timestamp >= ?3 ORDER BY id LIMIT 1",
            )?;
            let from = id(log, from.clamp(0, OFFSET_END));
            first(&mut statement, (from, id(log, OFFSET_END), timestamp))
        })
    }

    fn latest_batch_by_time(&self, log: LogId) -> Result<Option<StoredBatch>, StorageError> {
        self.read("reading the latest batch of", |connection| {
            // In two steps, so that only small rows are sorted.
            let mut statement = connection.prepare_cached(
                "SELECT id, last_offset, max_timestamp, size, bytes FROM batches WHERE id = (
                     SELECT id FROM batches WHERE id >= ?1 AND id < ?2 ORDER BY max_timestamp DESC, id LIMIT 1
                 )",
            )?;
            first(&mut statement, (id(log, 0), id(log, OFFSET_END)))
        })
    }

    fn outline(&self, log: LogId, limit: usize) -> Result<Vec<BatchOutline>, StorageError> {
        self.read("listing batches of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, last_offset, max_timestamp, size FROM batches WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map((id(log, 0), id(log, OFFSET_END), limit), outline)?;
            rows.collect()
        })
    }

    fn size(&self, log: LogId) -> Result<u64, StorageError> {
        self.read("reading the size of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce(sum(size), 0) FROM batches WHERE id >= ?1 AND id < ?2",
            )?;
            let range = (id(log, 0), id(log, OFFSET_END));
            statement.query_row(range, |row| row.get(0)).map(|size: i64| size as u64)
        })
    }

    fn end(&self, log: LogId) -> Result<Option<i64>, StorageError> {
        self.read("reading the end of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT last_offset + 1 FROM batches WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1",
            )?;
            statement.query_row((id(log, 0), id(log, OFFSET_END)), |row| row.get(0)).optional()
        })
    }

    fn entries(&self, table: Table) -> Result<Vec<(String, String)>, StorageError> {
        self.read("reading entries of", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT key, json FROM entries WHERE kind = ?1")?;
            let rows = statement.query_map([kind(table)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }
}

/// Writes one change. Returns the number of removed batches.
fn apply(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<usize> {
    match change {
        Change::Append { log, batch } => {
            let StoredBatch { base_offset, last_offset, max_timestamp, bytes } = batch;
            run(
                transaction,
                "INSERT OR REPLACE INTO batches (id, last_offset, max_timestamp, size, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
                (
                    id(*log, *base_offset),
                    last_offset,
                    max_timestamp,
                    bytes.len() as i64,
                    &bytes[..],
                ),
            )?;
            Ok(0)
        }
        Change::Remove { log, base_offset } => {
            run(transaction, "DELETE FROM batches WHERE id = ?1", [id(*log, *base_offset)])
        }
        Change::Trim { log, offset } => {
            let offset = (*offset).clamp(0, OFFSET_END);
            run(
                transaction,
                "DELETE FROM batches WHERE id >= ?1 AND id < ?2 AND last_offset < ?3",
                (id(*log, 0), id(*log, offset), offset),
            )
        }
        Change::Drop { log } => run(
            transaction,
            "DELETE FROM batches WHERE id >= ?1 AND id < ?2",
            (id(*log, 0), id(*log, OFFSET_END)),
        ),
        Change::Put { table, key, json } => {
            run(
                transaction,
                "INSERT INTO entries (kind, key, json) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json",
                (kind(*table), key, json),
            )?;
            Ok(0)
        }
        Change::Delete { table, key } => {
            run(
                transaction,
                "DELETE FROM entries WHERE kind = ?1 AND key = ?2",
                (kind(*table), key),
            )?;
            Ok(0)
        }
    }
}

fn run(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(parameters)
}

/// Returns some free pages to the file system, if there are many.
fn give_back(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let count = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let free = count("freelist_count")?;
    if free > SPARE_PAGES && free > count("page_count")? / 4 {
        // The pragma returns a row per page, and runs only as far as its rows are read.
        let mut statement =
            transaction.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// The row of a batch.
fn id(log: LogId, base_offset: i64) -> i64 {
    (i64::from(log) << OFFSET_BITS) + base_offset
}

fn outline(row: &Row<'_>) -> rusqlite::Result<BatchOutline> {
    Ok(BatchOutline {
        base_offset: row.get::<_, i64>(0)? & (OFFSET_END - 1),
        last_offset: row.get(1)?,
        max_timestamp: row.get(2)?,
        size: row.get::<_, i64>(3)? as u64,
    })
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredBatch> {
    let BatchOutline { base_offset, last_offset, max_timestamp, .. } = outline(row)?;
    let bytes = Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?);
    Ok(StoredBatch { base_offset, last_offset, max_timestamp, bytes })
}

fn first(
    statement: &mut Statement<'_>,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Option<StoredBatch>> {
    statement.query_row(parameters, stored).optional()
}

/// The number of a table in the file. These numbers are part of its format.
const fn kind(table: Table) -> i64 {
    match table {
        Table::Meta => 0,
        Table::Topics => 1,
        Table::Logs => 2,
        Table::Producers => 3,
        Table::Aborted => 4,
        Table::Transactions => 5,
        Table::Groups => 6,
        Table::Offsets => 7,
        Table::Registry => 8,
    }
}

fn sqlite(doing: &'static str, path: &str) -> impl Fn(rusqlite::Error) -> StorageError {
    let path = String::from(path);
    move |source| StorageError::Sqlite { doing, path: path.clone(), source }
}
