//! Requests whose records belong into one transaction, and those that are done once for a key.

mod command;
mod encoded_records;
mod failure;
mod key_topic;
mod metrics;
mod transactor;
mod waiting;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use avro_schemas::EncodeError;
use chrono::{DateTime, Utc};
use generator::Generator;
use tokio::sync::oneshot;

pub(crate) use command::{AnswerShape, GenerateCommand};
pub(crate) use failure::TransactionFailure;
pub(crate) use key_topic::KeyTopic;
pub(crate) use metrics::TransactionMetrics;
pub(crate) use transactor::Transactor;

use crate::capacity::{Capacity, Full, Room};
use crate::config::ProducerConfig;
use crate::draw::DrawSource;
use crate::error::Error;
use crate::idempotency::entry::{Fingerprint, KeyEntry};
use crate::idempotency::key::IdempotencyKey;
use crate::idempotency::{IdempotencyKeys, KeyConflict, KeyInUse, KeyStatus};
use crate::publisher::Publisher;
use crate::trace::Trace;
use encoded_records::EncodedRecords;
use waiting::{Done, TransactionRequest, WriteResult};

/// How much longer than a request may take its writer may be busy with others.
const GRACE: Duration = Duration::from_secs(5);
/// With less time left a request is not begun: it would take others with it that share its transaction. At most a
/// quarter of the time that it has.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// The two writers, and what is known of keys.
pub(crate) struct Atomic {
    /// Writes with the transactional id of this process.
    own: Sender<TransactionRequest>,
    /// Writes with the transactional id that all processes share, for requests with a key.
    shared: Option<(IdempotencyKeys, Sender<TransactionRequest>)>,
    /// Room for records that wait for their transaction.
    capacity: Capacity,
    /// How long a request may wait for its transaction.
    timeout: Duration,
    metrics: TransactionMetrics,
    threads: Vec<JoinHandle<()>>,
}

/// A request, as far as it has been understood.
pub(crate) struct CommandRequest<'a> {
    pub(crate) command: GenerateCommand,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) trace: Arc<Trace>,
}

/// The answer to a request whose transaction is committed.
pub(crate) struct Written {
    /// The records as JSON, in the shape that the command asks for.
    pub(crate) json: Vec<u8>,
    /// Whether they were written before, for an earlier request with the same key.
    pub(crate) replayed: bool,
}

/// Why the records of a request were not written, or are not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWritten {
    #[error("{0}")]
    Full(#[from] Full),
    #[error("{0}")]
    Encode(#[from] EncodeError),
    #[error("this service accepts no Idempotency-Key: producer.idempotency_topic is empty")]
    NoKeys,
    #[error("{0}")]
    Conflict(#[from] KeyConflict),
    #[error("{0}")]
    Failed(#[from] TransactionFailure),
}

impl Atomic {
    /// Starts the writers.
    pub(crate) fn start(
        config: &ProducerConfig,
        own: Transactor,
        shared: Option<(Transactor, KeyTopic)>,
        metrics: TransactionMetrics,
    ) -> Result<Self, Error> {
        let start = |transactor, key_topic| {
            writer::start(transactor, key_topic, metrics.clone()).map_err(Error::Thread)
        };
        let (own, thread) = start(own, None)?;
        let mut threads = vec![thread];
        let mut shared_writer = None;
        if let Some((transactor, key_topic)) = shared {
            let keys = key_topic.keys.clone();
            metrics.keys(keys.len());
            let (writer, thread) = start(transactor, Some(key_topic))?;
            shared_writer = Some((keys, writer));
            threads.push(thread);
        }
        let shared = shared_writer;
        let capacity = Capacity::new(config.queue_records);
        Ok(Self { own, shared, capacity, timeout: config.delivery_timeout, metrics, threads })
    }

    /// Whether a writer has ended, which it does only by a mistake of ours.
    pub(crate) fn has_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Shows how many records wait.
    pub(crate) fn report_in_flight(&self) {
        self.metrics.waiting(self.capacity.in_flight());
    }

    /// Writes the records of a request in one transaction.
    pub(crate) async fn write(
        &self,
        publisher: &Publisher,
        request: CommandRequest<'_>,
        generator: Generator,
        first: u64,
    ) -> Result<Written, NotWritten> {
        let CommandRequest { command, body, trace, .. } = request;
        let room = self.capacity.take(command.room(body.len()))?;
        let mut encoded = EncodedRecords::new(publisher, command.records(), trace);
        let source = DrawSource { generator, first, completion: now() };
        let json = command.draw(source, publisher, Some(&mut encoded)).await?;
        if !encoded.is_empty() {
            self.wait(&self.own, encoded, None, room).await?;
        }
        Ok(Written { json, replayed: false })
    }

    /// Writes the records of a request in one transaction, unless that was done before for this key.
    pub(crate) async fn write_once(
        &self,
        publisher: &Publisher,
        request: CommandRequest<'_>,
        key: &IdempotencyKey,
    ) -> Result<Written, NotWritten> {
        let (keys, writer) = self.shared.as_ref().ok_or(NotWritten::NoKeys)?;
        let CommandRequest { command, path, body, trace } = request;
        let fingerprint = Fingerprint::of(path, body);
        let now = now();
        let standing =
            keys.begin(key, fingerprint, now).inspect_err(|_| self.metrics.keyed("conflict"))?;
        let entry = match standing {
            KeyStatus::Done(entry) => return self.replay(publisher, &command, entry).await,
            KeyStatus::New(running) => {
                let room = self.capacity.take(command.room(body.len()))?;
                let entry = KeyEntry::new(key, fingerprint, now);
                let mut encoded = EncodedRecords::new(publisher, command.records(), trace);
                let json = command.draw(source(entry), publisher, Some(&mut encoded)).await?;
                let done = self.wait(writer, encoded, Some((running, entry)), room).await?;
                match done.expect("it has a key") {
                    Done::Now => return Ok(Written { json, replayed: false }),
                    Done::Before(entry) => entry,
                }
            }
        };
        // Another process was first.
        let entry = entry.is_of(fingerprint).inspect_err(|_| self.metrics.keyed("conflict"))?;
        self.replay(publisher, &command, entry).await
    }

    /// Answers a request that was done before.
    async fn replay(
        &self,
        publisher: &Publisher,
        command: &GenerateCommand,
        entry: KeyEntry,
    ) -> Result<Written, NotWritten> {
        self.metrics.keyed("replayed");
        let json = command.draw(source(entry), publisher, None).await?;
        Ok(Written { json, replayed: true })
    }

    async fn wait(
        &self,
        writer: &Sender<TransactionRequest>,
        encoded: EncodedRecords,
        once: Option<(KeyInUse, KeyEntry)>,
        room: Room,
    ) -> WriteResult {
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let deadline = now + self.timeout;
        let begin_by = now + self.timeout.saturating_sub(LEAST_TIME.min(self.timeout / 4));
        let gone =
            || TransactionFailure::Unknown("the writer of transactions has ended".to_owned());
        writer
            .send(TransactionRequest { encoded, once, begin_by, deadline, answer, room })
            .map_err(|_| gone())?;
        // The writer answers by the deadline, give or take the call to Kafka that it is in.
        match tokio::time::timeout(self.timeout + GRACE, answered).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => Err(TransactionFailure::Unknown(
                "the writer of transactions does not answer".to_owned(),
            )),
        }
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// The records of a request with a key are a function of its entry.
const fn source(entry: KeyEntry) -> DrawSource {
    DrawSource { generator: Generator::new(entry.seed), first: 0, completion: entry.completion }
}
