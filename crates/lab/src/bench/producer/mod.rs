//! `lab bench producer`: how fast the API answers, and the raw limit beside it: librdkafka writing the same records
//! without HTTP.
//!
//! A run has topics of its own (`plan`), starts the API as a process and asks it for trips (`clients`), looks
//! at what it answers (`answer`) and whether Kafka holds that, and writes the same rows itself (`limit`).

mod answer;
mod clients;
mod limit;
mod load;
mod plan;
pub(super) mod report;

use std::sync::Arc;
use std::time::Duration;

use kafka::topics::{PartitionCounts, Wanted, describe, ensure};
use service::Shutdown;
use tracing::info;

pub use load::Load;
pub use report::{Figures, Limit, Machine, Report};

use super::rows::register;
use super::{BenchError, blocking, cores, delete_topics, unique_prefix, with_fleet};
use fleet::{Configuration, Fleet, Program};
use plan::Plan;
use verify::settings::Settings;

/// How long the API may take to end.
const EXIT_DEADLINE: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long each load, and the limit, is measured.
    pub duration: Duration,
    /// What a large request asks for. At least 1.
    pub trips_per_request: u32,
    /// How many clients make large requests at once. At least 1.
    pub connections: u32,
    /// Whether the raw limit is measured, too.
    pub limit: bool,
}

impl Options {
    /// From small to large, so that the peak of memory after each is its own.
    fn loads(self) -> [Load; 3] {
        let large = Load { trips: self.trips_per_request, connections: self.connections };
        [Load { trips: 1, connections: 1 }, Load { trips: 1, connections: 32 }, large]
    }
}

/// Measures the API that lies beside this program.
///
/// Whatever happens, the topics of the run are deleted before it returns; a second signal prevents that.
///
/// # Errors
///
/// [`BenchError`]; an answer that is not what was asked for is one, and so is a row that was answered for and is not in
/// Kafka.
pub async fn run(
    settings: &Settings,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let plan = Arc::new(Plan::new(settings, unique_prefix()));
    let outcome = with_fleet(async |fleet| measure(&plan, fleet, options, shutdown).await).await;
    delete_topics(&plan.settings, &plan.prefix, &plan.all_topics()).await;
    outcome
}

async fn measure(
    plan: &Arc<Plan>,
    fleet: &Fleet,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let names = plan.all_topics();
    let wanted: Vec<Wanted<'_>> = plan.topics().map(Wanted::from).collect();
    let counts = ensure(&plan.settings.kafka, &wanted).await?;
    info!(topics = format!("{}.*", plan.prefix), "starting the API");
    let mut configuration = Configuration::of(&plan.settings);
    configuration.set("producer.listen", "127.0.0.1:0");
    let name = Program::ProducerApi.name();
    let mut api = fleet.start(Program::ProducerApi, name, &configuration)?;
    let address = api.ready(&mut [], shutdown).await?;
    let mut answered = 0;
    let mut loads = Vec::new();
    for load in options.loads() {
        info!("measuring {load}");
        let process = api.id();
        let measured = blocking(shutdown, move |shutdown| {
            clients::run(load, address, process, options.duration, shutdown)
        });
        let measured = measured.await?;
        answered += measured.answered_trips;
        loads.push(measured.figures);
    }
    api.stop(EXIT_DEADLINE).await?;
    ensure_written(plan, &names[..3], answered).await?;

    let mut limit = None;
    if options.limit {
        info!("measuring the raw limit");
        let ids = register(&plan.settings).await?;
        let (plan, counts) = (Arc::clone(plan), counts.clone());
        let measured = blocking(shutdown, move |shutdown| {
            limit::run(&plan, ids, &counts, options.duration, shutdown)
        });
        limit = Some(measured.await?);
    }
    Ok(Report::new(loads, limit, machine(plan, &counts)))
}

fn machine(plan: &Plan, counts: &PartitionCounts) -> Machine {
    Machine {
        cores: cores(),
        optimized: !cfg!(debug_assertions),
        partitions: plan.settings.topics.inputs().map(|topic| counts[&topic.name]),
        kafka: plan.settings.kafka.bootstrap_servers.clone(),
    }
}

/// Kafka must hold one row of each of the `trips` answered in each of `topics`, and nothing else.
async fn ensure_written(plan: &Plan, topics: &[&str], trips: u64) -> Result<(), BenchError> {
    for topic in describe(&plan.settings.kafka, topics).await? {
        let rows = topic.partitions.iter().map(|partition| partition.high - partition.low).sum();
        if u64::try_from(rows) != Ok(trips) {
            return Err(BenchError::Count { topic: topic.name, rows, trips });
        }
    }
    Ok(())
}
