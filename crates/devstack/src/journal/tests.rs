mod kill;

use std::time::Duration;

use super::*;
use crate::storage::gate::Gate;
use crate::storage::{StoredBatch, Table};

fn put(key: &str) -> Vec<Change> {
    vec![Change::Put { table: Table::Meta, key: key.into(), json: String::new() }]
}

fn append(offset: i64, size: usize) -> Vec<Change> {
    let bytes = vec![0; size].into();
    let batch = StoredBatch { base_offset: offset, last_offset: offset, max_timestamp: 0, bytes };
    vec![Change::Append { log: 0, batch }]
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("within ten seconds")
}

/// Whether a future is still waiting after the tasks had their turn.
async fn waits(future: impl Future) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = tokio::task::yield_now() => true,
    }
}

#[tokio::test]
async fn what_waits_during_a_commit_shares_the_next_one() {
    let gate = Gate::shut();
    let journal = Journal::start(gate.clone());
    let first = journal.submit(put("a"));
    gate.wait_for_commit();
    let second = journal.submit([put("b"), put("c")].concat());
    let third = journal.submit(put("d"));
    assert!(first < second && second < third && third == journal.position());
    assert!(waits(journal.durable(first)).await);
    gate.set(|state| state.passes = Some(1));
    within(journal.durable(first)).await.unwrap();
    assert!(waits(journal.durable(second)).await);
    gate.set(|state| state.passes = None);
    within(journal.durable(third)).await.unwrap();
    assert_eq!(gate.commits(), [vec!["a"], vec!["b", "c", "d"]]);
}

#[tokio::test]
async fn a_commit_takes_whole_submissions_up_to_its_size() {
    let gate = Gate::shut();
    let journal = Journal::start(gate.clone());
    journal.submit(put("a"));
    gate.wait_for_commit();
    let half = COMMIT_BYTES / 2 + 1;
    for (offset, size) in [(1, half), (2, 10), (3, half), (4, 3 * COMMIT_BYTES)] {
        journal.submit(append(offset, size));
    }
    let last = journal.submit(put("b"));
    gate.set(|state| state.passes = None);
    within(journal.durable(last)).await.unwrap();
    let expected =
        [vec!["a"], vec!["batch 1", "batch 2"], vec!["batch 3"], vec!["batch 4"], vec!["b"]];
    assert_eq!(gate.commits(), expected);
}

#[tokio::test]
async fn there_is_room_until_much_is_queued_and_again_when_it_is_written() {
    let gate = Gate::shut();
    let journal = Journal::start(gate.clone());
    within(journal.room()).await;
    journal.submit(append(0, QUEUE_BYTES));
    assert!(waits(journal.room()).await);
    gate.set(|state| state.passes = None);
    within(journal.room()).await;
}

#[tokio::test]
async fn a_failed_commit_fails_all_that_wait_and_all_that_come() {
    let gate = Gate::shut();
    let journal = Journal::start(gate.clone());
    let kept = journal.submit(put("a"));
    gate.wait_for_commit();
    gate.set(|state| state.passes = Some(1));
    within(journal.durable(kept)).await.unwrap();
    let lost = journal.submit(put("b"));
    gate.wait_for_commit();
    let queued = journal.submit(append(0, 2 * QUEUE_BYTES));
    assert!(waits(journal.failed()).await);
    gate.set(|state| (state.fails, state.passes) = (true, None));
    let reason = within(journal.failed()).await.to_string();
    assert!(reason.contains("gate"), "{reason}");
    gate.set(|state| state.fails = false);
    let late = journal.submit(put("c"));
    for position in [lost, queued, late] {
        let error = within(journal.durable(position)).await.unwrap_err();
        assert!(matches!(error, JournalError::Failed(_)), "{error}");
        assert!(error.to_string().contains("gate"), "{error}");
    }
    within(journal.durable(kept)).await.expect("what is durable stays so");
    within(journal.room()).await;
    drop(journal);
    assert_eq!(gate.commits(), [["a"]]);
}

#[tokio::test]
async fn a_crash_loses_what_waits_and_keeps_what_is_being_committed() {
    let gate = Gate::shut();
    let journal = Arc::new(Journal::start(gate.clone()));
    let committing = journal.submit(put("a"));
    gate.wait_for_commit();
    let waiting = journal.submit(put("b"));
    let crash = tokio::task::spawn_blocking({
        let journal = Arc::clone(&journal);
        move || journal.crash()
    });
    // What comes after the crash began is lost like what waited.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !journal.shared.queue().closed {
        assert!(std::time::Instant::now() < deadline, "the crash did not begin");
        tokio::task::yield_now().await;
    }
    let late = journal.submit(put("c"));
    assert!(!crash.is_finished(), "the running commit is waited for");
    gate.set(|state| state.passes = None);
    within(crash).await.unwrap();
    within(journal.durable(committing)).await.unwrap();
    for position in [waiting, late, journal.submit(put("d"))] {
        let error = within(journal.durable(position)).await.unwrap_err();
        assert!(matches!(error, JournalError::Crashed), "{error}");
    }
    assert_eq!(gate.commits(), [["a"]]);
}

#[tokio::test]
async fn stopping_commits_what_is_submitted_and_takes_no_more() {
    let gate = Arc::new(Gate::default());
    let journal = Journal::start(gate.clone());
    let positions: Vec<JournalPosition> =
        (0..100).map(|n| journal.submit(put(&n.to_string()))).collect();
    journal.stop();
    for position in positions {
        within(journal.durable(position)).await.unwrap();
    }
    let error = within(journal.durable(journal.submit(put("late")))).await.unwrap_err();
    assert!(matches!(error, JournalError::Stopped), "{error}");
    journal.stop();
    journal.crash();
    drop(journal);
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(gate.commits().concat(), expected);
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting() {
    let gate = Arc::new(Gate::default());
    let journal = Journal::start(gate);
    let position = journal.submit(vec![Change::Drop { log: 0 }]);
    let error = within(journal.durable(position)).await.unwrap_err();
    assert!(matches!(error, JournalError::Crashed), "{error}");
}
