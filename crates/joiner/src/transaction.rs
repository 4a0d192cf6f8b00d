//! Transactions that begin by themselves with the first thing to write, and wait while Kafka is away (rule 9).

use std::time::{Duration, Instant};

use kafka::transaction::{Record, Remedy, TransactionError, TransactionalProducer};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use service::Shutdown;
use tracing::{debug, warn};

/// A producer with at most one open transaction.
pub(crate) struct Transactions {
    producer: TransactionalProducer,
    shutdown: Shutdown,
    open_since: Option<Instant>,
    rows: usize,
}

impl Transactions {
    /// Takes over the producer's transactional id: whatever an earlier owner left open is aborted.
    pub(crate) fn new(
        producer: TransactionalProducer,
        shutdown: Shutdown,
    ) -> Result<Self, TransactionError> {
        let transactions = Self { producer, shutdown, open_since: None, rows: 0 };
        transactions.persist(TransactionalProducer::init)?;
        Ok(transactions)
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    /// Whether the open transaction has lasted for `interval` or has `max_rows` rows.
    pub(crate) fn is_due(&self, interval: Duration, max_rows: usize) -> bool {
        self.open_since.is_some_and(|since| self.rows >= max_rows || since.elapsed() >= interval)
    }

    /// A row was read: its offset belongs into a transaction.
    pub(crate) fn count_row(&mut self) -> Result<(), TransactionError> {
        self.open()?;
        self.rows += 1;
        Ok(())
    }

    /// Begins a transaction unless one is open.
    pub(crate) fn open(&mut self) -> Result<(), TransactionError> {
        if self.open_since.is_none() {
            self.producer.begin()?;
            self.open_since = Some(Instant::now());
            self.rows = 0;
        }
        Ok(())
    }

    /// Writes a record.
    pub(crate) fn send(&mut self, record: Record<'_>) -> Result<(), TransactionError> {
        self.open()?;
        self.producer.send(record)
    }

    /// Commits all that was written, and the offsets. There must be some, or Kafka does not look at `group`.
    pub(crate) fn commit(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        let committed = self.persist(|producer| producer.send_offsets(offsets, group));
        let committed = committed.and_then(|()| self.persist(TransactionalProducer::commit));
        if committed.is_err()
            && let Some(error) = self.producer.take_delivery_error()
        {
            warn!(%error, "a record of the transaction was not delivered");
        }
        committed?;
        self.open_since = None;
        Ok(())
    }

    /// Gives up what is open, as far as Kafka can be told: else readers of the outputs, and who gets our partitions,
    /// have to wait until it has timed out.
    pub(crate) fn give_up(&mut self) {
        if self.open_since.take().is_some()
            && let Err(error) = self.producer.abort()
        {
            debug!(%error, "the open transaction is left to its time-out");
        }
    }

    /// Serves what librdkafka has to report while nothing is written.
    pub(crate) fn poll(&self) {
        self.producer.poll();
    }

    /// Takes a step again and again while it can still succeed, but once only when shutting down.
    fn persist(
        &self,
        step: impl Fn(&TransactionalProducer) -> Result<(), TransactionError>,
    ) -> Result<(), TransactionError> {
        loop {
            match step(&self.producer) {
                Err(error) if error.remedy == Remedy::Retry && !self.shutdown.requested() => {
                    warn!(%error, "Kafka does not answer; trying again");
                }
                outcome => return outcome,
            }
        }
    }
}
