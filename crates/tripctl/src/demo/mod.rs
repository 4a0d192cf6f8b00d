//! `tripctl demo`: the whole pipeline in one terminal, looked at while it runs and checked when it is over.
//!
//! The services are child processes (`services`), told by `plan` where they listen and which Kafka they talk to. While
//! they run, `watch` reads their metrics into `figures`, which `view` lays out and `screen` keeps in place. At the end
//! the schedulers stop first, the joiner gets time to decide what is left, `verify` judges, and `summary` tells.

mod error;
mod figures;
mod lag;
mod plan;
mod screen;
mod services;
mod summary;
mod view;
mod watch;

use std::time::{Duration, Instant};

use service::{CommonArgs, Shutdown};
use tracing::debug;

pub use error::DemoError;
pub use summary::Summary;

use fleet::devstack::{self, Addresses};
use fleet::metrics::Scraper;
use verify::settings::Settings;

use plan::{Plan, Role};
use screen::Screen;
use services::Fleet;

/// How long the joiner may take to decide what is left. With the rules of a demo on the dev stack a trip that stays
/// incomplete is decided after 12 s.
const DRAIN: Duration = Duration::from_secs(20);
/// How long the services may take until they can work.
const READY: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_millis(25);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long trips are asked for; none to go on until shutdown is asked for.
    pub duration: Option<Duration>,
    /// Whether to use the Kafka and the registry of the settings, instead of a dev stack of the demo's own.
    pub on_configured_kafka: bool,
}

/// Runs all services, shows on standard output what they do, and checks at the end what has become of each trip.
/// `common` says where the configuration was read from, so that the services read it there, too.
///
/// Whatever happens, no service runs any more when this returns or is dropped. Their logs are kept unless all was well.
///
/// # Errors
///
/// [`DemoError`] if there is nothing to judge. What is wrong with the trips is in the summary.
pub async fn run(
    settings: &Settings,
    common: &CommonArgs,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Summary, DemoError> {
    let mut screen = Screen::stdout();
    let dir = tempfile::Builder::new().prefix("tripstream-demo-").tempdir();
    let dir = dir.map_err(DemoError::system("making a directory for logs and data"))?;
    let mut fleet = Fleet::new(dir.path())?;
    let outcome = conduct(settings, common, options, shutdown, &mut fleet, &mut screen).await;
    if outcome.is_err() {
        fleet.abandon().await;
    }
    match &outcome {
        Ok(summary) if summary.is_success() => {}
        Err(DemoError::Interrupted) => {}
        _ => screen.say(&format!("The logs are kept in {}", dir.keep().display())),
    }
    outcome
}

async fn conduct(
    settings: &Settings,
    common: &CommonArgs,
    options: Options,
    shutdown: &Shutdown,
    fleet: &mut Fleet,
    screen: &mut Screen<std::io::Stdout>,
) -> Result<Summary, DemoError> {
    let mut plan = Plan::new(settings, common, fleet.dir())?;
    if !options.on_configured_kafka {
        fleet.start(Role::Devstack, devstack::command(fleet.dir())?)?;
        plan.settle_on(&devstack_ready(fleet, shutdown).await?);
    }
    let stack = if options.on_configured_kafka { "Kafka" } else { "the dev stack" };
    let place = format!("{stack} at {}", plan.settings.kafka.bootstrap_servers);
    screen.say(&format!("Starting producer-api, joiner and both schedulers on {place}."));
    screen.say(&format!("Their logs: {}", fleet.dir().join("*.log").display()));
    let scraper = Scraper::new(ANSWER_TIMEOUT);
    for role in [Role::ProducerApi, Role::Joiner] {
        fleet.start(role, plan.service(role)?)?;
    }
    for role in [Role::ProducerApi, Role::Joiner] {
        service_ready(&plan.url(role, "/health/ready"), role, &scraper, fleet, shutdown).await?;
    }
    for role in Role::SCHEDULERS {
        fleet.start(role, plan.service(role)?)?;
    }

    let started = Instant::now();
    let watch = watch::Watch { plan: &plan, scraper: &scraper, place, limit: options.duration };
    watch.run(fleet, screen, shutdown).await?;
    let ran = started.elapsed();

    screen.say("\nStopping the schedulers; then the joiner has its time to finish.");
    // From here on one that does not end well is told of, but what became of the trips is told first.
    let mut faults = fleet.stop(&Role::SCHEDULERS).await;
    faults.extend(fleet.stop(&[Role::ProducerApi]).await);
    let config = verify::Config { wait: Some(DRAIN), ..verify::Config::new(&plan.settings)? };
    // Not with the shutdown that has been asked for: this is a part of ending.
    let report = verify::run(&config, &Shutdown::new()).await?;
    faults.extend(fleet.stop(&[Role::Joiner]).await);
    faults.extend(fleet.stop(&[Role::Devstack]).await);

    let loads = Role::SCHEDULERS.map(|role| summary::Load::read(role, &plan.report_file(role)));
    let fresh = !options.on_configured_kafka;
    let summary = Summary { ran, loads: loads.into(), report, fresh, faults };
    screen.say("");
    screen.say(summary.to_text().trim_end());
    Ok(summary)
}

/// Waits until the dev stack tells its addresses.
async fn devstack_ready(fleet: &mut Fleet, shutdown: &Shutdown) -> Result<Addresses, DemoError> {
    let end = Instant::now() + READY;
    loop {
        if let Some(addresses) = Addresses::read(fleet.dir()) {
            return Ok(addresses);
        }
        fleet.ensure_running()?;
        if Instant::now() > end {
            return Err(fleet.stuck(Role::Devstack, "does not say where it listens", READY));
        }
        pause(shutdown).await?;
    }
}

/// Waits until a service says that it is ready.
async fn service_ready(
    url: &str,
    role: Role,
    scraper: &Scraper,
    fleet: &mut Fleet,
    shutdown: &Shutdown,
) -> Result<(), DemoError> {
    let end = Instant::now() + READY;
    loop {
        let Err(why) = scraper.is_ready(url).await else { return Ok(()) };
        debug!(service = role.program(), why, "not ready yet");
        fleet.ensure_running()?;
        if Instant::now() > end {
            return Err(fleet.stuck(role, &format!("is not ready ({why})"), READY));
        }
        pause(shutdown).await?;
    }
}

async fn pause(shutdown: &Shutdown) -> Result<(), DemoError> {
    tokio::select! {
        () = tokio::time::sleep(ASK) => Ok(()),
        () = shutdown.wait() => Err(DemoError::Interrupted),
    }
}
