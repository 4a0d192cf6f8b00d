use std::path::Path;

use super::*;

/// One storage of each kind; the directory of the second lives as long as the value.
fn storages() -> [(Sqlite, Option<tempfile::TempDir>); 2] {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::open(dir.path()).unwrap();
    [(Sqlite::in_memory().unwrap(), None), (file, Some(dir))]
}

fn batch(base_offset: i64, last_offset: i64, max_timestamp: i64, size: usize) -> StoredBatch {
    let bytes = Bytes::from(vec![base_offset as u8; size]);
    StoredBatch { base_offset, last_offset, max_timestamp, bytes }
}

fn append(log: LogId, batch: StoredBatch) -> Change {
    Change::Append { log, batch }
}

fn put(table: Table, key: &str, json: &str) -> Change {
    Change::Put { table, key: key.into(), json: json.into() }
}

/// The base offsets of what is read of log 7 from `offset` to the end.
fn read(storage: &Sqlite, offset: i64) -> Vec<i64> {
    let batches = storage.batches(7, offset, i64::MAX, usize::MAX).unwrap();
    batches.iter().map(|batch| batch.base_offset).collect()
}

/// Offsets 0-9, 10, 20-29 (a gap before it) in log 7, and neighbours in the logs beside it.
fn three_batches() -> Vec<Change> {
    vec![
        append(6, batch((1 << 40) - 1, (1 << 40) - 1, 9_000, 10)),
        append(7, batch(0, 9, 100, 40)),
        append(7, batch(10, 10, 300, 40)),
        append(7, batch(20, 29, 200, 40)),
        append(8, batch(0, 0, 9_000, 10)),
    ]
}

#[test]
fn reading_starts_at_the_batch_that_contains_the_offset() {
    for (storage, _dir) in storages() {
        storage.commit(&three_batches()).unwrap();
        for (offset, expected) in [
            (-5, &[0, 10, 20][..]),
            (0, &[0, 10, 20]),
            (9, &[0, 10, 20]),
            (10, &[10, 20]),
            (11, &[20]),
            (29, &[20]),
            (30, &[]),
            (i64::MAX, &[]),
        ] {
            assert_eq!(read(&storage, offset), expected, "from {offset}");
        }
        assert_eq!(storage.batches(9, 0, i64::MAX, usize::MAX).unwrap(), []);
    }
}

#[test]
fn reading_ends_at_the_end_and_at_the_limit_but_gives_one_batch_at_least() {
    for (storage, _dir) in storages() {
        storage.commit(&three_batches()).unwrap();
        for (offset, end, max_bytes, expected) in [
            (0, 20, usize::MAX, &[0, 10][..]),
            (0, 21, usize::MAX, &[0, 10, 20]),
            (0, 0, usize::MAX, &[]),
            (5, 100, 0, &[0]),
            (5, 100, 79, &[0]),
            (5, 100, 80, &[0, 10]),
        ] {
            let batches = storage.batches(7, offset, end, max_bytes).unwrap();
            let offsets: Vec<i64> = batches.iter().map(|batch| batch.base_offset).collect();
            assert_eq!(offsets, expected, "{offset} to {end} within {max_bytes}");
        }
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    for (storage, _dir) in storages() {
        let written = batch(3, 5, -1, 100_000);
        storage.commit(&[append(7, batch(3, 4, 9, 10)), append(7, written.clone())]).unwrap();
        assert_eq!(storage.batches(7, 3, 4, 1).unwrap(), [written]);
        let outline =
            BatchOutline { base_offset: 3, last_offset: 5, max_timestamp: -1, size: 100_000 };
        assert_eq!(storage.outline(7, usize::MAX).unwrap(), [outline]);
    }
}

#[test]
fn batches_are_found_by_time() {
    for (storage, _dir) in storages() {
        storage.commit(&three_batches()).unwrap();
        for (timestamp, expected) in [(0, Some(0)), (100, Some(0)), (101, Some(10)), (301, None)] {
            let found = storage.batch_at_time(7, 0, timestamp).unwrap();
            assert_eq!(found.map(|batch| batch.base_offset), expected, "at {timestamp}");
        }
        storage.commit(&[append(7, batch(30, 30, 300, 1))]).unwrap();
        let latest = storage.latest_batch_by_time(7).unwrap().unwrap();
        assert_eq!(latest.base_offset, 10, "the first of those with the largest timestamp");
        assert_eq!(storage.latest_batch_by_time(9).unwrap(), None);
    }
}

#[test]
fn removing_spares_the_neighbours() {
    for (change, expected) in [
        (Change::Remove { log: 7, base_offset: 10 }, &[0, 20][..]),
        (Change::Remove { log: 7, base_offset: 11 }, &[0, 10, 20]),
        (Change::Trim { log: 7, offset: 9 }, &[0, 10, 20]),
        (Change::Trim { log: 7, offset: 10 }, &[10, 20]),
        (Change::Trim { log: 7, offset: 29 }, &[20]),
        (Change::Trim { log: 7, offset: i64::MAX }, &[]),
        (Change::Drop { log: 7 }, &[]),
    ] {
        for (storage, _dir) in storages() {
            storage.commit(&three_batches()).unwrap();
            storage.commit(std::slice::from_ref(&change)).unwrap();
            assert_eq!(read(&storage, 0), expected, "after {change:?}");
            assert_eq!(storage.outline(6, usize::MAX).unwrap().len(), 1, "after {change:?}");
            assert_eq!(storage.outline(8, usize::MAX).unwrap().len(), 1, "after {change:?}");
        }
    }
}

#[test]
fn entries_are_set_replaced_and_deleted_in_their_table() {
    for (storage, _dir) in storages() {
        storage
            .commit(&[
                put(Table::Topics, "a", "1"),
                put(Table::Topics, "b", "2"),
                put(Table::Groups, "a", "3"),
                put(Table::Topics, "a", "4"),
                Change::delete(Table::Topics, "b"),
                Change::delete(Table::Topics, "never there"),
            ])
            .unwrap();
        let entry = |key: &str, json: &str| (String::from(key), String::from(json));
        assert_eq!(storage.entries(Table::Topics).unwrap(), [entry("a", "4")]);
        assert_eq!(storage.entries(Table::Groups).unwrap(), [entry("a", "3")]);
        assert_eq!(storage.entries(Table::Offsets).unwrap(), []);
    }
}

#[test]
fn all_changes_are_written_or_none() {
    for (storage, _dir) in storages() {
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON entries WHEN new.key = 'full'
                       BEGIN SELECT raise(ABORT, 'the disk is full'); END";
        storage.connection_for_tests().execute_batch(trigger).unwrap();
        let changes =
            [append(7, batch(0, 0, 0, 1)), put(Table::Meta, "full", ""), put(Table::Meta, "x", "")];
        assert!(matches!(storage.commit(&changes), Err(StorageError::Sqlite { .. })));
        assert!(read(&storage, 0).is_empty());
        assert_eq!(storage.entries(Table::Meta).unwrap(), []);
        storage.commit(&[put(Table::Meta, "y", "")]).expect("the failure is over");
    }
}

#[test]
fn the_file_keeps_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("not there yet");
    for n in 0..3 {
        let storage = Sqlite::open(&dir).unwrap();
        assert_eq!(read(&storage, 0).len(), n);
        assert_eq!(storage.entries(Table::Logs).unwrap().len(), n);
        let base = n as i64;
        let entry = put(Table::Logs, &n.to_string(), "{}");
        storage.commit(&[append(7, batch(base, base, 0, 50_000)), entry]).unwrap();
    }
}

#[test]
fn a_file_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sqlite::open(dir.path()).unwrap();
    assert!(matches!(Sqlite::open(dir.path()), Err(StorageError::InUse { .. })));
    drop(first);
    Sqlite::open(dir.path()).expect("it is free again");
}

#[test]
fn a_file_of_another_format_or_program_is_refused() {
    let open_after = |sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        drop(Sqlite::open(dir.path()).unwrap());
        let connection = rusqlite::Connection::open(dir.path().join(sqlite::FILE)).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        Sqlite::open(dir.path()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open_after(""), Ok(()));
    let error = open_after("PRAGMA user_version = 99").unwrap_err();
    assert!(error.contains("has format 99, this program writes format 1"), "{error}");
    for foreign in
        ["PRAGMA application_id = 5", "PRAGMA application_id = 0; PRAGMA user_version = 0"]
    {
        let error = open_after(foreign).unwrap_err();
        assert!(error.contains("not a file of the devstack"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(sqlite::FILE), "once upon a time, far from here".repeat(99))
        .unwrap();
    assert!(matches!(Sqlite::open(dir.path()), Err(StorageError::Sqlite { .. })));
}

#[test]
fn room_that_is_free_is_used_again_or_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Sqlite::open(dir.path()).unwrap();
    let megabyte = |offset| append(7, batch(offset, offset, 0, 1 << 20));
    for offset in 0..64 {
        storage.commit(&[megabyte(offset)]).unwrap();
    }
    let full = file_size(dir.path());
    assert!(full > 60 << 20, "{full}");
    for offset in 64..200 {
        let trim = Change::Trim { log: 7, offset: offset - 8 };
        storage.commit(&[megabyte(offset), trim]).unwrap();
    }
    drop(storage);
    let small = file_size(dir.path());
    assert!(small < 40 << 20, "{small}");
}

fn file_size(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(sqlite::FILE)).unwrap().len()
}
