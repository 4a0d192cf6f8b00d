#![doc = include_str!("../README.md")]
//!
//! # Where to look
//!
//! [`run`] makes what a process needs once. `runner.rs` then opens one session after another, on a thread of its own.
//!
//! | what | where |
//! |---|---|
//! | the loop: poll, process, commit after `joiner.commit_interval`, rest | `session/mod.rs` |
//! | the rebalance protocol | `session/rebalance.rs`, with the consumer in `group/` |
//! | which partition is read next, and how many records of it | `session/order.rs`, `session/turn.rs` |
//! | a partition that delivers nothing | `session/stall.rs` |
//! | a record becomes a row, or has a fault | `rows.rs`, with the schemas in `schemas.rs` |
//! | the join is asked, and its decisions are written | `processor/` |
//! | the records of the outputs | `outputs.rs`, `rejects/`, `repartition.rs` |
//! | why a row is rejected | `rejects/reason.rs`; the join decides "late" and others, see [`join::RejectReason`] |
//! | what a commit contains, and how it is written | `session/commit.rs`, `transaction/` |
//! | the state is written and restored | `changelog/` |
//! | records of internal topics are deleted | `purge.rs` |
//! | settings, topics | `config.rs`, `topology.rs` |
//! | metrics, the log's line a second | `metrics.rs`, `summary.rs` |

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use avro_schemas::{RegistryClient, RegistryError, SchemaCache};
use kafka::probe::{Probe, ProbeError};
use service::{Context, Dependency};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::info;

mod avro_payload;
mod changelog;
mod config;
mod consumer_record;
mod fate_counts;
mod group;
mod log_ends;
mod metrics;
mod outputs;
mod processor;
mod purge;
mod rejects;
mod repartition;
mod rows;
mod runner;
mod schemas;
mod session;
mod source_partition;
mod summary;
mod topology;
mod transaction;
mod watch;

pub use config::{JoinerConfig, JoinerSection};
pub use summary::Summary;
pub use topology::TopologyError;

use log_ends::LogEnds;
use metrics::JoinerMetrics;
use outputs::OutputSchemas;
use purge::Purger;
use rejects::RejectTimes;
use schemas::Schemas;
use session::Environment;
use summary::SummaryLog;

/// Why a joiner ended by itself. An outage is never the reason.
#[derive(Debug, thiserror::Error)]
pub enum JoinerError {
    /// The configuration of Kafka can't work.
    #[error(transparent)]
    Kafka(#[from] ProbeError),
    /// The registry's configuration can't work, or it refuses our schemas.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The topics can't be used as they are.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The join can't go on.
    #[error("{0}")]
    Session(String),
    /// The thread of the join has panicked.
    #[error("the thread of the join has panicked")]
    Panicked,
}

/// Joins until shutdown is asked for. Waits for Kafka and the registry as long as they stay away; the context's
/// health says what it waits for, and is ready once the state is restored and rows are read.
///
/// # Errors
///
/// [`JoinerError`] if something must be changed by people before a joiner can work.
pub async fn run(config: JoinerConfig, ctx: Context) -> Result<Summary, JoinerError> {
    ctx.health.set("joiner", Err("starting".to_owned()));
    // Dropped, and all of them stopped, when this function ends.
    let mut background = JoinSet::new();
    let kafka_reachable = Arc::new(AtomicBool::new(true));
    let probe = Probe::new(&config.kafka)?;
    let kafka = Dependency::new("kafka", &ctx.health);
    background.spawn(watch::kafka(kafka.clone(), probe, Arc::clone(&kafka_reachable)));
    let client = RegistryClient::new(&config.registry)?;
    let registry = Dependency::new("registry", &ctx.health);
    background.spawn(watch::registry(registry.clone(), client.clone()));

    let Some(topology) = topology::establish(&config, &kafka, &ctx.shutdown).await? else {
        return Ok(Summary::default());
    };
    let cache = Arc::new(SchemaCache::new(client));
    let register = || OutputSchemas::register(&cache, &config.topics);
    let output_schemas = tokio::select! {
        registered = registry.reached(register, RegistryError::is_outage) => registered?,
        () = ctx.shutdown.wait() => return Ok(Summary::default()),
    };
    let purger = Purger::default();
    background.spawn(purger.clone().run(config.kafka.clone(), topology.clone()));
    let reject_times = RejectTimes::unknown();
    let max_future = config.joiner.max_future;
    reject_times.ask(&config.kafka, &topology, max_future).await;
    let watching = reject_times.clone();
    background.spawn(watching.watch(config.kafka.clone(), topology.clone(), max_future));
    let (sender, log_ends) = tokio::sync::watch::channel(LogEnds::unknown());
    let interval = (config.joiner.stall_timeout / 10).min(LONGEST_LOG_ENDS_INTERVAL);
    background.spawn(log_ends::watch(config.kafka.clone(), topology.clone(), interval, sender));
    let env = Arc::new(Environment {
        rules: config.joiner.rules(),
        transactional_id: transactional_id(&config.joiner),
        schemas: Schemas::new(cache, tokio::runtime::Handle::current(), ctx.clone()),
        metrics: JoinerMetrics::register(&ctx.metrics),
        summary: SummaryLog::new(),
        config,
        topology,
        output_schemas,
        purger,
        ctx,
        kafka_reachable,
        log_ends,
        reject_times,
    });
    let outcome = on_own_thread(Arc::clone(&env)).await;
    let summary = env.summary.total();
    info!("{summary}");
    outcome.map(|()| summary)
}

/// Runs the join on a thread of its own: librdkafka's calls block.
async fn on_own_thread(env: Arc<Environment>) -> Result<(), JoinerError> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        // Nobody listens any more if the drain's deadline is over.
        let _ = done.send(runner::run(&env));
    };
    let thread = std::thread::Builder::new().name("join".to_owned());
    thread.spawn(work).expect("the operating system has room for a thread");
    outcome.await.unwrap_or(Err(JoinerError::Panicked))
}

/// How often Kafka is asked at least where the consumed partitions end.
const LONGEST_LOG_ENDS_INTERVAL: Duration = Duration::from_secs(2);

/// The id of a joiner with a name, or a random one.
fn transactional_id(section: &JoinerSection) -> String {
    let prefix = &section.transactional_id;
    match section.instance() {
        Some(instance) => format!("{prefix}-{instance}"),
        None => format!("{prefix}-{}", uuid::Uuid::new_v4()),
    }
}
