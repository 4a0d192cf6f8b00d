//! Looking at the services while they run.

use std::time::{Duration, Instant, SystemTime};

use service::Shutdown;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::DemoError;
use super::figures::{History, Readings};
use super::lag;
use super::screen::Screen;
use super::services::Services;
use super::view;
use fleet::Program;
use fleet::metrics::{Exposition, Scraper};
use verify::settings::Settings;

/// How often the services are asked.
const EACH: Duration = Duration::from_millis(500);
/// How often a line is written where there is no terminal.
const LINE_EACH: Duration = Duration::from_secs(2);

/// What is looked at, and for how long.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) settings: &'a Settings,
    pub(super) scraper: &'a Scraper,
    /// Which Kafka it is, in words.
    pub(super) place: String,
    /// None to go on until shutdown is asked for.
    pub(super) limit: Option<Duration>,
}

impl Watch<'_> {
    /// Shows what the services do until the time is over or shutdown is asked for.
    ///
    /// # Errors
    ///
    /// [`DemoError::Process`] as soon as one of them has ended.
    pub(super) async fn run(
        &self,
        services: &mut Services,
        screen: &mut Screen<std::io::Stdout>,
        shutdown: &Shutdown,
    ) -> Result<(), DemoError> {
        let (sender, lag) = watch::channel(None);
        let over = async {
            match self.limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            outcome = self.show(services, screen, lag) => outcome,
            never = lag::follow(self.settings, sender) => match never {},
            () = over => Ok(()),
            () = shutdown.wait() => Ok(()),
        }
    }

    /// Ends only with an error.
    async fn show(
        &self,
        services: &mut Services,
        screen: &mut Screen<std::io::Stdout>,
        lag: watch::Receiver<Option<u64>>,
    ) -> Result<(), DemoError> {
        let started = Instant::now();
        let mut history = History::default();
        let mut last_line = started;
        let mut ticks = interval(EACH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            services.ensure_running()?;
            let lag = *lag.borrow();
            history.push(self.read(services, lag).await);
            let Some(figures) = history.figures() else { continue };
            let heading =
                view::Heading { place: &self.place, elapsed: started.elapsed(), limit: self.limit };
            if screen.is_live() {
                screen.draw(&view::frame(&heading, &figures));
            } else if last_line.elapsed() >= LINE_EACH {
                last_line = Instant::now();
                screen.say(&view::line(&heading, &figures));
            }
        }
    }

    /// What all services show now. One that does not answer in time shows nothing.
    async fn read(&self, services: &Services, lag: Option<u64>) -> Readings {
        let metrics = async |program| -> Exposition {
            let Some(url) = services.url(program, "/metrics") else { return Exposition::default() };
            self.scraper.metrics(&url).await.unwrap_or_default()
        };
        let (api, joiner, cron, looped) = tokio::join!(
            metrics(Program::ProducerApi),
            metrics(Program::Joiner),
            metrics(Program::SchedulerCron),
            metrics(Program::SchedulerLoop)
        );
        let (at, wall) = (Instant::now(), SystemTime::now());
        Readings { at, wall, api, joiner, cron, looped, lag }
    }
}
