//! Transactions, which begin by themselves with the first thing to write, and wait while Kafka is away (rule 9).
//!
//! A thread of its own writes and commits them (`writer.rs`). While it commits one, the loop already fills the next
//! one. Nothing of the next one reaches Kafka before that commit has succeeded; if it fails, the next one is dropped
//! too.

mod chunk;
mod config;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka::transaction::{Record, Remedy, TransactionError, TransactionalProducer};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use service::Shutdown;
use tracing::warn;

use chunk::Chunk;
pub(crate) use config::producer_config;
use writer::{TransactionWriter, WriterOrder, WriterReport};

/// How many bytes are handed over to the writer at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// How many chunks may wait for the writer before the loop stops reading.
const MAX_WAITING: usize = 64;
/// How many empty chunks are kept.
const MAX_SPARE: usize = 16;

/// At most one transaction that is being filled, and one before it that is being committed.
pub(crate) struct TransactionPipeline {
    /// None after [`give_up`](Self::give_up).
    orders: Option<Sender<WriterOrder>>,
    reports: Receiver<WriterReport>,
    thread: Option<JoinHandle<()>>,
    given_up: Arc<AtomicBool>,
    /// What is handed over next, and empty chunks.
    chunk: Chunk,
    spare: Vec<Chunk>,
    /// Chunks handed over and not yet with librdkafka.
    waiting: usize,
    /// Whether a commit was asked for and has not succeeded yet.
    committing: bool,
    open_since: Option<Instant>,
    rows: usize,
}

impl TransactionPipeline {
    /// Takes over the producer's transactional id, which aborts what an earlier owner has left open. The broker aborts
    /// a transaction by itself that is open for longer than `time_limit` (`transaction.timeout.ms`).
    pub(crate) fn new(
        producer: TransactionalProducer,
        time_limit: Duration,
        shutdown: Shutdown,
    ) -> Result<Self, TransactionError> {
        loop {
            match producer.init() {
                Err(error) if error.remedy == Remedy::Retry && !shutdown.requested() => {
                    warn!(%error, "Kafka does not answer; trying again");
                }
                outcome => break outcome?,
            }
        }
        let (orders, to_obey) = mpsc::channel();
        let (to_report, reports) = mpsc::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let writer = TransactionWriter {
            producer,
            orders: to_obey,
            reports: to_report,
            time_limit,
            shutdown,
            given_up: Arc::clone(&given_up),
        };
        let thread = std::thread::Builder::new().name("transactions".to_owned());
        let thread = thread.spawn(|| writer.run());
        let thread = thread.expect("the operating system has room for a thread");
        Ok(Self {
            orders: Some(orders),
            reports,
            thread: Some(thread),
            given_up,
            chunk: Chunk::default(),
            spare: Vec::new(),
            waiting: 0,
            committing: false,
            open_since: None,
            rows: 0,
        })
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    /// Whether the open transaction has lasted for `interval` or has `max_rows` rows, and the one before it is
    /// committed.
    pub(crate) fn is_due(&self, interval: Duration, max_rows: usize) -> bool {
        let due = self
            .open_since
            .is_some_and(|since| self.rows >= max_rows || since.elapsed() >= interval);
        due && !self.committing
    }

    /// Whether so much waits to be written that no more should be read.
    pub(crate) const fn is_full(&self, max_rows: usize) -> bool {
        self.waiting >= MAX_WAITING || self.committing && self.rows >= max_rows
    }

    /// A record was processed. Its offset must be part of a transaction.
    pub(crate) fn count_row(&mut self) {
        self.open();
        self.rows += 1;
    }

    /// Begins a transaction unless one is open.
    pub(crate) fn open(&mut self) {
        if self.open_since.is_none() {
            self.open_since = Some(Instant::now());
            self.rows = 0;
        }
    }

    /// Writes a record. [`look`](Self::look) returns the error if that fails.
    pub(crate) fn send(&mut self, record: Record<'_>) {
        self.open();
        self.chunk.push(record);
        if self.chunk.size() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    /// Writes a record, or `rest` if librdkafka finds that the record is too large.
    pub(crate) fn send_or(&mut self, record: Record<'_>, rest: Record<'_>) {
        self.open();
        self.chunk.push(record);
        self.chunk.push_instead(rest);
        if self.chunk.size() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    /// Hands over what was written if the writer has nothing to do. So it is sent while more is read.
    pub(crate) fn hand_over_if_idle(&mut self) {
        if self.waiting == 0 && !self.committing {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if !self.chunk.is_empty() {
            let empty = self.spare.pop().unwrap_or_default();
            let chunk = std::mem::replace(&mut self.chunk, empty);
            self.waiting += 1;
            self.order(WriterOrder::Write(chunk));
        }
    }

    /// Asks for a commit of all that was written, and of `offsets`. Without an offset, Kafka would not check `group`.
    /// [`look`](Self::look) returns the outcome.
    pub(crate) fn commit(
        &mut self,
        offsets: TopicPartitionList,
        group: Arc<ConsumerGroupMetadata>,
    ) {
        debug_assert!(!self.committing, "one commit at a time");
        self.hand_over();
        self.order(WriterOrder::Commit { offsets, group });
        self.committing = true;
        self.open_since = None;
        self.rows = 0;
    }

    /// Takes the writer's reports. Returns whether the commit that was asked for has succeeded since the last call.
    ///
    /// # Errors
    ///
    /// What has failed. The transactions can't be used any more.
    pub(crate) fn look(&mut self) -> Result<bool, TransactionError> {
        let mut committed = false;
        loop {
            match self.reports.try_recv() {
                Ok(report) => committed |= self.note(report)?,
                Err(TryRecvError::Empty) => return Ok(committed),
                Err(TryRecvError::Disconnected) => panic!("the writer has ended without a reason"),
            }
        }
    }

    /// Like [`look`](Self::look), but waits until no commit is under way.
    pub(crate) fn settle(&mut self) -> Result<bool, TransactionError> {
        let mut committed = false;
        while self.committing {
            let report = self.reports.recv().expect("the writer answers every commit");
            committed |= self.note(report)?;
        }
        Ok(committed)
    }

    fn note(&mut self, report: WriterReport) -> Result<bool, TransactionError> {
        match report {
            WriterReport::Written(mut chunk) => {
                self.waiting -= 1;
                if self.spare.len() < MAX_SPARE {
                    chunk.shrink_to(2 * CHUNK_BYTES);
                    self.spare.push(chunk);
                }
                Ok(false)
            }
            WriterReport::Committed => {
                self.committing = false;
                Ok(true)
            }
            WriterReport::Failed(error) => Err(error),
        }
    }

    /// Aborts the open transaction, if Kafka can be reached, and drops what is not yet written.
    pub(crate) fn give_up(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the thread that writes has panicked");
        }
    }

    fn order(&self, order: WriterOrder) {
        if let Some(orders) = &self.orders {
            // A writer that has ended has reported why, and the report is taken next.
            let _ = orders.send(order);
        }
    }
}

impl Drop for TransactionPipeline {
    fn drop(&mut self) {
        self.give_up();
    }
}
