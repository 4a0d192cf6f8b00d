#![doc = include_str!("../README.md")]

mod calendar;
mod clockwork;
mod load;
mod settings;
mod timetable;
mod zoned;

use anyhow::Context as _;
use service::Context;
use trip_client::{JoinerWatch, RunPlan, RunReport, TickLog, TripClient, drive};

use calendar::Calendar;
use clockwork::Clockwork;
pub use settings::{CronConfig, CronJob, CronSettings};
pub use timetable::{Timetable, TimetableError};

/// The name of this service.
pub const NAME: &str = "scheduler-cron";

/// The name of its section in the configuration.
pub const SECTION: &str = "scheduler_cron";

/// Runs the schedule until it is over or shutdown is asked for, and reports. Requests that failed are in the report, and
/// in [`RunReport::verdict`]; they are no error here.
///
/// # Errors
///
/// If the settings can't work, the report could not be written at the end, the joiner to wait for does not answer, or the
/// cron library does not start.
pub async fn run(settings: CronSettings, ctx: Context) -> anyhow::Result<RunReport> {
    let CronSettings { client, scheduler_cron: config, shutdown, .. } = settings;
    if let Some(path) = &config.report {
        RunReport::reserve(path)?;
    }
    let (mut timetables, mut jobs) = (Vec::new(), Vec::new());
    for entry in config.entries().context("configuration")? {
        timetables.push((entry.timetable, entry.load));
        jobs.push(entry.job);
    }
    let in_words: Vec<_> = jobs.iter().map(|job| job.schedule.as_str()).collect();
    let in_words = format!("{}; looked for each 500ms", in_words.join("; "));
    let mut plan = RunPlan::new(NAME, in_words, jobs, &client, &shutdown);
    plan.tick_log = config.timeline.as_deref().map(TickLog::create).transpose()?;
    let api = TripClient::new(&client).context("configuration")?;
    api.until_ready(&ctx).await;
    if let Some(limit) = client.until_joined
        && !ctx.shutdown.requested()
    {
        plan.until_joined = Some((JoinerWatch::start(&client).await?, limit));
    }
    // Only now: the API and a joiner that is catching up are waited for above, and no tick is to pass unseen meanwhile.
    let (start, extent) = (chrono::Utc::now(), config.extent());
    let calendars = timetables
        .into_iter()
        .map(|(timetable, load)| Calendar::new(timetable, load, extent, start))
        .collect();
    let mut clockwork =
        Clockwork::start(calendars).await.context("cannot start tokio-cron-scheduler")?;
    // The library's shutdown does not wait for jobs; here a job only hands over its tick, and `drive` waits for the
    // requests.
    let report = drive(&api, &mut clockwork, plan, &ctx).await;
    clockwork.stop().await;
    Ok(report?)
}

/// [`run`] as the binary does it: prints the summary, writes the report, and fails if requests failed.
///
/// # Errors
///
/// As [`run`] and [`RunReport::conclude`].
pub async fn run_and_conclude(settings: CronSettings, ctx: Context) -> anyhow::Result<()> {
    let path = settings.scheduler_cron.report.clone();
    let report = run(settings, ctx).await?;
    Ok(report.conclude(path.as_deref())?)
}
