//! A storage for tests: its commits wait until the test lets them pass.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{BatchOutline, Change, LogId, Storage, StorageError, StoredBatch, Table};

/// A storage whose commits the test lets pass, and which records them.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
pub(crate) struct GateState {
    /// The number of commits that may still pass. `None` for all.
    pub(crate) passes: Option<usize>,
    /// Whether the commits that pass fail.
    pub(crate) fails: bool,
    /// A commit waits.
    waiting: bool,
    commits: Vec<Vec<String>>,
}

impl Gate {
    pub(crate) fn shut() -> Arc<Self> {
        let gate = Self::default();
        gate.set(|state| state.passes = Some(0));
        Arc::new(gate)
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.lock().unwrap());
        self.moved.notify_all();
    }

    /// Waits until a commit has come to the gate.
    pub(crate) fn wait_for_commit(&self) {
        let state = self.state.lock().unwrap();
        let deadline = Duration::from_secs(10);
        let (_state, timeout) =
            self.moved.wait_timeout_while(state, deadline, |state| !state.waiting).unwrap();
        assert!(!timeout.timed_out(), "no commit came");
    }

    pub(crate) fn commits(&self) -> Vec<Vec<String>> {
        self.state.lock().unwrap().commits.clone()
    }
}

impl Storage for Gate {
    fn commit(&self, changes: &[Change]) -> Result<(), StorageError> {
        let mut state = self.state.lock().unwrap();
        state.waiting = true;
        self.moved.notify_all();
        let mut state = self.moved.wait_while(state, |state| state.passes == Some(0)).unwrap();
        state.waiting = false;
        state.passes = state.passes.map(|passes| passes - 1);
        if state.fails {
            return Err(StorageError::InUse { path: "gate".into() });
        }
        let name = |change: &Change| match change {
            Change::Put { key, .. } | Change::Delete { key, .. } => key.clone(),
            Change::Append { batch, .. } => format!("batch {}", batch.base_offset),
            other => panic!("{other:?}"),
        };
        state.commits.push(changes.iter().map(name).collect());
        Ok(())
    }

    fn batches(
        &self,
        _: LogId,
        _: i64,
        _: i64,
        _: usize,
    ) -> Result<Vec<StoredBatch>, StorageError> {
        unimplemented!()
    }

    fn batch_at_time(&self, _: LogId, _: i64, _: i64) -> Result<Option<StoredBatch>, StorageError> {
        unimplemented!()
    }

    fn latest_batch_by_time(&self, _: LogId) -> Result<Option<StoredBatch>, StorageError> {
        unimplemented!()
    }

    fn size(&self, _: LogId) -> Result<u64, StorageError> {
        unimplemented!()
    }

    fn end(&self, _: LogId) -> Result<Option<i64>, StorageError> {
        unimplemented!()
    }

    fn outline(&self, _: LogId, _: usize) -> Result<Vec<BatchOutline>, StorageError> {
        unimplemented!()
    }

    fn entries(&self, _: Table) -> Result<Vec<(String, String)>, StorageError> {
        unimplemented!()
    }
}
