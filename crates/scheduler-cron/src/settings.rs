//! The settings of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, Settings, ShutdownConfig};
use trip_client::{ClientConfig, Extent, Overrun, validate_load};

use crate::timetable::{Timetable, TimetableError, zone};

/// All sections that the cron scheduler reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CronSettings {
    /// Section `[log]`.
    pub log: LogConfig,
    /// Section `[shutdown]`.
    pub shutdown: ShutdownConfig,
    /// Section `[client]`.
    pub client: ClientConfig,
    /// Section `[scheduler_cron]`.
    pub scheduler_cron: CronConfig,
}

/// Section `[scheduler_cron]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CronConfig {
    /// How many trips each request asks for. At least 1.
    pub trips: u32,
    /// A cron expression of six fields, seconds first (`*/5 * * * * *`), or an interval of whole seconds (`every 3s`).
    pub schedule: String,
    /// Whose clocks a cron expression means: a name of the IANA database, such as `Europe/Paris`.
    pub time_zone: String,
    /// What becomes of a tick that is due while earlier requests run.
    pub overrun: Overrun,
    /// How many ticks may wait with `overrun = "queue"`.
    pub queue_limit: usize,
    /// Stop after that many ticks.
    pub count: Option<u64>,
    /// Stop after that time.
    #[serde(with = "humantime_serde")]
    pub duration: Option<Duration>,
    /// Also write the report to this file, as JSON.
    pub report: Option<PathBuf>,
    /// Where `/health/*` and `/metrics` are served.
    pub listen: SocketAddr,
}

impl Default for CronConfig {
    fn default() -> Self {
        Self {
            trips: 30,
            schedule: "every 3s".to_owned(),
            time_zone: "UTC".to_owned(),
            overrun: Overrun::Skip,
            queue_limit: 100,
            count: None,
            duration: None,
            report: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8003)),
        }
    }
}

impl CronConfig {
    /// How long the run goes on.
    pub fn extent(&self) -> Extent {
        Extent { count: self.count, duration: self.duration }
    }

    /// The schedule as instants.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key.
    pub fn timetable(&self) -> Result<Timetable, ConfigError> {
        let invalid = |key: &'static str| {
            move |err: TimetableError| ConfigError::Invalid {
                key: format!("scheduler_cron.{key}"),
                reason: err.to_string(),
            }
        };
        let zone = zone(&self.time_zone).map_err(invalid("time_zone"))?;
        Timetable::parse(&self.schedule, zone, Utc::now()).map_err(invalid("schedule"))
    }

    /// The schedule in words, for the log and the report.
    pub fn in_words(&self) -> String {
        let Self { trips, schedule, time_zone, overrun, .. } = self;
        format!("{trips} trips, {schedule} ({time_zone}), overrun: {overrun}")
    }
}

impl Settings for CronSettings {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn admin(&self) -> Option<SocketAddr> {
        Some(self.scheduler_cron.listen)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.client.validate()?;
        let config = &self.scheduler_cron;
        validate_load(
            "scheduler_cron",
            config.trips,
            config.overrun,
            config.queue_limit,
            config.extent(),
        )?;
        config.timetable().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_course() {
        let settings = CronSettings::default();
        settings.validate().unwrap();
        assert_eq!(settings.scheduler_cron.in_words(), "30 trips, every 3s (UTC), overrun: skip");
        assert_eq!(settings.scheduler_cron.timetable().unwrap(), Timetable::Every { seconds: 3 });
    }

    #[test]
    fn a_bad_schedule_or_zone_is_refused_by_its_key() {
        let refuse = |schedule: &str, time_zone: &str| {
            let mut settings = CronSettings::default();
            schedule.clone_into(&mut settings.scheduler_cron.schedule);
            time_zone.clone_into(&mut settings.scheduler_cron.time_zone);
            settings.validate().unwrap_err().to_string()
        };
        let error = refuse("every 0s", "UTC");
        assert!(error.starts_with("configuration key \"scheduler_cron.schedule\": "), "{error}");
        let error = refuse("* * * * * *", "Europe/Pari");
        assert!(error.starts_with("configuration key \"scheduler_cron.time_zone\": "), "{error}");
    }
}
