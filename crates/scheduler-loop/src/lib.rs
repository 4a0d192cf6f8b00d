#![doc = include_str!("../README.md")]

mod alarm;
mod pace;
mod settings;
mod timeline;

use std::time::Duration;

use anyhow::Context as _;
use service::Context;
use tokio::time::Instant;
use trip_client::{JoinerWatch, RunPlan, RunReport, TickLog, TripClient, drive};

use alarm::Alarm;
use pace::{ClosedLoop, OpenLoop};
pub use settings::{LoopConfig, LoopSettings};
pub use timeline::Timeline;

/// The name of this service.
pub const NAME: &str = "scheduler-loop";

/// The name of its section in the configuration.
pub const SECTION: &str = "scheduler_loop";

/// The first tick is due so long after the start, so that it, too, finds all set up and is on time.
const SET_UP: Duration = Duration::from_millis(10);

/// Runs the schedule until it is over or shutdown is asked for, and reports. Requests that failed are in the report, and
/// in [`RunReport::verdict`]; they are no error here.
///
/// # Errors
///
/// If the settings can't work, the report could not be written at the end, or the joiner to wait for does not answer.
pub async fn run(settings: LoopSettings, ctx: Context) -> anyhow::Result<RunReport> {
    let LoopSettings { client, scheduler_loop: config, shutdown, .. } = settings;
    if let Some(path) = &config.report {
        RunReport::reserve(path)?;
    }
    let mut plan = RunPlan::new(NAME, config.in_words(), vec![config.job()], &client, &shutdown);
    plan.tick_log = config.timeline.as_deref().map(TickLog::create).transpose()?;
    let api = TripClient::new(&client).context("configuration")?;
    api.until_ready(&ctx).await;
    if let Some(limit) = client.until_joined
        && !ctx.shutdown.requested()
    {
        plan.until_joined = Some((JoinerWatch::start(&client).await?, limit));
    }
    let alarm = Alarm::start().context("cannot start the thread that keeps the time")?;
    let report = if config.closed_loop {
        let mut pace = ClosedLoop::new(alarm, config.period, config.trips, config.extent());
        drive(&api, &mut pace, plan, &ctx).await?
    } else {
        let ramp = config.ramp.unwrap_or_default();
        let timeline = Timeline::new(Instant::now() + SET_UP, config.effective_period(), ramp);
        let mut pace = OpenLoop::new(alarm, timeline, config.trips, config.extent());
        drive(&api, &mut pace, plan, &ctx).await?
    };
    Ok(report)
}

/// [`run`] as the binary does it: prints the summary, writes the report, and fails if requests failed.
///
/// # Errors
///
/// As [`run`] and [`RunReport::conclude`].
pub async fn run_and_conclude(settings: LoopSettings, ctx: Context) -> anyhow::Result<()> {
    let path = settings.scheduler_loop.report.clone();
    let report = run(settings, ctx).await?;
    Ok(report.conclude(path.as_deref())?)
}
