//! Requests whose records belong into one transaction, and those that are done once for a key.

mod draft;
pub(crate) mod failure;
mod metrics;
mod rows;
mod transactor;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use actix_web::HttpResponse;
use actix_web::http::header::HeaderName;
use chrono::{DateTime, Utc};
use generator::Generator;
use tokio::sync::oneshot;

pub(crate) use draft::{Command, Shape, Source};
pub(crate) use metrics::TransactionMetrics;
pub(crate) use transactor::Transactor;
pub(crate) use writer::Ledger;

use crate::answer::Refusal;
use crate::config::ProducerConfig;
use crate::error::Error;
use crate::idempotency::entry::{Entry, Fingerprint};
use crate::idempotency::key::Key;
use crate::idempotency::{Keys, Running, Standing};
use crate::publisher::Publisher;
use crate::publisher::capacity::{Capacity, Room};
use crate::trace::Trace;
use crate::wishes::NDJSON;
use failure::Failure;
use rows::Rows;
use writer::{Answer, Done, Job};

/// How much longer than a request may take its writer may be busy with others.
const GRACE: Duration = Duration::from_secs(5);
/// With less time left a request is not begun: it would take others with it that share its transaction. At most a
/// quarter of the time that it has.
const LEAST_TIME: Duration = Duration::from_millis(200);
/// Says that the records were written for an earlier request with the same key.
pub(crate) static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The two writers, and what is known of keys.
pub(crate) struct Atomic {
    /// Writes with the transactional id of this process.
    own: Sender<Job>,
    /// Writes with the transactional id that all processes share, for requests with a key.
    shared: Option<(Keys, Sender<Job>)>,
    /// Room for records that wait for their transaction.
    capacity: Capacity,
    /// How long a request may wait for its transaction.
    timeout: Duration,
    metrics: TransactionMetrics,
    threads: Vec<JoinHandle<()>>,
}

/// A request, as far as it has been understood.
pub(crate) struct Request<'a> {
    pub(crate) command: Command,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) trace: Arc<Trace>,
}

impl Atomic {
    /// Starts the writers.
    pub(crate) fn start(
        config: &ProducerConfig,
        own: Transactor,
        shared: Option<(Transactor, Ledger)>,
        metrics: TransactionMetrics,
    ) -> Result<Self, Error> {
        let start = |transactor, ledger| {
            writer::start(transactor, ledger, metrics.clone()).map_err(Error::Thread)
        };
        let (own, thread) = start(own, None)?;
        let mut threads = vec![thread];
        let mut shared_writer = None;
        if let Some((transactor, ledger)) = shared {
            let keys = ledger.keys.clone();
            metrics.keys(keys.len());
            let (writer, thread) = start(transactor, Some(ledger))?;
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

    /// Writes the records of a request in one transaction and answers it.
    pub(crate) async fn write(
        &self,
        publisher: &Publisher,
        request: Request<'_>,
        generator: Generator,
        first: u64,
    ) -> Result<HttpResponse, Refusal> {
        let Request { command, body, trace, .. } = request;
        let room = self.capacity.take(command.room(body.len()))?;
        let mut rows = Rows::new(publisher, command.records(), trace);
        let source = Source { generator, first, completion: now() };
        let json = command.draw(source, publisher, Some(&mut rows)).await?;
        if !rows.is_empty() {
            self.wait(&self.own, rows, None, room).await?;
        }
        Ok(answer(&command, json))
    }

    /// Writes the records of a request in one transaction, unless that was done before for this key, and answers it.
    pub(crate) async fn write_once(
        &self,
        publisher: &Publisher,
        request: Request<'_>,
        key: &Key,
    ) -> Result<HttpResponse, Refusal> {
        let (keys, writer) = self.shared.as_ref().ok_or(Refusal::NoKeys)?;
        let Request { command, path, body, trace } = request;
        let fingerprint = Fingerprint::of(path, body);
        let now = now();
        let standing =
            keys.begin(key, fingerprint, now).inspect_err(|_| self.metrics.keyed("conflict"))?;
        let entry = match standing {
            Standing::Done(entry) => return self.replay(publisher, &command, entry).await,
            Standing::New(running) => {
                let room = self.capacity.take(command.room(body.len()))?;
                let entry = Entry::new(key, fingerprint, now);
                let mut rows = Rows::new(publisher, command.records(), trace);
                let json = command.draw(source(entry), publisher, Some(&mut rows)).await?;
                let done = self.wait(writer, rows, Some((running, entry)), room).await?;
                match done.expect("it has a key") {
                    Done::Now => return Ok(answer(&command, json)),
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
        command: &Command,
        entry: Entry,
    ) -> Result<HttpResponse, Refusal> {
        self.metrics.keyed("replayed");
        let json = command.draw(source(entry), publisher, None).await?;
        let mut response = answer(command, json);
        response.headers_mut().insert(REPLAYED.clone(), "true".parse().expect("a header's value"));
        Ok(response)
    }

    async fn wait(
        &self,
        writer: &Sender<Job>,
        rows: Rows,
        once: Option<(Running, Entry)>,
        room: Room,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let deadline = now + self.timeout;
        let begin_by = now + self.timeout.saturating_sub(LEAST_TIME.min(self.timeout / 4));
        let gone = || Failure::Unknown("the writer of transactions has ended".to_owned());
        writer.send(Job { rows, once, begin_by, deadline, answer, room }).map_err(|_| gone())?;
        // The writer answers by the deadline, give or take the call to Kafka that it is in.
        match tokio::time::timeout(self.timeout + GRACE, answered).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => {
                Err(Failure::Unknown("the writer of transactions does not answer".to_owned()))
            }
        }
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// The records of a request with a key are a function of its entry.
const fn source(entry: Entry) -> Source {
    Source { generator: Generator::new(entry.seed), first: 0, completion: entry.completion }
}

fn answer(command: &Command, json: Vec<u8>) -> HttpResponse {
    let lines = matches!(command, Command::Trips { shape: Shape::Lines, .. });
    let content_type = if lines { NDJSON } else { "application/json" };
    HttpResponse::Ok().content_type(content_type).body(json)
}
