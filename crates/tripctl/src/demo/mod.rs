//! `tripctl demo`: the whole pipeline in one terminal, looked at while it runs and checked when it is over.
//!
//! The services are child processes on a fleet of their own (`services`). While they run, `watch` reads their metrics
//! into `figures`, which `view` lays out and `screen` keeps in place. At the end the schedulers stop first, the joiner
//! gets time to decide what is left, the crate `verify` judges, and `summary` tells.

mod error;
mod figures;
mod lag;
mod screen;
mod services;
mod summary;
mod view;
mod watch;

use std::time::{Duration, Instant};

use fleet::Program;
use fleet::metrics::Scraper;
use service::Shutdown;
use verify::settings::Settings;

pub use error::DemoError;
pub use summary::Summary;

use screen::Screen;
use services::{SCHEDULERS, Services};

/// How long the joiner may take to decide what is left. With the rules of a demo on the dev stack a trip that stays
/// incomplete is decided after 12 s.
const DRAIN: Duration = Duration::from_secs(20);
/// How long a service may take to show its metrics.
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
///
/// Whatever happens, no service runs any more when this returns or is dropped. Their logs are kept unless all was well.
///
/// # Errors
///
/// [`DemoError`] if there is nothing to judge. What is wrong with the trips is in the summary.
pub async fn run(
    settings: &Settings,
    options: Options,
    shutdown: &Shutdown,
) -> Result<Summary, DemoError> {
    let mut screen = Screen::stdout();
    let mut services = Services::new()?;
    let outcome = conduct(settings.clone(), options, shutdown, &mut services, &mut screen).await;
    if outcome.is_err() {
        services.abandon().await;
    }
    match &outcome {
        Ok(summary) if summary.is_success() => {}
        Err(DemoError::Interrupted) => {}
        _ => screen.say(&format!("The logs are kept in {}", services.keep_logs().display())),
    }
    outcome
}

async fn conduct(
    mut settings: Settings,
    options: Options,
    shutdown: &Shutdown,
    services: &mut Services,
    screen: &mut Screen<std::io::Stdout>,
) -> Result<Summary, DemoError> {
    if !options.on_configured_kafka {
        services.start_devstack(&mut settings, shutdown).await?;
    }
    let stack = if options.on_configured_kafka { "Kafka" } else { "the dev stack" };
    let place = format!("{stack} at {}", settings.kafka.bootstrap_servers);
    screen.say(&format!("Starting producer-api, joiner and both schedulers on {place}."));
    screen.say(&format!("Their logs: {}", services.dir().join("*.log").display()));
    services.start_all(&settings, shutdown).await?;

    let started = Instant::now();
    let scraper = Scraper::new(ANSWER_TIMEOUT);
    let watch =
        watch::Watch { settings: &settings, scraper: &scraper, place, limit: options.duration };
    watch.run(services, screen, shutdown).await?;
    let ran = started.elapsed();

    screen.say("\nStopping the schedulers; then the joiner has its time to finish.");
    // From here on one that does not end well is told of, but what became of the trips is told first.
    let mut faults = services.stop(&SCHEDULERS).await;
    faults.extend(services.stop(&[Program::ProducerApi]).await);
    let config = verify::Config { wait: Some(DRAIN), ..verify::Config::new(&settings)? };
    // Not with the shutdown that has been asked for: this is a part of ending.
    let report = verify::run(&config, &Shutdown::new()).await?;
    faults.extend(services.stop(&[Program::Joiner]).await);
    faults.extend(services.stop(&[Program::Devstack]).await);

    let loads =
        SCHEDULERS.map(|program| summary::Load::read(program, &services.report_file(program)));
    let fresh = !options.on_configured_kafka;
    let summary = Summary { ran, loads: loads.into(), report, fresh, faults };
    screen.say("");
    screen.say(summary.to_text().trim_end());
    Ok(summary)
}
