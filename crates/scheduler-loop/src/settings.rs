//! The settings of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, Settings, ShutdownConfig};
use trip_client::{ClientConfig, Extent, Overrun, validate_load};

/// All sections that the loop scheduler reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopSettings {
    /// Section `[log]`.
    pub log: LogConfig,
    /// Section `[shutdown]`.
    pub shutdown: ShutdownConfig,
    /// Section `[client]`.
    pub client: ClientConfig,
    /// Section `[scheduler_loop]`.
    pub scheduler_loop: LoopConfig,
}

/// Section `[scheduler_loop]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// How many trips each request asks for. At least 1.
    pub trips: u32,
    /// Time from one tick to the next; with `closed_loop`, the pause after each answer.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// Sleep after each answer instead of keeping to the timeline.
    pub closed_loop: bool,
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

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            trips: 3,
            period: Duration::from_millis(100),
            closed_loop: false,
            overrun: Overrun::Overlap,
            queue_limit: 100,
            count: None,
            duration: None,
            report: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8004)),
        }
    }
}

impl LoopConfig {
    /// How long the run goes on.
    pub fn extent(&self) -> Extent {
        Extent { count: self.count, duration: self.duration }
    }

    /// The schedule in words, for the log and the report.
    pub fn in_words(&self) -> String {
        let period = humantime::format_duration(self.period);
        if self.closed_loop {
            format!("{} trips, then {period} after each answer", self.trips)
        } else {
            format!("{} trips every {period}, overrun: {}", self.trips, self.overrun)
        }
    }
}

impl Settings for LoopSettings {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn admin(&self) -> Option<SocketAddr> {
        Some(self.scheduler_loop.listen)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.client.validate()?;
        let config = &self.scheduler_loop;
        validate_load(
            "scheduler_loop",
            config.trips,
            config.overrun,
            config.queue_limit,
            config.extent(),
        )?;
        if config.period.is_zero() {
            return Err(ConfigError::Invalid {
                key: "scheduler_loop.period".to_owned(),
                reason: "must be more than zero, such as 100ms".to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_course() {
        let settings = LoopSettings::default();
        settings.validate().unwrap();
        assert_eq!(settings.scheduler_loop.in_words(), "3 trips every 100ms, overrun: overlap");
    }

    #[test]
    fn a_period_of_zero_is_refused() {
        let mut settings = LoopSettings::default();
        settings.scheduler_loop.period = Duration::ZERO;
        assert_eq!(
            settings.validate().unwrap_err().to_string(),
            "configuration key \"scheduler_loop.period\": must be more than zero, such as 100ms"
        );
    }
}
