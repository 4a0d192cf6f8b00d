#![doc = include_str!("../README.md")]

mod pace;
mod settings;
mod timeline;

use anyhow::Context as _;
use service::Context;
use trip_client::{Plan, Report, TripClient, drive};

use pace::{ClosedLoop, OpenLoop};
pub use settings::{LoopConfig, LoopSettings};
pub use timeline::Timeline;

/// The name of this service.
pub const NAME: &str = "scheduler-loop";

/// Runs the schedule until it is over or shutdown is asked for, and reports. Requests that failed are in the report, and
/// in [`Report::verdict`]; they are no error here.
///
/// # Errors
///
/// If the settings can't work, or the report could not be written at the end.
pub async fn run(settings: LoopSettings, ctx: Context) -> anyhow::Result<Report> {
    let LoopSettings { client, scheduler_loop: config, shutdown, .. } = settings;
    if let Some(path) = &config.report {
        Report::reserve(path)?;
    }
    let overrun = (config.overrun, config.queue_limit);
    let plan = Plan::new(NAME, config.in_words(), overrun, &client, &shutdown);
    let client = TripClient::new(&client).context("configuration")?;
    let report = if config.closed_loop {
        let mut pace = ClosedLoop::new(config.period, config.trips, config.extent());
        drive(&client, &mut pace, plan, &ctx).await
    } else {
        let mut pace = OpenLoop::new(config.period, config.trips, config.extent());
        drive(&client, &mut pace, plan, &ctx).await
    };
    Ok(report)
}

/// [`run`] as the binary does it: prints the summary, writes the report, and fails if requests failed.
///
/// # Errors
///
/// As [`run`] and [`Report::conclude`].
pub async fn run_and_conclude(settings: LoopSettings, ctx: Context) -> anyhow::Result<()> {
    let path = settings.scheduler_loop.report.clone();
    let report = run(settings, ctx).await?;
    Ok(report.conclude(path.as_deref())?)
}
