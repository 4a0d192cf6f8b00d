//! The thread that owns the producer: librdkafka's transaction calls block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use kafka::transaction::{Remedy, TransactionError, TransactionalProducer};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use service::Shutdown;
use tracing::{debug, warn};

use super::chunk::Chunk;

/// What the writer must do. A transaction begins with the first order after a commit.
pub(super) enum WriterOrder {
    /// Write these records.
    Write(Chunk),
    /// Commit what was written, and these offsets. Without an offset, Kafka would not check `group`.
    Commit { offsets: TopicPartitionList, group: Arc<ConsumerGroupMetadata> },
}

/// What the writer has done.
pub(super) enum WriterReport {
    /// librdkafka has the records. The chunk is empty.
    Written(Chunk),
    /// A transaction is committed.
    Committed,
    /// The open transaction has failed. The writer has aborted it, and ended.
    Failed(TransactionError),
}

/// How often librdkafka is asked for its reports while nothing is written.
const POLL: Duration = Duration::from_millis(50);

/// How long a broker may need to end a transaction after it has answered that it is committed: it then writes the
/// markers (KIP-98). If the next transaction begins before that, the broker refuses it (`CONCURRENT_TRANSACTIONS`),
/// and librdkafka waits for 20 ms before it tries again (`rdkafka_txnmgr.c`).
const ENDING: Duration = Duration::from_millis(3);

/// When the transaction under way has begun, and when the one before was committed.
#[derive(Debug, Default)]
struct TransactionTimes {
    since: Option<Instant>,
    /// When the last one was.
    committed: Option<Instant>,
}

pub(super) struct TransactionWriter {
    pub(super) producer: TransactionalProducer,
    pub(super) orders: Receiver<WriterOrder>,
    pub(super) reports: Sender<WriterReport>,
    /// When the broker aborts a transaction by itself (`transaction.timeout.ms`).
    pub(super) time_limit: Duration,
    pub(super) shutdown: Shutdown,
    /// Set when the open transaction must be aborted.
    pub(super) given_up: Arc<AtomicBool>,
}

impl TransactionWriter {
    /// Obeys until an order fails, or there are no more orders. Then it aborts the open transaction, if Kafka can be
    /// reached. Otherwise the readers of the outputs and the next owner of our partitions wait until it has timed out.
    pub(super) fn run(self) {
        let mut open = TransactionTimes::default();
        let failed = loop {
            let order = match self.orders.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) => {
                    self.producer.poll();
                    continue;
                }
                Ok(order) if !self.given_up.load(Ordering::Relaxed) => order,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => break None,
            };
            match self.obey(order, &mut open) {
                // Nobody listens any more if the session has ended.
                Ok(report) => drop(self.reports.send(report)),
                Err(error) => break Some(error),
            }
        };
        if failed.is_some()
            && let Some(error) = self.producer.take_delivery_error()
        {
            warn!(%error, "a record of the transaction was not delivered");
        }
        // librdkafka refuses to abort while the outcome of a commit is unknown. It is decided when the transactional
        // id is taken over.
        let undecided = failed.as_ref().is_some_and(TransactionError::is_undecided_commit);
        if open.since.is_some()
            && !undecided
            && let Err(error) = self.producer.abort()
        {
            debug!(%error, "the open transaction is left to its time-out");
        }
        if let Some(error) = failed {
            drop(self.reports.send(WriterReport::Failed(error)));
        }
    }

    fn obey(
        &self,
        order: WriterOrder,
        open: &mut TransactionTimes,
    ) -> Result<WriterReport, TransactionError> {
        let since = match open.since {
            Some(since) => since,
            None => self.begin(open)?,
        };
        match order {
            WriterOrder::Write(mut chunk) => {
                chunk.drain(|record, stand_in| match self.producer.send(record) {
                    Ok(()) => Ok(true),
                    Err(error) if stand_in && error.is_too_large() => Ok(false),
                    Err(error) => Err(error),
                })?;
                Ok(WriterReport::Written(chunk))
            }
            WriterOrder::Commit { offsets, group } => {
                self.persist(since, |producer| producer.send_offsets(&offsets, &group))?;
                self.persist(since, TransactionalProducer::commit)?;
                *open = TransactionTimes { since: None, committed: Some(Instant::now()) };
                Ok(WriterReport::Committed)
            }
        }
    }

    fn begin(&self, open: &mut TransactionTimes) -> Result<Instant, TransactionError> {
        if let Some(committed) = open.committed {
            std::thread::sleep(ENDING.saturating_sub(committed.elapsed()));
        }
        self.producer.begin()?;
        Ok(*open.since.insert(Instant::now()))
    }

    /// Repeats a step while it can still succeed; during shutdown it is tried only once. The writer gives up before the
    /// broker would abort the transaction by itself.
    fn persist(
        &self,
        since: Instant,
        step: impl Fn(&TransactionalProducer) -> Result<(), TransactionError>,
    ) -> Result<(), TransactionError> {
        loop {
            match step(&self.producer) {
                Err(error)
                    if error.remedy == Remedy::Retry
                        && since.elapsed() < self.time_limit.mul_f64(0.8)
                        && !self.given_up.load(Ordering::Relaxed)
                        && !self.shutdown.requested() =>
                {
                    warn!(%error, "Kafka does not answer; trying again");
                }
                outcome => return outcome,
            }
        }
    }
}
