//! The transaction coordinator (KIP-98, KIP-360; Kafka's `TransactionCoordinator` and `TransactionMetadata`) as a state
//! machine: the producer of each transactional id, and the partitions and groups of each open transaction.
//!
//! A transaction's markers, its offsets and its state are one change of the storage. So a transaction is never half
//! ended, and Kafka's states between prepared and complete don't exist here.

use std::collections::{BTreeSet, HashMap};

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};

use crate::batch::Marker;
use crate::clock::Millis;
use crate::storage::{Change, LogId, Table};

/// `transaction.max.timeout.ms`.
pub(crate) const MAX_TIMEOUT_MS: i32 = 15 * 60 * 1_000;
/// The largest number of transactional ids. Kafka has no limit, but removes ids after a week.
const MOST_IDS: usize = 10_000;
/// The entry of [`Table::Meta`] that holds the next producer id.
const NEXT_PRODUCER_ID: &str = "next_producer_id";

/// The state of a transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// There was no transaction since the producer was initialized.
    Empty,
    /// A transaction is open since this time.
    Ongoing { since: Millis },
    /// The last transaction has ended this way.
    Complete(Marker),
}

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The previous epoch, which a repeated InitProducerId request may still name.
    last_epoch: Option<i16>,
    pub(crate) timeout_ms: i32,
    pub(crate) status: Status,
    /// The logs in the open transaction.
    pub(crate) logs: BTreeSet<LogId>,
    /// The groups whose offsets are in the open transaction.
    groups: BTreeSet<String>,
}

/// The producer id and epoch that a client claims to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerClaim {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// A transaction that has ended. Its markers are still to be written, and its offsets to be committed or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "markers and offsets belong into the same change"]
pub(crate) struct EndedTransaction {
    pub(crate) end: Marker,
    pub(crate) producer_id: i64,
    /// The epoch of its markers: a higher one than the producer's, to fence the producer.
    pub(crate) epoch: i16,
    pub(crate) logs: BTreeSet<LogId>,
}

/// All transactional ids, and the next producer id.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    by_id: HashMap<String, Transaction>,
    /// Transactional ids by producer id.
    producers: HashMap<i64, String>,
    next_producer_id: i64,
}

impl Transactions {
    /// Loads the state from the entries of [`Table::Transactions`] and [`Table::Meta`].
    pub(crate) fn load(
        entries: Vec<(String, String)>,
        meta: &HashMap<String, String>,
    ) -> serde_json::Result<Self> {
        let next = meta.get(NEXT_PRODUCER_ID).map(|json| serde_json::from_str(json)).transpose()?;
        let mut loaded = Self { next_producer_id: next.unwrap_or(0), ..Self::default() };
        for (id, json) in entries {
            let transaction: Transaction = serde_json::from_str(&json)?;
            loaded.producers.insert(transaction.producer_id, id.clone());
            loaded.by_id.insert(id, transaction);
        }
        Ok(loaded)
    }

    /// Assigns a new producer id, or the next epoch of a transactional id. An open transaction of the previous epoch is
    /// aborted. `claim` is the producer id and epoch that the producer had before, if it names them (KIP-360).
    ///
    /// # Errors
    ///
    /// `INVALID_TRANSACTION_TIMEOUT`, `INVALID_REQUEST` if the id is empty, `PRODUCER_FENCED` if `claim` is outdated,
    /// `POLICY_VIOLATION` if there are too many ids.
    pub(crate) fn initialise(
        &mut self,
        id: Option<&str>,
        timeout_ms: i32,
        claim: Option<ProducerClaim>,
        changes: &mut Vec<Change>,
    ) -> Result<(ProducerClaim, Option<EndedTransaction>), ResponseError> {
        let Some(id) = id else {
            let producer_id = self.next_producer_id(changes);
            return Ok((ProducerClaim { producer_id, epoch: 0 }, None));
        };
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let Some(mut transaction) = self.by_id.get(id).cloned() else {
            if self.by_id.len() >= MOST_IDS {
                return Err(ResponseError::PolicyViolation);
            }
            let producer_id = self.next_producer_id(changes);
            let transaction = Transaction {
                producer_id,
                epoch: 0,
                last_epoch: None,
                timeout_ms,
                status: Status::Empty,
                logs: BTreeSet::new(),
                groups: BTreeSet::new(),
            };
            self.store(id, transaction, changes);
            return Ok((ProducerClaim { producer_id, epoch: 0 }, None));
        };
        let repeated = match claim {
            Some(claim) if claim.producer_id != transaction.producer_id => {
                return Err(ResponseError::ProducerFenced);
            }
            Some(claim) if Some(claim.epoch) == transaction.last_epoch => true,
            Some(claim) if claim.epoch != transaction.epoch => {
                return Err(ResponseError::ProducerFenced);
            }
            _ => false,
        };
        let open = matches!(transaction.status, Status::Ongoing { .. });
        if repeated && !open && transaction.epoch <= LAST_EPOCH {
            return Ok((transaction.claim(), None));
        }
        let ended = open.then(|| transaction.finish(Marker::Abort, true));
        transaction.last_epoch = claim.map(|claim| claim.epoch);
        if ended.is_none() {
            transaction.epoch = transaction.epoch.saturating_add(1);
        }
        if transaction.epoch > LAST_EPOCH {
            transaction.producer_id = self.next_producer_id(changes);
            transaction.epoch = 0;
            transaction.last_epoch = None;
        }
        transaction.status = Status::Empty;
        transaction.timeout_ms = timeout_ms;
        let answer = transaction.claim();
        self.store(id, transaction, changes);
        Ok((answer, ended))
    }

    /// Adds logs to the open transaction of `id`, opening one if necessary.
    ///
    /// # Errors
    ///
    /// `INVALID_PRODUCER_ID_MAPPING` or `PRODUCER_FENCED` if `claim` is not the current producer of the id.
    pub(crate) fn add_logs(
        &mut self,
        id: &str,
        claim: ProducerClaim,
        logs: impl IntoIterator<Item = LogId>,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Result<(), ResponseError> {
        let mut transaction = self.of(id, claim)?.clone();
        transaction.open(now);
        transaction.logs.extend(logs);
        self.store(id, transaction, changes);
        Ok(())
    }

    /// Adds a group's offsets to the open transaction of `id`, opening one if necessary.
    ///
    /// # Errors
    ///
    /// As [`add_logs`](Self::add_logs).
    pub(crate) fn add_group(
        &mut self,
        id: &str,
        claim: ProducerClaim,
        group: &str,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Result<(), ResponseError> {
        let mut transaction = self.of(id, claim)?.clone();
        transaction.open(now);
        transaction.groups.insert(group.to_owned());
        self.store(id, transaction, changes);
        Ok(())
    }

    /// Ends the open transaction of `id`. `None` if a repeated request finds it ended this way.
    ///
    /// # Errors
    ///
    /// Those of [`add_logs`](Self::add_logs), and `INVALID_TXN_STATE` if none is open or it has ended the other way.
    pub(crate) fn end(
        &mut self,
        id: &str,
        claim: ProducerClaim,
        end: Marker,
        changes: &mut Vec<Change>,
    ) -> Result<Option<EndedTransaction>, ResponseError> {
        let transaction = self.of(id, claim)?;
        match transaction.status {
            Status::Ongoing { .. } => {
                let mut transaction = transaction.clone();
                let ended = transaction.finish(end, false);
                self.store(id, transaction, changes);
                Ok(Some(ended))
            }
            Status::Complete(before) if before == end => Ok(None),
            Status::Complete(_) | Status::Empty => Err(ResponseError::InvalidTxnState),
        }
    }

    /// Checks whether a producer may write transactional records to `log` now.
    ///
    /// # Errors
    ///
    /// `INVALID_PRODUCER_EPOCH` if it is fenced, `INVALID_TXN_STATE` if the log is not part of its open transaction
    /// (KIP-890).
    pub(crate) fn may_write(&self, claim: ProducerClaim, log: LogId) -> Result<(), ResponseError> {
        let transaction =
            self.of_producer(claim.producer_id).ok_or(ResponseError::InvalidTxnState)?;
        if transaction.epoch != claim.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if transaction.is_open() && transaction.logs.contains(&log) {
            Ok(())
        } else {
            Err(ResponseError::InvalidTxnState)
        }
    }

    /// Checks whether a producer may commit offsets of `group` in its transaction now.
    ///
    /// # Errors
    ///
    /// As [`may_write`](Self::may_write).
    pub(crate) fn may_commit_offsets(
        &self,
        id: &str,
        claim: ProducerClaim,
        group: &str,
    ) -> Result<(), ResponseError> {
        let transaction = self.of(id, claim).map_err(|error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            other => other,
        })?;
        if transaction.is_open() && transaction.groups.contains(group) {
            Ok(())
        } else {
            Err(ResponseError::InvalidTxnState)
        }
    }

    /// Aborts the transactions that have timed out, and fences their producers.
    pub(crate) fn expire(
        &mut self,
        now: Millis,
        changes: &mut Vec<Change>,
    ) -> Vec<EndedTransaction> {
        let expired =
            |transaction: &Transaction| transaction.deadline().is_some_and(|at| at <= now);
        self.abort_where(expired, changes)
    }

    /// Aborts the open transaction of `id` as if it had timed out, and fences its producer. `None` if none is open.
    pub(crate) fn time_out(
        &mut self,
        id: &str,
        changes: &mut Vec<Change>,
    ) -> Option<EndedTransaction> {
        let producer_id = self.by_id.get(id)?.producer_id;
        let this = |transaction: &Transaction| {
            transaction.producer_id == producer_id && transaction.is_open()
        };
        self.abort_where(this, changes).pop()
    }

    fn abort_where(
        &mut self,
        condition: impl Fn(&Transaction) -> bool,
        changes: &mut Vec<Change>,
    ) -> Vec<EndedTransaction> {
        let mut ids: Vec<String> = self
            .by_id
            .iter()
            .filter(|(_, transaction)| condition(transaction))
            .map(|(id, _)| id.clone())
            .collect();
        ids.sort();
        let mut all = Vec::new();
        for id in ids {
            let mut transaction = self.by_id[&id].clone();
            all.push(transaction.finish(Marker::Abort, true));
            self.store(&id, transaction, changes);
        }
        all
    }

    /// When the next transaction times out.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.by_id.values().filter_map(Transaction::deadline).min()
    }

    /// A transactional id.
    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    /// All transactional ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Transaction)> {
        self.by_id.iter()
    }

    fn of_producer(&self, producer_id: i64) -> Option<&Transaction> {
        self.by_id.get(self.producers.get(&producer_id)?)
    }

    fn of(&self, id: &str, claim: ProducerClaim) -> Result<&Transaction, ResponseError> {
        let transaction = self.by_id.get(id);
        let transaction = transaction
            .filter(|transaction| transaction.producer_id == claim.producer_id)
            .ok_or(ResponseError::InvalidProducerIdMapping)?;
        if transaction.epoch == claim.epoch {
            Ok(transaction)
        } else {
            Err(ResponseError::ProducerFenced)
        }
    }

    fn store(&mut self, id: &str, transaction: Transaction, changes: &mut Vec<Change>) {
        if self.by_id.get(id) == Some(&transaction) {
            return;
        }
        changes.push(Change::put(Table::Transactions, id, &transaction));
        let producer_id = transaction.producer_id;
        self.producers.insert(producer_id, id.to_owned());
        if let Some(before) = self.by_id.insert(id.to_owned(), transaction)
            && before.producer_id != producer_id
        {
            self.producers.remove(&before.producer_id);
        }
    }

    fn next_producer_id(&mut self, changes: &mut Vec<Change>) -> i64 {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        changes.push(Change::put(Table::Meta, NEXT_PRODUCER_ID, &self.next_producer_id));
        id
    }
}

/// The last epoch of a producer. One more is reserved to fence it.
const LAST_EPOCH: i16 = i16::MAX - 1;

impl Transaction {
    fn claim(&self) -> ProducerClaim {
        ProducerClaim { producer_id: self.producer_id, epoch: self.epoch }
    }

    fn is_open(&self) -> bool {
        matches!(self.status, Status::Ongoing { .. })
    }

    fn deadline(&self) -> Option<Millis> {
        match self.status {
            Status::Ongoing { since } => Some(since + Millis::from(self.timeout_ms)),
            _ => None,
        }
    }

    fn open(&mut self, now: Millis) {
        if !self.is_open() {
            self.status = Status::Ongoing { since: now };
        }
    }

    /// Ends the open transaction. To fence the producer, the epoch is increased.
    fn finish(&mut self, end: Marker, fence: bool) -> EndedTransaction {
        if fence {
            // A producer that is still alive may ask for the new epoch with the old one.
            self.last_epoch = Some(self.epoch);
            self.epoch += 1;
        }
        self.status = Status::Complete(end);
        self.groups.clear();
        let logs = std::mem::take(&mut self.logs);
        EndedTransaction { end, producer_id: self.producer_id, epoch: self.epoch, logs }
    }
}

#[cfg(test)]
mod tests;
