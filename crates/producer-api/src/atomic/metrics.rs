//! What is counted of transactions.

use models::Side;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::encoded_records::EncodedRecords;
use super::transactor::TransactionOutcome;
use crate::metrics::ApiMetrics;
use crate::undelivered::FailedRecord;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The handles that transactions are counted with. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct TransactionMetrics {
    transactions: Family<ResultLabel, Counter>,
    keyed: Family<ResultLabel, Counter>,
    keys: Gauge,
    waiting: Gauge,
    records: ApiMetrics,
}

impl TransactionMetrics {
    pub(crate) fn register(metrics: &service::Metrics, records: ApiMetrics) -> Self {
        let handles = Self {
            transactions: Family::default(),
            keyed: Family::default(),
            keys: Gauge::default(),
            waiting: Gauge::default(),
            records,
        };
        metrics.register(|registry| {
            registry.register(
                "api_transactions",
                "Transactions by what became of them: committed, aborted, fenced, unknown",
                handles.transactions.clone(),
            );
            registry.register(
                "api_idempotent_requests",
                "Requests with an Idempotency-Key: new, replayed, conflict",
                handles.keyed.clone(),
            );
            registry.register(
                "api_idempotency_keys",
                "Idempotency keys that are remembered",
                handles.keys.clone(),
            );
            registry.register(
                "api_transaction_records_in_flight",
                "Records, in units of up to 1 KiB, that wait for their transaction to be committed",
                handles.waiting.clone(),
            );
        });
        handles
    }

    pub(crate) fn transaction(&self, verdict: &TransactionOutcome) {
        let result = match verdict {
            TransactionOutcome::Committed => "committed",
            TransactionOutcome::Aborted { .. } => "aborted",
            TransactionOutcome::Fenced { .. } => "fenced",
            TransactionOutcome::Unknown { .. } => "unknown",
        };
        self.transactions.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts a request with a key: `new`, `replayed` or `conflict`.
    pub(crate) fn keyed(&self, result: &'static str) {
        self.keyed.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn keys(&self, known: usize) {
        self.keys.set(i64::try_from(known).unwrap_or(i64::MAX));
    }

    /// Counts records that are committed.
    pub(crate) fn delivered(&self, encoded: &EncodedRecords) {
        let by_side = encoded.by_side();
        for side in Side::ALL {
            self.records.records(side, by_side[side.index()], 0);
        }
    }

    /// Counts records that are not, or of which it is not known.
    pub(crate) fn failed(&self, encoded: &EncodedRecords, reason: &str) {
        let by_side = encoded.by_side();
        for side in Side::ALL {
            self.records.records(side, 0, by_side[side.index()]);
        }
        if let Some(record) = encoded.records().next() {
            let failure = FailedRecord {
                topic: record.topic.to_owned(),
                trip_id: String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned(),
                error: reason.to_owned(),
            };
            self.records.note_failure(&failure, encoded.trace());
        }
    }

    /// Shows how many records wait for their transaction.
    pub(crate) fn waiting(&self, units: u32) {
        self.waiting.set(units.into());
    }
}
