//! The broker: one state behind one lock, and a journal that makes changes durable.
//!
//! A request changes the state under the lock and submits its changes to the journal before it releases the lock. So
//! the changes of one request are written together, and in the order of the requests. An answer is sent when every
//! change that it may reflect is durable: the connection waits for the journal's position at the time of the answer.
//! Batches are read from the storage only, after the same wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::advertised::HostPort;
use crate::batch::Marker;
use crate::clock::{Clock, Millis};
use crate::faults::Faults;
use crate::group::{self, Coordinator, Effects, Ticket};
use crate::journal::Journal;
use crate::log::producers::Producer;
use crate::log::{AbortedTransaction, Log, parse_key};
use crate::storage::{Change, LogId, Storage, StorageError, Table};
use crate::topics::Topics;
use crate::topics::config::Overrides;
use crate::transactions::{EndedTransaction, Transactions};
use crate::waiting::WaitingRequests;

/// The id of the only broker.
pub(crate) const NODE_ID: i32 = 1;
/// A deadline is met at most this late.
const TICK: Duration = Duration::from_millis(20);
/// The entry of [`Table::Meta`] that holds the cluster's id.
const CLUSTER_ID: &str = "cluster_id";

/// The settings of a broker.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    /// Creates a topic when a client asks for its metadata and allows its creation (`auto.create.topics.enable`).
    pub(crate) auto_create_topics: bool,
    /// The number of partitions of a topic, if its creator gives none (`num.partitions`).
    pub(crate) default_partitions: i32,
    /// The address that clients are told, if not the one that they have reached (`advertised.listeners`).
    pub(crate) advertise: Option<HostPort>,
    /// Where the data is, for those who ask (`log.dir`).
    pub(crate) log_dir: String,
}

/// Everything that a request may change.
#[derive(Debug)]
pub(crate) struct BrokerState {
    pub(crate) topics: Topics,
    pub(crate) logs: HashMap<LogId, Log>,
    pub(crate) transactions: Transactions,
    pub(crate) groups: Coordinator,
}

/// A running broker, shared by all its connections.
pub(crate) struct Broker {
    pub(crate) settings: BrokerSettings,
    pub(crate) cluster_id: String,
    pub(crate) clock: Clock,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) faults: Arc<Faults>,
    /// Requests that wait for other members of their group.
    pub(crate) waiting: WaitingRequests,
    /// The number of brokers that ran before on the same storage.
    pub(crate) life: u64,
    state: Mutex<BrokerState>,
    /// Wakes the timers, which sleep while there is no deadline.
    deadlines: Notify,
    timers_sleep: AtomicBool,
    next_ticket: AtomicU64,
    is_dying: AtomicBool,
    /// The handling of a request has panicked, so the state may be inconsistent.
    is_broken: watch::Sender<bool>,
}

impl BrokerState {
    /// Loads the state and the cluster's id. A new storage gets a new id.
    pub(crate) fn load(
        storage: &dyn Storage,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Result<(Self, String), StorageError> {
        let meta: HashMap<String, String> = storage.entries(Table::Meta)?.into_iter().collect();
        let of = |table, key: &str| {
            let key = key.to_owned();
            move |source| StorageError::Entry { table, key, source }
        };
        let topics = Topics::load(storage.entries(Table::Topics)?, &meta)
            .map_err(of(Table::Topics, "topic"))?;
        let transactions = Transactions::load(storage.entries(Table::Transactions)?, &meta)
            .map_err(of(Table::Transactions, "transactional id"))?;
        let (groups, offsets) = (storage.entries(Table::Groups)?, storage.entries(Table::Offsets)?);
        let groups = Coordinator::load(group::GroupOptions::default(), groups, offsets, now)?;
        let cluster_id = if let Some(json) = meta.get(CLUSTER_ID) {
            serde_json::from_str(json).map_err(of(Table::Meta, CLUSTER_ID))?
        } else {
            let id = format!("devstack-{}", &Uuid::new_v4().simple().to_string()[..13]);
            changes.push(Change::put(Table::Meta, CLUSTER_ID, &id));
            id
        };
        let logs = load_logs(storage)?;
        Ok((Self { topics, logs, transactions, groups }, cluster_id))
    }

    /// The log of a partition.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Option<&Log> {
        self.logs.get(&self.topics.log(topic, partition)?)
    }

    /// The log of a partition, to change it.
    pub(crate) fn log_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        self.logs.get_mut(&self.topics.log(topic, partition)?)
    }

    /// Creates a topic and its logs. The caller has checked the topic.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        overrides: Overrides,
        changes: &mut Vec<Change>,
    ) {
        let logs = self.topics.create(name, partitions, overrides, changes).logs.clone();
        self.add_logs(&logs, changes);
    }

    /// Creates empty logs.
    pub(crate) fn add_logs(&mut self, logs: &[LogId], changes: &mut Vec<Change>) {
        for &id in logs {
            self.logs.insert(id, Log::create(id, changes));
        }
    }

    /// Deletes a topic, its logs, and the offsets that groups committed for it. `false` if there is no such topic.
    pub(crate) fn delete_topic(&mut self, name: &str, changes: &mut Vec<Change>) -> bool {
        let Some(logs) = self.topics.delete(name, changes) else { return false };
        for log in logs.iter().filter_map(|id| self.logs.remove(id)) {
            log.delete(changes);
        }
        self.groups.topic_deleted(name, changes);
        true
    }

    /// Writes the markers of a transaction that has ended, and commits or drops its offsets.
    pub(crate) fn conclude(
        &mut self,
        ended: EndedTransaction,
        now: Millis,
        changes: &mut Vec<Change>,
    ) {
        let EndedTransaction { end, producer_id, epoch, logs } = ended;
        for id in logs {
            // A topic may be deleted while a transaction writes to it.
            if let Some(log) = self.logs.get_mut(&id) {
                log.end_transaction(end, producer_id, epoch, now, changes);
            }
        }
        let committed = end == Marker::Commit;
        self.groups.complete(producer_id, committed, changes);
    }

    fn next_deadline(&self) -> Option<Millis> {
        let deadlines = [self.groups.next_deadline(), self.transactions.next_deadline()];
        deadlines.into_iter().flatten().min()
    }
}

fn load_logs(storage: &dyn Storage) -> Result<HashMap<LogId, Log>, StorageError> {
    let table = Table::Logs;
    let entry = |table, key: &str| {
        let key = key.to_owned();
        move |source| StorageError::Entry { table, key, source }
    };
    let strange = |table, key: &str| {
        let source = serde::de::Error::custom("its key names no log");
        StorageError::Entry { table, key: key.to_owned(), source }
    };
    let mut logs = HashMap::new();
    for (key, json) in storage.entries(table)? {
        let id: LogId = key.parse().map_err(|_| strange(table, &key))?;
        let log = Log::restore(id, &json, storage.end(id)?).map_err(entry(table, &key))?;
        logs.insert(id, log);
    }
    for table in [Table::Producers, Table::Aborted] {
        for (key, json) in storage.entries(table)? {
            let (log, number) = parse_key(&key).ok_or_else(|| strange(table, &key))?;
            let log = logs.get_mut(&log).ok_or_else(|| strange(table, &key))?;
            if table == Table::Producers {
                let producer: Producer = serde_json::from_str(&json).map_err(entry(table, &key))?;
                log.restore_producer(number, producer);
            } else {
                let aborted: AbortedTransaction =
                    serde_json::from_str(&json).map_err(entry(table, &key))?;
                log.restore_aborted(aborted);
            }
        }
    }
    Ok(logs)
}

impl Broker {
    /// Opens a broker with the stored state.
    pub(crate) fn open(
        settings: BrokerSettings,
        storage: Arc<dyn Storage>,
        faults: Arc<Faults>,
        life: u64,
    ) -> Result<Self, StorageError> {
        let clock = Clock::new();
        let mut changes = Vec::new();
        let (state, cluster_id) = BrokerState::load(&*storage, clock.now(), &mut changes)?;
        storage.commit(&changes)?;
        let journal = Arc::new(Journal::start(Arc::clone(&storage)));
        Ok(Self {
            settings,
            cluster_id,
            clock,
            storage,
            journal,
            faults,
            waiting: WaitingRequests::default(),
            life,
            state: Mutex::new(state),
            deadlines: Notify::new(),
            timers_sleep: AtomicBool::new(false),
            next_ticket: AtomicU64::new(0),
            is_dying: AtomicBool::new(false),
            is_broken: watch::Sender::new(false),
        })
    }

    /// Reads the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&BrokerState) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, submits the changes to the journal, and answers requests that waited for the change.
    pub(crate) fn update<T>(
        &self,
        change: impl FnOnce(&mut BrokerState, Millis, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let answer = change(&mut state, self.clock.now(), &mut effects);
        let Effects { changes, answers } = effects;
        if !changes.is_empty() {
            self.journal.submit(changes);
        }
        drop(state);
        self.waiting.answer(answers);
        if self.timers_sleep.load(Ordering::Acquire) {
            self.deadlines.notify_one();
        }
        answer
    }

    /// The next ticket. No two requests have the same one.
    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends sessions, rebalances and transactions at their deadlines, at most [`TICK`] late. Runs until it is dropped.
    pub(crate) async fn keep_deadlines(&self) {
        loop {
            // Before reading the deadline, so that one that is set meanwhile wakes us.
            self.timers_sleep.store(true, Ordering::Release);
            let Some(deadline) = self.look(BrokerState::next_deadline) else {
                self.deadlines.notified().await;
                continue;
            };
            self.timers_sleep.store(false, Ordering::Release);
            let left = u64::try_from(deadline - self.clock.now()).unwrap_or(0);
            // An earlier deadline may be set meanwhile.
            tokio::time::sleep(Duration::from_millis(left).min(TICK)).await;
            if deadline <= self.clock.now() {
                self.meet_deadlines();
            }
        }
    }

    fn meet_deadlines(&self) {
        self.update(|state, now, effects| {
            for ended in state.transactions.expire(now, &mut effects.changes) {
                tracing::info!(
                    producer_id = ended.producer_id,
                    "a transaction was open for longer than its time-out: aborted, its producer fenced"
                );
                state.conclude(ended, now, &mut effects.changes);
            }
            state.groups.tick(now, effects);
        });
    }

    /// Marks the broker as crashing. Requests that arrive from now on trigger no faults.
    pub(crate) fn die(&self) {
        self.is_dying.store(true, Ordering::Release);
    }

    pub(crate) fn is_dying(&self) -> bool {
        self.is_dying.load(Ordering::Acquire)
    }

    /// Waits until the storage fails or the state may be inconsistent, and returns the reason.
    pub(crate) async fn failed(&self) -> String {
        let mut is_broken = self.is_broken.subscribe();
        tokio::select! {
            error = self.journal.failed() => error.to_string(),
            _ = is_broken.wait_for(|broken| *broken) => "a request's handling has panicked".to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BrokerState> {
        self.state.lock().unwrap_or_else(|_| {
            // It may contain half a change, which was never submitted to the journal.
            self.is_broken.send_replace(true);
            panic!("a request's handling has panicked before, so the state can't be trusted");
        })
    }
}
