//! What all sessions of a joiner share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use service::Context;
use tokio::sync::watch;

use crate::cleaner::Cleaner;
use crate::config::JoinerConfig;
use crate::log_ends::LogEnds;
use crate::metrics::Metrics;
use crate::outputs::OutputSchemas;
use crate::reject_times::RejectTimes;
use crate::report::Report;
use crate::schemas::Schemas;
use crate::topology::Topology;
use crate::transaction::Limits;

/// As large as the topics are created to take.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Made once a process.
pub(crate) struct Environment {
    pub(crate) config: JoinerConfig,
    pub(crate) rules: join::Config,
    pub(crate) topology: Topology,
    pub(crate) schemas: Schemas,
    pub(crate) output_schemas: OutputSchemas,
    pub(crate) transactional_id: String,
    pub(crate) metrics: Metrics,
    pub(crate) report: Report,
    pub(crate) cleaner: Cleaner,
    pub(crate) ctx: Context,
    /// What the health check found last.
    pub(crate) kafka_reachable: Arc<AtomicBool>,
    /// Where the consumed partitions were last said to end.
    pub(crate) log_ends: watch::Receiver<LogEnds>,
    pub(crate) reject_times: RejectTimes,
}

impl Environment {
    /// The producer's configuration but for its transactional id.
    pub(crate) fn producer_config(&self) -> ClientConfig {
        let mut client = self.config.kafka.client().expect("validated with the configuration");
        // A crashed joiner without a name of its own comes back with another transactional id, and must wait until
        // its former transaction has timed out. One that has a name aborts it by itself.
        let timeout_ms = if self.config.joiner.instance().is_some() { "60000" } else { "10000" };
        let tuned = [
            ("transaction.timeout.ms", timeout_ms),
            ("linger.ms", "5"),
            ("message.max.bytes", &MAX_RECORD_BYTES.to_string()),
            ("queue.buffering.max.messages", "500000"),
            ("queue.buffering.max.kbytes", "262144"),
        ];
        for (name, value) in tuned {
            if client.get(name).is_none() {
                client.set(name, value);
            }
        }
        client
    }

    /// What the producer's configuration allows its transactions.
    pub(crate) fn producer_limits(&self) -> Limits {
        let client = self.producer_config();
        let number = |name| client.get(name).and_then(|value| value.parse().ok());
        Limits {
            record_bytes: number("message.max.bytes").unwrap_or(MAX_RECORD_BYTES),
            time: Duration::from_millis(number("transaction.timeout.ms").unwrap_or(10_000) as u64),
        }
    }

    pub(crate) fn kafka_is_reachable(&self) -> bool {
        self.kafka_reachable.load(Ordering::Relaxed)
    }

    pub(crate) fn ready(&self) {
        self.ctx.health.set("joiner", Ok(()));
    }

    pub(crate) fn not_ready(&self, why: &str) {
        self.ctx.health.set("joiner", Err(why.to_owned()));
    }
}
