//! Group commit: changes are submitted while the broker's state is locked, and one thread writes all waiting changes at
//! once.
//!
//! Changes become durable in the order in which they are submitted. Before a change is acknowledged, its
//! [`JournalPosition`] must be durable.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::storage::{Change, Storage, StorageError};

/// The largest commit, unless a single submission is larger.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// [`Journal::room`] waits while more than this is queued.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// The number of submissions up to a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JournalPosition(u64);

/// Why a change will never be durable.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum JournalError {
    /// The storage can't be written. Nothing is written after that, so that there are no gaps.
    #[error("the journal can't go on: {0}")]
    Failed(Arc<StorageError>),
    /// It was lost in a crash: one simulated by [`Journal::crash`], or a panic of the writer.
    #[error("the journal crashed")]
    Crashed,
    /// It was submitted after the journal was told to stop.
    #[error("the journal is stopped")]
    Stopped,
}

/// How far the writer is.
#[derive(Debug, Clone)]
struct JournalProgress {
    durable: JournalPosition,
    end: Option<JournalError>,
}

#[derive(Debug)]
struct QueuedChanges {
    changes: Vec<Change>,
    bytes: usize,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<QueuedChanges>,
    /// The size of the waiting changes and of those that are being committed.
    bytes: usize,
    submitted: JournalPosition,
    /// No more changes are accepted. Never reset.
    closed: bool,
}

#[derive(Debug)]
struct SharedJournal {
    queue: Mutex<Queue>,
    /// Notified when changes wait or the queue is closed.
    bell: Condvar,
    progress: watch::Sender<JournalProgress>,
}

impl SharedJournal {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic while it is held")
    }
}

/// Writes changes to a [`Storage`] in the order in which they are submitted. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<SharedJournal>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Starts the writer.
    pub(crate) fn start(storage: Arc<dyn Storage>) -> Self {
        let start = JournalPosition(0);
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, submitted: start, closed: false };
        let shared = Arc::new(SharedJournal {
            queue: Mutex::new(queue),
            bell: Condvar::new(),
            progress: watch::Sender::new(JournalProgress { durable: start, end: None }),
        });
        let writer = JournalWriter { storage, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("journal".into());
        let thread = thread.spawn(move || writer.run()).expect("the system has threads");
        Self { shared, writer: Mutex::new(Some(thread)) }
    }

    /// Submits changes, which are written together or not at all. Never waits for the storage.
    pub(crate) fn submit(&self, changes: Vec<Change>) -> JournalPosition {
        let bytes = changes.iter().map(size).sum();
        let mut queue = self.shared.queue();
        queue.submitted.0 += 1;
        if !queue.closed {
            queue.waiting.push_back(QueuedChanges { changes, bytes });
            queue.bytes += bytes;
            self.shared.bell.notify_one();
        }
        queue.submitted
    }

    /// The position after everything that is submitted so far.
    pub(crate) fn position(&self) -> JournalPosition {
        self.shared.queue().submitted
    }

    /// Waits until all changes up to `position` are durable.
    pub(crate) async fn durable(&self, position: JournalPosition) -> Result<(), JournalError> {
        let progress =
            self.progress(|progress| progress.durable >= position || progress.end.is_some()).await;
        match progress.end {
            Some(end) if progress.durable < position => Err(end),
            _ => Ok(()),
        }
    }

    /// Waits while much is queued. Called before a request is read from a connection, so that clients wait instead of
    /// memory growing.
    pub(crate) async fn room(&self) {
        let shared = &self.shared;
        self.progress(|progress| progress.end.is_some() || shared.queue().bytes <= QUEUE_BYTES)
            .await;
    }

    /// Waits until the journal has failed, and returns the reason. Nothing can be acknowledged any more, so the process
    /// should end.
    pub(crate) async fn failed(&self) -> Arc<StorageError> {
        let progress =
            self.progress(|progress| matches!(progress.end, Some(JournalError::Failed(_)))).await;
        match progress.end {
            Some(JournalError::Failed(error)) => error,
            _ => unreachable!("this is what was waited for"),
        }
    }

    /// Ends like SIGKILL: a commit in progress may complete or not, waiting changes are lost. Returns when nothing is
    /// written any more.
    pub(crate) fn crash(&self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        let lost: usize = queue.waiting.drain(..).map(|submission| submission.bytes).sum();
        queue.bytes -= lost;
        drop(queue);
        self.join();
        self.shared.end(JournalError::Crashed);
    }

    /// Commits all submitted changes, and ends.
    pub(crate) fn stop(&self) {
        self.shared.queue().closed = true;
        self.join();
        self.shared.end(JournalError::Stopped);
    }

    fn join(&self) {
        self.shared.bell.notify_one();
        let mut writer = self.writer.lock().expect("no panic while it is held");
        if let Some(thread) = writer.take() {
            // A panic was already reported, and `Drop` has told those who wait.
            let _ = thread.join();
        }
    }

    async fn progress(&self, condition: impl FnMut(&JournalProgress) -> bool) -> JournalProgress {
        let mut progress = self.shared.progress.subscribe();
        let progress = progress.wait_for(condition).await;
        progress.expect("its sender is held by self").clone()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

impl SharedJournal {
    /// Tells all waiting tasks that nothing more becomes durable. Later reasons are ignored.
    fn end(&self, reason: JournalError) {
        self.progress.send_if_modified(|progress| {
            let first = progress.end.is_none();
            progress.end.get_or_insert(reason);
            first
        });
    }
}

struct JournalWriter {
    storage: Arc<dyn Storage>,
    shared: Arc<SharedJournal>,
}

impl JournalWriter {
    fn run(self) {
        while let Some((changes, count, bytes)) = self.next() {
            let committed = self.storage.commit(&changes);
            let mut queue = self.shared.queue();
            queue.bytes -= bytes;
            if let Err(error) = committed {
                queue.closed = true;
                queue.waiting.clear();
                drop(queue);
                self.shared.end(JournalError::Failed(Arc::new(error)));
                return;
            }
            drop(queue);
            self.shared.progress.send_modify(|progress| progress.durable.0 += count);
        }
    }

    /// Waits for submissions and takes those that wait: their changes, their number, their size. `None` when the queue
    /// is closed and empty.
    fn next(&self) -> Option<(Vec<Change>, u64, usize)> {
        let queue = self.shared.queue();
        let mut queue = self
            .shared
            .bell
            .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closed)
            .expect("no panic while it is held");
        let mut changes = Vec::new();
        let mut count = 0;
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            if count > 0 && bytes + next.bytes > COMMIT_BYTES {
                break;
            }
            bytes += next.bytes;
            count += 1;
            changes.extend(queue.waiting.pop_front().into_iter().flat_map(|next| next.changes));
        }
        (count > 0).then_some((changes, count, bytes))
    }
}

impl Drop for JournalWriter {
    /// After a panic of the storage, nobody may wait forever.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.queue().closed = true;
            self.shared.end(JournalError::Crashed);
        }
    }
}

/// The approximate size of a change in memory.
fn size(change: &Change) -> usize {
    let content = match change {
        Change::Append { batch, .. } => batch.bytes.len(),
        Change::Put { key, json, .. } => key.len() + json.len(),
        Change::Delete { key, .. } => key.len(),
        Change::Remove { .. } | Change::Trim { .. } | Change::Drop { .. } => 0,
    };
    content + size_of::<Change>()
}

#[cfg(test)]
pub(crate) mod tests;
