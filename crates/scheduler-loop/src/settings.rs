//! The settings of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, Settings, ShutdownConfig};
use trip_client::{ClientConfig, Extent, Job, Overrun, RunLoad};

/// The shortest period that a rate may lead to.
const SHORTEST: Duration = Duration::from_micros(1);

/// All sections that the loop scheduler reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// How many trips each request asks for. At least 1.
    pub trips: u32,
    /// Time from one tick to the next; with `closed_loop`, the pause after each answer.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// Trips a second: sets the period to `trips` / `rate`.
    pub rate: Option<f64>,
    /// Rise to the full rate within that time.
    #[serde(with = "humantime_serde")]
    pub ramp: Option<Duration>,
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
    /// Write what became of each tick to this file, one JSON object a line.
    pub timeline: Option<PathBuf>,
    /// Where `/health/*` and `/metrics` are served.
    pub listen: SocketAddr,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            trips: 3,
            period: Duration::from_millis(100),
            rate: None,
            ramp: None,
            closed_loop: false,
            overrun: Overrun::Overlap,
            queue_limit: 100,
            count: None,
            duration: None,
            report: None,
            timeline: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8004)),
        }
    }
}

impl LoopConfig {
    /// How long the run goes on.
    pub fn extent(&self) -> Extent {
        Extent { count: self.count, duration: self.duration }
    }

    /// The time from one tick to the next that `period` or `rate` ask for, to the nanosecond.
    pub fn effective_period(&self) -> Duration {
        let nanos = self.rate.map(|rate| (f64::from(self.trips) * 1e9 / rate).round());
        nanos.map_or(self.period, |nanos| Duration::from_nanos(nanos as u64))
    }

    /// The one job of this scheduler.
    pub(crate) fn job(&self) -> Job {
        Job {
            name: "loop".to_owned(),
            schedule: self.in_words(),
            overrun: self.overrun,
            queue_limit: self.queue_limit,
        }
    }

    /// The schedule in words, for the log and the report.
    pub fn in_words(&self) -> String {
        let period = humantime::format_duration(self.effective_period());
        if self.closed_loop {
            return format!("{} trips, then {period} after each answer", self.trips);
        }
        let ramp = self.ramp.map_or_else(String::new, |ramp| {
            format!(", rising for {}", humantime::format_duration(ramp))
        });
        format!("{} trips every {period}{ramp}, overrun: {}", self.trips, self.overrun)
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
        let LoopConfig { trips, rate, ramp, overrun, queue_limit, .. } = *config;
        let extent = config.extent();
        RunLoad { trips, rate, ramp, overrun, queue_limit, extent }.validate("scheduler_loop")?;
        self.client.validate_end("scheduler_loop", extent)?;
        let invalid = |key: &str, reason: &str| {
            let key = format!("scheduler_loop.{key}");
            Err(ConfigError::Invalid { key, reason: reason.to_owned() })
        };
        if config.period.is_zero() {
            return invalid("period", "must be more than zero, such as 100ms");
        }
        if rate.is_some() && config.effective_period() < SHORTEST {
            return invalid("rate", "is more than a million requests a second; ask for more trips");
        }
        if config.closed_loop && (rate.is_some() || ramp.is_some()) {
            let key = if rate.is_some() { "rate" } else { "ramp" };
            return invalid(key, "a closed loop has no rate of its own: it waits for answers");
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

    #[test]
    fn a_rate_of_trips_sets_the_period() {
        for (trips, rate, want) in [
            (3, 30.0, "3 trips every 100ms, overrun: overlap"),
            (1, 0.5, "1 trips every 2s, overrun: overlap"),
            (10, 3.0, "10 trips every 3s 333ms 333us 333ns, overrun: overlap"),
            (1, 300_000.0, "1 trips every 3us 333ns, overrun: overlap"),
            (3, 700_000.0, "3 trips every 4us 286ns, overrun: overlap"),
            (1, 1e6, "1 trips every 1us, overrun: overlap"),
        ] {
            let mut settings = LoopSettings::default();
            settings.scheduler_loop.trips = trips;
            settings.scheduler_loop.rate = Some(rate);
            settings.validate().unwrap();
            assert_eq!(settings.scheduler_loop.in_words(), want);
        }
    }

    #[test]
    fn a_load_that_cannot_be_is_refused_by_its_key() {
        let refuse = |change: fn(&mut LoopSettings)| {
            let mut settings = LoopSettings::default();
            change(&mut settings);
            settings.validate().unwrap_err().to_string()
        };
        for (got, want) in [
            (refuse(|s| s.scheduler_loop.rate = Some(0.0)), "rate\": must be a number"),
            (refuse(|s| s.scheduler_loop.rate = Some(f64::NAN)), "rate\": must be a number"),
            (refuse(|s| s.scheduler_loop.rate = Some(4e6)), "rate\": is more than a million"),
            (refuse(|s| s.scheduler_loop.ramp = Some(Duration::ZERO)), "ramp\": must be more"),
            (
                refuse(|s| {
                    s.scheduler_loop.closed_loop = true;
                    s.scheduler_loop.rate = Some(1.0);
                }),
                "rate\": a closed loop has no rate",
            ),
            (
                refuse(|s| s.client.until_joined = Some(Duration::from_secs(1))),
                "the run needs an end: set scheduler_loop.count or scheduler_loop.duration",
            ),
        ] {
            assert!(got.contains(want), "{got}");
        }
    }
}
