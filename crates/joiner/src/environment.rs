//! What all sessions of a joiner share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Made once a process.
pub(crate) struct Environment {
    pub(crate) config: JoinerConfig,
    pub(crate) rules: join::JoinConfig,
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
        let timeout_ms = self.config.transaction_timeout().as_millis().to_string();
        let tuned = [
            ("transaction.timeout.ms", timeout_ms.as_str()),
            ("linger.ms", "1"),
            // A step of a transaction is refused while the broker is still ending the one before, for a few
            // milliseconds. The default, 100 ms, would be as long as a whole transaction.
            ("retry.backoff.ms", "10"),
            // The topics are created to take 4 MiB; a batch adds to its records.
            ("message.max.bytes", "4190208"),
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
