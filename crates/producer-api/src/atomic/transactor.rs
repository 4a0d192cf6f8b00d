//! One transaction after the other, and of each what became of it.

use std::time::{Duration, Instant};

use kafka::KafkaConfig;
use kafka::transaction::{Record, Remedy, TransactionError, TransactionalProducer};
use rdkafka::ClientConfig;
use tracing::{info, warn};

use crate::config::ProducerConfig;
use crate::error::Error;

/// How long one call to librdkafka may block.
const STEP: Duration = Duration::from_millis(500);
/// The least time that Kafka leaves a transaction open whose producer is gone.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransactionOutcome {
    /// All records are there.
    Committed,
    /// None is: it was given up before Kafka was asked to commit it, or aborted after.
    Aborted { reason: String, timed_out: bool },
    /// None is, and the transactional id has to be taken over again: somebody else has it.
    Fenced { reason: String },
    /// All or none. Who takes over the transactional id ends it one way or the other.
    Unknown { reason: String },
}

/// The transactional id is not ours (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotOwned {
    pub(crate) reason: String,
    /// Whether asking again is of no use without a change by somebody.
    pub(crate) refused: bool,
}

/// The owner of a transactional id, again and again. All calls block.
pub(crate) struct Transactor {
    client: ClientConfig,
    id: String,
    producer: Option<TransactionalProducer>,
    owned: bool,
    /// How often the id was taken over.
    terms: u64,
}

impl Transactor {
    pub(crate) fn new(
        kafka: &KafkaConfig,
        config: &ProducerConfig,
        id: String,
    ) -> Result<Self, Error> {
        let mut client = kafka.client()?;
        // librdkafka refuses a transaction that is shorter than the time of a record in it.
        let of_record = ["message.timeout.ms", "delivery.timeout.ms"]
            .into_iter()
            .find_map(|name| kafka.properties.get(name)?.parse().ok())
            .map_or(config.delivery_timeout, Duration::from_millis);
        let timeout = (config.delivery_timeout * 2).max(SHORTEST_TIMEOUT).max(of_record);
        let queue = u64::from(config.queue_records) * 2;
        let tuning = [
            (
                ["linger.ms", "queue.buffering.max.ms"],
                (config.linger.as_secs_f64() * 1e3).to_string(),
            ),
            (
                ["message.timeout.ms", "delivery.timeout.ms"],
                config.delivery_timeout.as_millis().to_string(),
            ),
            (["transaction.timeout.ms"; 2], timeout.as_millis().to_string()),
            (["queue.buffering.max.messages"; 2], queue.min(i32::MAX as u64).to_string()),
            // 10 s by default, longer than a request waits: a broker that is back must be found at once.
            (["reconnect.backoff.max.ms"; 2], "1000".to_owned()),
        ];
        for (names, value) in tuning {
            if names.iter().all(|name| kafka.properties.get(name).is_none()) {
                client.set(names[0], value);
            }
        }
        // Not for kafka.properties to change: transactions need them.
        client.set("acks", "all");
        client.remove("request.required.acks");
        let mut transactor = Self { client, id, producer: None, owned: false, terms: 0 };
        // A configuration that librdkafka refuses is to be heard of now.
        transactor.producer().map_err(Error::Producer)?;
        Ok(transactor)
    }

    fn producer(&mut self) -> Result<&TransactionalProducer, rdkafka::error::KafkaError> {
        if self.producer.is_none() {
            self.producer = Some(TransactionalProducer::new(&self.client, &self.id, STEP)?);
        }
        Ok(self.producer.as_ref().expect("made above"))
    }

    /// Takes over the transactional id if it is not ours, and says how often that was done: the term.
    pub(crate) fn own(&mut self) -> Result<u64, NotOwned> {
        if self.owned {
            return Ok(self.terms);
        }
        let producer = self
            .producer()
            .map_err(|error| NotOwned { reason: error.to_string(), refused: true })?;
        match producer.init() {
            Ok(()) => {
                self.owned = true;
                self.terms += 1;
                info!(transactional_id = self.id, "transactions can be written");
                Ok(self.terms)
            }
            Err(error) => {
                let refused = error.remedy == Remedy::Recreate && !error.is_fenced();
                if error.remedy != Remedy::Retry {
                    self.producer = None;
                }
                Err(NotOwned { reason: error.to_string(), refused })
            }
        }
    }

    /// Sends all `records` in one transaction, which is [to be committed](Self::commit) then, or ends it: it is over at
    /// `deadline`. The id must be [owned](Self::own).
    pub(crate) fn send<'r>(
        &mut self,
        mut records: impl Iterator<Item = Record<'r>>,
        deadline: Instant,
    ) -> Result<(), TransactionOutcome> {
        let producer = self.producer.as_ref().expect("the transactional id is owned");
        let sent = producer
            .begin()
            .and_then(|()| records.try_for_each(|record| producer.send(record)))
            .and_then(|()| producer.settle(deadline));
        sent.map_err(|error| self.give_up(&error))
    }

    /// Commits what was sent. Until `deadline`, Kafka is asked again if it doesn't answer, and `waiting` is called in
    /// between.
    pub(crate) fn commit(
        &mut self,
        deadline: Instant,
        mut waiting: impl FnMut(),
    ) -> TransactionOutcome {
        let producer = self.producer.as_ref().expect("the transactional id is owned");
        loop {
            return match producer.commit() {
                Ok(()) => TransactionOutcome::Committed,
                Err(error) if error.remedy == Remedy::Retry && Instant::now() < deadline => {
                    waiting();
                    continue;
                }
                // The coordinator says that it is not committed; if it lets us abort, that is true.
                Err(error) if error.remedy == Remedy::Abort && producer.abort().is_ok() => {
                    self.disown();
                    TransactionOutcome::Aborted { reason: error.to_string(), timed_out: false }
                }
                Err(error) => {
                    warn!(transactional_id = self.id, %error, "it is not known whether a transaction was committed");
                    self.disown();
                    TransactionOutcome::Unknown { reason: error.to_string() }
                }
            };
        }
    }

    /// Ends a transaction that Kafka was not asked to commit.
    fn give_up(&mut self, error: &TransactionError) -> TransactionOutcome {
        let producer = self.producer.as_ref().expect("the transactional id is owned");
        let cause = producer.take_delivery_error();
        let reason = match &cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        if error.remedy == Remedy::Recreate {
            self.disown();
            return TransactionOutcome::Fenced { reason };
        }
        // Whoever owns the id next aborts it in any case; until then readers have to wait.
        if let Err(error) = producer.abort() {
            warn!(transactional_id = self.id, %error, "a transaction is left to be aborted later");
        }
        let timed_out = error.remedy == Remedy::Retry || cause.as_ref().is_some_and(is_timeout);
        self.disown();
        TransactionOutcome::Aborted { reason, timed_out }
    }

    /// Ends with the producer. Once a record of its was refused, librdkafka's sequence numbers are ahead of the broker's,
    /// and the next transaction in that partition would fail for it (`OUT_OF_ORDER_SEQUENCE_NUMBER`).
    fn disown(&mut self) {
        self.producer = None;
        self.owned = false;
    }

    /// Serves what librdkafka has to report while nothing is written.
    pub(crate) fn poll(&self) {
        if let Some(producer) = &self.producer {
            producer.poll();
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

fn is_timeout(error: &rdkafka::error::KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    error.rdkafka_error_code() == Some(Code::MessageTimedOut)
}
