//! A consumer and a transactional producer that copy records exactly once, even if the broker is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use crate::PARTITIONS;
use crate::run::Run;

/// Longer than a restart, so that a call rarely ends while the broker is down.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const TRANSACTION: Duration = Duration::from_millis(40);
const RECORDS_PER_TRANSACTION: usize = 200;

/// The outcome of a transaction, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// Never asked to be committed.
    Aborted,
    /// Asked to be committed, and answered with an error.
    Unknown,
}

/// A transaction and the values that it has written.
pub struct Transaction {
    /// The key of all its records.
    pub key: String,
    pub values: Vec<String>,
    pub outcome: Outcome,
}

/// Notes when partitions are revoked: records read before must not be committed afterwards.
#[derive(Default)]
struct Revocations(AtomicBool);

impl ClientContext for Revocations {}

impl ConsumerContext for Revocations {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Assign(_)) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

struct Clients {
    consumer: BaseConsumer<Revocations>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

pub struct Pipeline {
    run: Arc<Run>,
    number: usize,
    rng: StdRng,
    transactions: Vec<Transaction>,
}

impl Pipeline {
    pub fn new(run: Arc<Run>, number: usize, rng: StdRng) -> Self {
        Self { run, number, rng, transactions: Vec::new() }
    }

    /// Copies until it is stopped. After an error it starts again with new clients, like a restarted service.
    pub fn work(mut self) -> Vec<Transaction> {
        while !self.is_stopped() {
            let Ok(clients) = self.start() else { continue };
            while !self.is_stopped() && self.transact(&clients).is_ok() {}
        }
        self.transactions
    }

    fn is_stopped(&self) -> bool {
        self.run.pipelines_stop.load(Ordering::Relaxed)
    }

    fn start(&self) -> KafkaResult<Clients> {
        let id = format!("{}-{}", self.run.group, self.number);
        let producer: ThreadedProducer<DefaultProducerContext> = self
            .run
            .client(&[
                ("transactional.id", &id),
                ("transaction.timeout.ms", "60000"),
                ("linger.ms", "1"),
                ("retry.backoff.ms", "20"),
            ])
            .create()?;
        producer.init_transactions(CALL_TIMEOUT)?;
        let consumer: BaseConsumer<Revocations> = self
            .run
            .client(&[
                ("group.id", &self.run.group),
                ("auto.offset.reset", "earliest"),
                ("enable.auto.commit", "false"),
                ("isolation.level", "read_committed"),
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "500"),
            ])
            .create_with_context(Revocations::default())?;
        consumer.subscribe(&[&self.run.input])?;
        Ok(Clients { consumer, producer })
    }

    /// One transaction. After an error the clients can't be used any more.
    fn transact(&mut self, clients: &Clients) -> KafkaResult<()> {
        clients.producer.begin_transaction()?;
        let key = format!("{}-{}", self.number, self.transactions.len());
        self.transactions.push(Transaction { key, values: vec![], outcome: Outcome::Aborted });
        let index = self.transactions.len() - 1;
        // First and next offset of each partition that is read.
        let mut read = BTreeMap::new();
        if !self.copy(clients, index, &mut read)? {
            return clients.producer.abort_transaction(CALL_TIMEOUT);
        }
        if self.rng.random_ratio(1, 8) {
            clients.producer.flush(CALL_TIMEOUT)?;
            clients.producer.abort_transaction(CALL_TIMEOUT)?;
            let again = offsets(&self.run.input, read.iter().map(|(p, (first, _))| (*p, *first)));
            clients.consumer.seek_partitions(again, CALL_TIMEOUT)?;
            return Ok(());
        }
        let next = offsets(&self.run.input, read.iter().map(|(p, (_, next))| (*p, *next)));
        let metadata = clients.consumer.group_metadata().expect("it is a consumer of a group");
        clients.producer.send_offsets_to_transaction(&next, &metadata, CALL_TIMEOUT)?;
        self.transactions[index].outcome = Outcome::Unknown;
        commit(&clients.producer)?;
        self.transactions[index].outcome = Outcome::Committed;
        self.run.progress.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Copies the records that arrive for a while. `false` without records, or if partitions were revoked.
    fn copy(
        &mut self,
        clients: &Clients,
        index: usize,
        read: &mut BTreeMap<i32, (i64, i64)>,
    ) -> KafkaResult<bool> {
        let revoked = &clients.consumer.context().0;
        revoked.store(false, Ordering::Relaxed);
        let end = Instant::now() + TRANSACTION;
        let Transaction { key, values, .. } = &mut self.transactions[index];
        // A consumer begins at the committed offsets when it gets partitions again, so what it reads then counts.
        let is_on = |read: usize| {
            !revoked.load(Ordering::Relaxed)
                && Instant::now() < end
                && read < RECORDS_PER_TRANSACTION
        };
        while is_on(values.len()) {
            // The broker is down. The consumer reconnects by itself.
            let Some(Ok(message)) = clients.consumer.poll(Duration::from_millis(5)) else {
                continue;
            };
            let value = std::str::from_utf8(message.payload().unwrap()).unwrap();
            let partition = values.len() as i32 % PARTITIONS;
            let record = BaseRecord::<str, str>::to(&self.run.output)
                .key(key)
                .payload(value)
                .partition(partition);
            clients.producer.send(record).map_err(|(error, _)| error)?;
            values.push(value.to_owned());
            let next = message.offset() + 1;
            read.entry(message.partition()).or_insert((message.offset(), next)).1 = next;
        }
        Ok(!values.is_empty() && !revoked.load(Ordering::Relaxed))
    }
}

fn offsets(topic: &str, offsets: impl Iterator<Item = (i32, i64)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    }
    list
}

/// Repeats a call until its answer is final. A retriable error leaves the outcome open.
fn commit(producer: &ThreadedProducer<DefaultProducerContext>) -> KafkaResult<()> {
    loop {
        match producer.commit_transaction(CALL_TIMEOUT) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => (),
            answer => return answer,
        }
    }
}
