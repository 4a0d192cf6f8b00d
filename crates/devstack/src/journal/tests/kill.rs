//! Kills a process that writes through a journal to a file, and looks at what it left.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::journal::Journal;
use crate::storage::{Change, Sqlite, Storage, StoredBatch, Table};

/// Tells the process to be killed where its file is.
const DIR: &str = "DEVSTACK_KILL_TEST_DIR";
const LOG: u32 = 3;

/// What is written at an offset, from 100 bytes to 300 kB.
fn batch(offset: i64) -> StoredBatch {
    let size = 100 + (offset as usize * 7_919) % 300_000 / (1 + offset as usize % 4 * 100);
    let bytes = vec![offset as u8; size].into();
    StoredBatch { base_offset: offset, last_offset: offset, max_timestamp: 0, bytes }
}

/// Where the log ends, and what the entry that is written with each batch says of that.
fn ends(storage: &Sqlite) -> (i64, i64) {
    let outline = storage.outline(LOG, usize::MAX).unwrap();
    for (offset, batch) in (0..).zip(&outline) {
        assert_eq!(batch.base_offset, offset, "no gap");
    }
    let entries = storage.entries(Table::Logs).unwrap();
    let noted = entries.first().map_or(0, |(_, json)| json.parse().unwrap());
    (outline.len() as i64, noted)
}

#[test]
#[ignore = "the process that the test below kills"]
fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let storage = Arc::new(Sqlite::open(Path::new(&dir)).unwrap());
    let (mut offset, _) = ends(&storage);
    let journal = Journal::start(storage);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    loop {
        let positions: Vec<_> = (0..5)
            .map(|_| {
                let append = Change::Append { log: LOG, batch: batch(offset) };
                offset += 1;
                let position = journal.submit(vec![append, Change::put(Table::Logs, "3", &offset)]);
                (offset - 1, position)
            })
            .collect();
        for (offset, position) in positions {
            runtime.block_on(journal.durable(position)).unwrap();
            writeln!(std::io::stdout(), "{offset}").unwrap();
        }
    }
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = -1;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg(concat!("journal::tests::kill::", "writes_until_it_is_killed"))
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test harness talks too.
        let mut offsets = lines.filter_map(|line| line.unwrap().parse::<i64>().ok());
        let target = acknowledged + 1 + round * 17 % 60;
        acknowledged = offsets.by_ref().find(|&offset| offset >= target).expect("it writes");
        child.kill().unwrap();
        acknowledged = offsets.last().unwrap_or(acknowledged);
        child.wait().unwrap();

        let storage = Sqlite::open(dir.path()).expect("the lock went with the process");
        let (end, noted) = ends(&storage);
        assert!(end > acknowledged, "{acknowledged} was acknowledged, {end} is the end");
        assert_eq!(end, noted, "all of a submission or nothing");
        let written = storage.batches(LOG, (end - 20).max(0), end, usize::MAX).unwrap();
        assert!(!written.is_empty());
        for read in written {
            assert_eq!(read, batch(read.base_offset));
        }
    }
}
