//! What all sessions of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use service::Context;
use tokio::sync::watch;

use crate::config::JoinerConfig;
use crate::log_ends::LogEnds;
use crate::metrics::JoinerMetrics;
use crate::outputs::OutputSchemas;
use crate::purge::Purger;
use crate::rejects::RejectTimes;
use crate::schemas::Schemas;
use crate::summary::SummaryLog;
use crate::topology::Topology;

/// Made once a process. Only the session uses it as a whole; it gives the other modules the parts that they need.
pub(crate) struct Environment {
    pub(crate) config: JoinerConfig,
    pub(crate) rules: join::JoinConfig,
    pub(crate) topology: Topology,
    pub(crate) schemas: Schemas,
    pub(crate) output_schemas: OutputSchemas,
    pub(crate) transactional_id: String,
    pub(crate) metrics: JoinerMetrics,
    pub(crate) summary: SummaryLog,
    pub(crate) purger: Purger,
    pub(crate) ctx: Context,
    /// What the health check found last.
    pub(crate) kafka_reachable: Arc<AtomicBool>,
    /// Where the consumed partitions ended when Kafka was last asked.
    pub(crate) log_ends: watch::Receiver<LogEnds>,
    pub(crate) reject_times: RejectTimes,
}

impl Environment {
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
