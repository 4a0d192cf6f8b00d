//! The steps of a transaction, with errors that say what to do next.
//!
//! All calls block; they belong on a thread of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use models::Partition;
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::LogContext;

/// What an error of a transaction leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing is decided yet; the same call can be made again.
    Retry,
    /// The transaction must be aborted; after that the producer can begin another one.
    Abort,
    /// The producer is of no use any more: another one has taken its transactional id (fenced), or it failed
    /// for good. A new one has to be made.
    Recreate,
}

/// An error in one of the steps of a transaction.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}: {source}")]
pub struct TransactionError {
    /// What was being done, e.g. `commit the transaction`.
    pub step: &'static str,
    /// What it leaves to do.
    pub remedy: Remedy,
    /// What librdkafka says.
    pub source: KafkaError,
}

impl TransactionError {
    /// Whether another producer has taken over the transactional id.
    pub fn is_fenced(&self) -> bool {
        let code = self.source.rdkafka_error_code();
        matches!(code, Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch))
    }

    /// Whether nobody knows yet if the transaction is committed.
    pub fn is_undecided_commit(&self) -> bool {
        self.step == COMMIT && self.remedy == Remedy::Retry
    }

    /// Whether a record was refused before it was sent, because it is larger than `message.max.bytes`. The
    /// transaction has not suffered.
    pub const fn is_too_large(&self) -> bool {
        matches!(self.source, KafkaError::MessageProduction(Code::MessageSizeTooLarge))
    }
}

/// Reads both flags of a transactional error: one may be fatal *and* ask for an abort, and one that is
/// neither retriable nor abortable leaves the producer in a state that nobody knows.
fn remedy(error: &KafkaError) -> Remedy {
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Remedy::Recreate,
        KafkaError::Transaction(error) if error.txn_requires_abort() => Remedy::Abort,
        KafkaError::Transaction(error) if error.is_retriable() => Remedy::Retry,
        KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => Remedy::Retry,
        KafkaError::MessageProduction(code) => match code {
            Code::QueueFull => Remedy::Retry,
            Code::Fatal | Code::Fenced | Code::ProducerFenced => Remedy::Recreate,
            // Refused in the present state: the transaction has already failed.
            _ => Remedy::Abort,
        },
        _ => Remedy::Recreate,
    }
}

/// A record to write in a transaction.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; the producer leaves nothing to librdkafka's partitioner.
    pub partition: Partition,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch; now if absent.
    pub timestamp_ms: Option<i64>,
    /// Headers, if it has some.
    pub headers: Option<OwnedHeaders>,
}

/// A producer that writes in transactions.
pub struct TransactionalProducer {
    producer: Arc<BaseProducer<LogContext>>,
    timeout: Duration,
    /// Whether a call was given up that is still under way.
    is_stuck: AtomicBool,
    /// Where Kafka knows this producer from an acknowledged record.
    known: Mutex<Vec<(String, Partition)>>,
}

const COMMIT: &str = "commit the transaction";
const ABORT: &str = "abort the transaction";
const OFFSETS: &str = "add the consumed offsets to the transaction";
/// How long a call may take beyond its time-out.
const GRACE: Duration = Duration::from_secs(1);
/// How long a poll may wait for room in librdkafka's queue.
const POLL: Duration = Duration::from_millis(1);
/// How often it is looked whether all records have arrived. A poll would not do: with less than a millisecond left to
/// wait it spins.
const LOOK: Duration = Duration::from_micros(200);
/// How often a transaction whose records are on their way is asked whether it has failed.
const CHECK: Duration = Duration::from_millis(100);
/// How long one attempt at aborting may take before its reports are polled for.
const ABORT_STEP: Duration = Duration::from_millis(100);

impl TransactionalProducer {
    /// A producer with this transactional id, on top of `config`. `timeout` bounds each of its calls.
    ///
    /// # Errors
    ///
    /// What librdkafka says about the configuration.
    pub fn new(
        config: &ClientConfig,
        transactional_id: &str,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let mut config = config.clone();
        config.set("transactional.id", transactional_id);
        config.set("enable.idempotence", "true");
        // A successful delivery tells nothing that the commit doesn't.
        config.set("delivery.report.only.error", "true");
        let producer = config.create_with_context(LogContext::default())?;
        let (producer, is_stuck) = (Arc::new(producer), AtomicBool::new(false));
        Ok(Self { producer, timeout, is_stuck, known: Mutex::default() })
    }

    /// Takes over the transactional id: aborts what an earlier producer left open, and fences it.
    ///
    /// # Errors
    ///
    /// [`TransactionError`].
    pub fn init(&self) -> Result<(), TransactionError> {
        done("take over the transactional id", self.producer.init_transactions(self.timeout))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// [`TransactionError`].
    pub fn begin(&self) -> Result<(), TransactionError> {
        done("begin a transaction", self.producer.begin_transaction())
    }

    /// Adds a record to the transaction. Waits while the local queue is full, and the first time that it writes to a
    /// partition until Kafka has acknowledged that.
    ///
    /// A partition's leader takes any sequence number from a producer that it doesn't know. If the first batch were
    /// refused (`NOT_LEADER_OR_FOLLOWER`) and the second one, already on its way, taken, the first could not be
    /// written any more, and librdkafka would count it as acknowledged.
    ///
    /// # Errors
    ///
    /// [`TransactionError`]; [`Remedy::Retry`] if the queue stays full, or there is no acknowledgement, for the whole
    /// time-out.
    pub fn send(&self, record: Record<'_>) -> Result<(), TransactionError> {
        let is_known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().any(|(topic, at)| *at == record.partition && topic == record.topic)
        };
        if is_known {
            return self.enqueue(record);
        }
        let place = (record.topic.to_owned(), record.partition);
        self.enqueue(record)?;
        self.settle(Instant::now() + self.timeout)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        Ok(())
    }

    fn enqueue(&self, record: Record<'_>) -> Result<(), TransactionError> {
        let mut base = BaseRecord::<[u8], [u8]>::to(record.topic).partition(record.partition);
        base.key = record.key;
        base.payload = record.value;
        base.timestamp = record.timestamp_ms;
        base.headers = record.headers;
        let mut full_since = None;
        loop {
            match self.producer.send(base) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back))
                    if full_since.get_or_insert_with(Instant::now).elapsed() < self.timeout =>
                {
                    base = back;
                    self.producer.poll(POLL);
                }
                Err((source, _)) => return done("write a record", Err(source)),
            }
        }
    }

    /// Adds consumed offsets to the transaction, fenced by the consumer's group membership.
    ///
    /// librdkafka may take for ever in spite of its time-out: when a broker has said more than twice in a row that the
    /// group has no coordinator, it waits until a connection comes or goes
    /// (<https://github.com/confluentinc/librdkafka/issues/5456>). A call that has not returned after a second more than
    /// it may take is left to a thread of its own.
    ///
    /// # Errors
    ///
    /// [`TransactionError`]; [`Remedy::Recreate`] if librdkafka doesn't return.
    pub fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &Arc<ConsumerGroupMetadata>,
    ) -> Result<(), TransactionError> {
        let (to_tell, told) = channel();
        let (producer, timeout) = (Arc::clone(&self.producer), self.timeout);
        let (offsets, group) = (offsets.clone(), Arc::clone(group));
        let call = move || {
            let sent = producer.send_offsets_to_transaction(&offsets, &group, timeout);
            // Before the answer, so that nobody who hears it has to wait for this thread.
            drop(producer);
            // Nobody listens any more to a call that was given up.
            let _ = to_tell.send(sent);
        };
        let thread = std::thread::Builder::new().name("offsets".to_owned()).spawn(call);
        thread.expect("the operating system has room for a thread");
        match told.recv_timeout(self.timeout + GRACE) {
            Ok(sent) => done(OFFSETS, sent),
            Err(RecvTimeoutError::Timeout) => {
                self.is_stuck.store(true, Ordering::Relaxed);
                done(OFFSETS, Err(KafkaError::Global(Code::OperationTimedOut)))
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the call to librdkafka panicked"),
        }
    }

    /// Waits until Kafka has acknowledged all that was sent in the open transaction. Nothing that was asked of Kafka
    /// by then can make the transaction visible: after an error it is certain that it is not, and won't be.
    ///
    /// # Errors
    ///
    /// [`TransactionError`]; [`Remedy::Retry`] if there are records without acknowledgement at `deadline`.
    pub fn settle(&self, deadline: Instant) -> Result<(), TransactionError> {
        let mut checked = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                let source = KafkaError::Flush(Code::OperationTimedOut);
                return done("deliver the records", Err(source));
            }
            self.look();
            if checked.elapsed() >= CHECK {
                self.check_open()?;
                checked = Instant::now();
            }
        }
        self.check_open()
    }

    /// Whether the open transaction can still be committed.
    ///
    /// A transaction fails in the background, and what is queued for it stays queued. librdkafka tells when it is asked
    /// for another step; to begin one within an open one changes nothing, and the error says how the open one stands
    /// (`rd_kafka_txn_require_states0` in `rdkafka_txnmgr.c`).
    fn check_open(&self) -> Result<(), TransactionError> {
        match self.producer.begin_transaction() {
            Err(KafkaError::Transaction(error))
                if error.is_fatal() || error.txn_requires_abort() =>
            {
                done("deliver the records", Err(KafkaError::Transaction(error)))
            }
            _ => Ok(()),
        }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    ///
    /// [`TransactionError`]. With [`Remedy::Retry`] the outcome is open: only another commit tells.
    pub fn commit(&self) -> Result<(), TransactionError> {
        let deadline = Instant::now() + self.timeout;
        // commit_transaction() would wait for records in flight too, but in steps of 100 ms.
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.look();
        }
        done(COMMIT, self.producer.commit_transaction(self.timeout))
    }

    /// Aborts the transaction; what was written in it will not be seen by read_committed consumers.
    ///
    /// # Errors
    ///
    /// [`TransactionError`].
    pub fn abort(&self) -> Result<(), TransactionError> {
        if self.is_stuck.load(Ordering::Relaxed) {
            // librdkafka takes one call at a time.
            return done(ABORT, Err(KafkaError::Global(Code::PreviousInProgress)));
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            // It drops what is queued, and then waits until the reports of that are polled for: by us, in between.
            let aborted = done(ABORT, self.producer.abort_transaction(ABORT_STEP));
            match aborted {
                Err(error) if error.remedy == Remedy::Retry && Instant::now() < deadline => {
                    self.producer.poll(POLL);
                }
                aborted => return aborted,
            }
        }
    }

    fn look(&self) {
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(LOOK);
    }

    /// Serves what librdkafka has to report. To be called now and then when nothing else is.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// The first error of a delivery since the last call: the cause behind an abort.
    pub fn take_delivery_error(&self) -> Option<KafkaError> {
        self.producer.context().take_delivery_error()
    }
}

fn done(step: &'static str, result: Result<(), KafkaError>) -> Result<(), TransactionError> {
    result.map_err(|source| TransactionError { step, remedy: remedy(&source), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_single_records_have_their_remedy() {
        let cases = [
            (KafkaError::MessageProduction(Code::QueueFull), Remedy::Retry),
            (KafkaError::MessageProduction(Code::State), Remedy::Abort),
            (KafkaError::MessageProduction(Code::Fenced), Remedy::Recreate),
            (KafkaError::MessageProduction(Code::Fatal), Remedy::Recreate),
            (KafkaError::Flush(Code::OperationTimedOut), Remedy::Retry),
            (KafkaError::Canceled, Remedy::Recreate),
        ];
        for (error, expected) in cases {
            assert_eq!(remedy(&error), expected, "{error}");
        }
    }
}
