//! `lab bench joiner`: how fast the joiner is, and the pass-through beside it.
//!
//! A run has topics of its own (`plan`), fills them (`load`), starts the joiner as a process and watches it (`process`), lets
//! rows pass through undecoded for comparison, before and after that (`limit`), and removes all that it made.

mod limit;
mod load;
mod measure;
mod plan;
mod process;
mod progress;
pub(super) mod report;

use std::sync::Arc;
use std::time::Duration;

use kafka::LogContext;
use kafka::topics::{PartitionCounts, Wanted};
use models::topics::Topic;
use rdkafka::admin::{AdminClient, AdminOptions};
use serde::Serialize;
use service::{Shutdown, with_causes};
use tracing::{debug, info};

pub mod latency;

pub use measure::Rates;
pub use progress::{Progress, Tenth};
pub use report::{Figures, Machine, Report};

use super::rows::register;
use super::{BenchError, Usage, blocking, cores, delete_topics, unique_prefix, with_fleet};
use fleet::Fleet;
use measure::Sample;
use plan::{Backlog, Plan, Round};
use process::Joiners;
use verify::settings::Settings;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many trips, three rows each. At least 1.
    pub trips: u64,
    /// How much event time they are spread over, up to now: a backlog. Zero if all happen at once.
    pub spread: Duration,
    /// By what the rows are keyed.
    pub keys: Keys,
    /// How many joiners share the work. At least 1.
    pub joiners: usize,
    /// Whether the pass-through is measured, too.
    pub limit: bool,
    /// Whether a round goes before that is not measured. A broker on Java that has just started interprets its code at
    /// first, and compiles it beside the work; whoever is measured first would pay for that.
    pub warm_up: bool,
}

/// What the rows are keyed and partitioned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// As our API does: all by trip_id, with the partitioner of Java. Every row lies at its trip's home.
    #[default]
    Own,
    /// As the course's program in Python does: driver earnings by driver_id, riders by rider_id, with the partitioner of
    /// librdkafka (CRC32). Two rows of three have to be forwarded.
    Foreign,
}

/// Measures the joiner that lies beside this program.
///
/// Whatever happens, the topics of the run are deleted before it returns; a second signal prevents that.
///
/// # Errors
///
/// [`BenchError`].
pub async fn run(
    settings: &Settings,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let plans = Plans { settings };
    let Options { spread, keys, .. } = options;
    let backlog = Backlog { spread, keys };
    let round = async |options: Options| {
        plans
            .with(options.trips, backlog, async |plan, fleet| {
                measure(&plan, fleet, options, shutdown).await
            })
            .await
    };
    if options.warm_up {
        info!("a round that is not measured");
        round(Options { limit: true, ..options }).await?;
    }
    round(options).await
}

/// Makes plans, and removes what was done by them.
struct Plans<'a> {
    settings: &'a Settings,
}

impl Plans<'_> {
    /// Gives `work` a plan with names that nobody else has, and a fleet to start joiners with.
    async fn with<T>(
        &self,
        trips: u64,
        backlog: Backlog,
        work: impl AsyncFnOnce(Arc<Plan>, &Fleet) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let mut plan = Plan::new(self.settings, unique_prefix(), trips)?;
        plan.backlog = backlog;
        let plan = Arc::new(plan);
        let outcome = with_fleet(async |fleet| work(Arc::clone(&plan), fleet).await).await;
        clean_up(&plan).await;
        outcome
    }
}

async fn measure(
    plan: &Arc<Plan>,
    fleet: &Fleet,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Report, BenchError> {
    let counts = create_topics(plan, &plan.limit_output).await?;
    let ids = register(&plan.settings).await?;
    info!(trips = plan.trips, topics = format!("{}.*", plan.prefix), "writing the trips");
    blocking(shutdown, {
        let (plan, counts) = (Arc::clone(plan), counts.clone());
        move |shutdown| load::load(&plan, ids, &counts, shutdown)
    })
    .await?;

    let pass_through = async |round: Round| {
        info!("measuring the pass-through");
        let partitions = counts[&plan.limit_output.name];
        let before = Usage::of("self");
        let samples = blocking(shutdown, {
            let plan = Arc::clone(plan);
            move |shutdown| limit::run(&plan, round, partitions, shutdown)
        })
        .await?;
        // The peak may be that of writing the trips.
        let usage = Usage { peak_memory_bytes: None, ..Usage::of("self").since(before) };
        Ok::<_, BenchError>(figures(&samples, plan, usage))
    };
    let mut passed = Vec::new();
    if options.limit {
        passed.push(pass_through(Round::Before).await?);
    }

    info!(joiners = options.joiners, "measuring the join");
    let mut joiners = Joiners::start(options.joiners, fleet, plan)?;
    let samples = joiners.follow(plan.trips, shutdown).await?;
    let joined = figures(&samples, plan, joiners.usage());
    let progress = Progress::of(&samples, plan.trips);
    joiners.stop().await?;

    if options.limit {
        passed.push(pass_through(Round::After).await?);
    }
    let limits = <[Figures; 2]>::try_from(passed).ok();
    let inputs = plan.settings.topics.inputs();
    let machine = Machine {
        cores: cores(),
        warmed_up: options.warm_up,
        optimized: !cfg!(debug_assertions),
        partitions: inputs.map(|topic| counts[&topic.name]),
        keys: options.keys,
        joiners: options.joiners,
        commit_interval_ms: plan.commit_interval.as_millis(),
        kafka: plan.settings.kafka.bootstrap_servers.clone(),
    };
    Ok(Report { progress, ..Report::new(plan.trips, machine, joined, limits) })
}

fn figures(samples: &[Sample], plan: &Plan, usage: Usage) -> Figures {
    let rates = measure::rates(samples, plan.trips).expect("it was watched until the last trip");
    Figures { rates, usage }
}

/// The inputs and an output. The others are the joiner's to create: it knows how they must be.
async fn create_topics(plan: &Plan, output: &Topic) -> Result<PartitionCounts, BenchError> {
    let inputs = plan.settings.topics.inputs();
    let wanted: Vec<Wanted<'_>> = inputs.into_iter().chain([output]).map(Wanted::from).collect();
    Ok(kafka::topics::ensure(&plan.settings.kafka, &wanted).await?)
}

/// Deletes the topics and groups of the run. What can't be deleted is told, but the figures are good without.
async fn clean_up(plan: &Plan) {
    delete_topics(&plan.settings, &plan.prefix, &plan.all_topics()).await;
    if let Err(error) = delete_groups(plan).await {
        debug!(error, "the groups are left; Kafka forgets them by itself");
    }
}

async fn delete_groups(plan: &Plan) -> Result<(), String> {
    let client = plan.settings.kafka.client().map_err(|error| with_causes(&error))?;
    let admin: AdminClient<LogContext> =
        client.create_with_context(LogContext::default()).map_err(|error| with_causes(&error))?;
    let groups = plan.groups();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let deleted = admin.delete_groups(&names, &AdminOptions::new()).await;
    for result in deleted.map_err(|error| with_causes(&error))? {
        result.map_err(|(group, code)| format!("{group}: {code}"))?;
    }
    Ok(())
}
