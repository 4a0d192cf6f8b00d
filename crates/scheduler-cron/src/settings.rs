//! The settings of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use service::{ConfigError, LogConfig, Settings, ShutdownConfig};
use trip_client::{ClientConfig, Extent, Job, Overrun, RunLoad};

use crate::load::FiringLoad;
use crate::timetable::{Timetable, TimetableError, zone};

/// All sections that the cron scheduler reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CronConfig {
    /// How many trips each request asks for. At least 1.
    pub trips: u32,
    /// A cron expression of six fields, seconds first (`*/5 * * * * *`), or an interval of whole seconds (`every 3s`).
    pub schedule: String,
    /// Whose clocks a cron expression means: a name of the IANA database, such as `Europe/Paris`.
    pub time_zone: String,
    /// Trips a second: each firing asks for what came due since the one before, instead of `trips`.
    pub rate: Option<f64>,
    /// Rise to the full load within that time.
    #[serde(with = "humantime_serde")]
    pub ramp: Option<Duration>,
    /// What becomes of a tick that is due while earlier requests run.
    pub overrun: Overrun,
    /// How many ticks may wait with `overrun = "queue"`.
    pub queue_limit: usize,
    /// Stop after that many ticks of each job.
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
    /// Several jobs at once, in place of `schedule`. What one leaves out is as said above.
    pub jobs: Vec<CronJob>,
}

/// One of `[[scheduler_cron.jobs]]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronJob {
    /// Its name in the report; no two jobs share one.
    pub name: String,
    /// As `schedule` of the section.
    pub schedule: String,
    /// As `trips` of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trips: Option<u32>,
    /// As `rate` of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// As `time_zone` of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// As `overrun` of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrun: Option<Overrun>,
    /// As `queue_limit` of the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<usize>,
}

impl Default for CronConfig {
    fn default() -> Self {
        Self {
            trips: 30,
            schedule: "every 3s".to_owned(),
            time_zone: "UTC".to_owned(),
            rate: None,
            ramp: None,
            overrun: Overrun::Skip,
            queue_limit: 100,
            count: None,
            duration: None,
            report: None,
            timeline: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8003)),
            jobs: Vec::new(),
        }
    }
}

impl CronConfig {
    /// How long the run goes on.
    pub fn extent(&self) -> Extent {
        Extent { count: self.count, duration: self.duration }
    }

    /// The jobs, each with all that it leaves to the section filled in. Without any, the section itself is one.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key, if one can't be followed or two have the same name.
    pub(crate) fn entries(&self) -> Result<Vec<ReadyJob>, ConfigError> {
        if self.jobs.is_empty() {
            let whole = CronJob {
                name: "cron".to_owned(),
                schedule: self.schedule.clone(),
                ..CronJob::default()
            };
            return Ok(vec![self.entry("scheduler_cron", &whole)?]);
        }
        if self.schedule != Self::default().schedule {
            let reason = "there are scheduler_cron.jobs, which take its place: give one of the two";
            return Err(invalid("scheduler_cron", "schedule", reason));
        }
        for (index, job) in self.jobs.iter().enumerate() {
            let has_twin = self.jobs[..index].iter().any(|other| other.name == job.name);
            if job.name.is_empty() || has_twin {
                let place = format!("scheduler_cron.jobs[{index}]");
                let reason = format!("each job needs a name of its own, not {:?}", job.name);
                return Err(invalid(&place, "name", reason));
            }
        }
        self.jobs
            .iter()
            .map(|job| self.entry(&format!("scheduler_cron.jobs[{}]", job.name), job))
            .collect()
    }

    fn entry(&self, place: &str, job: &CronJob) -> Result<ReadyJob, ConfigError> {
        let (trips, overrun) =
            (job.trips.unwrap_or(self.trips), job.overrun.unwrap_or(self.overrun));
        // A job's own number of trips goes before the rate of all.
        let rate = job.rate.or_else(|| self.rate.filter(|_| job.trips.is_none()));
        let queue_limit = job.queue_limit.unwrap_or(self.queue_limit);
        let extent = self.extent();
        RunLoad { trips, rate, ramp: self.ramp, overrun, queue_limit, extent }.validate(place)?;

        let refused =
            |key: &'static str| move |err: TimetableError| invalid(place, key, err.to_string());
        let time_zone = job.time_zone.as_deref().unwrap_or(&self.time_zone);
        let zone = zone(time_zone).map_err(refused("time_zone"))?;
        let timetable =
            Timetable::parse(&job.schedule, zone, Utc::now()).map_err(refused("schedule"))?;
        let amount = match rate {
            Some(rate) => format!("{rate} trips a second"),
            None => format!("{trips} trips"),
        };
        let ramp = self.ramp.map_or_else(String::new, |ramp| {
            format!(", rising for {}", humantime::format_duration(ramp))
        });
        let schedule =
            format!("{amount}, {} ({time_zone}){ramp}, overrun: {overrun}", job.schedule);
        Ok(ReadyJob {
            timetable,
            load: FiringLoad { trips, rate, ramp: self.ramp.unwrap_or_default() },
            job: Job { name: job.name.clone(), schedule, overrun, queue_limit },
        })
    }
}

/// One job, ready to run.
#[derive(Debug)]
pub(crate) struct ReadyJob {
    pub(crate) timetable: Timetable,
    pub(crate) load: FiringLoad,
    pub(crate) job: Job,
}

fn invalid(place: &str, key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key: format!("{place}.{key}"), reason: reason.into() }
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
        self.client.validate_end("scheduler_cron", config.extent())?;
        config.entries().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_course() {
        let settings = CronSettings::default();
        settings.validate().unwrap();
        let [entry] = &settings.scheduler_cron.entries().unwrap()[..] else { panic!("one job") };
        assert_eq!(entry.job.schedule, "30 trips, every 3s (UTC), overrun: skip");
        assert_eq!(entry.timetable, Timetable::Every { seconds: 3 });
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

    fn job(name: &str, schedule: &str) -> CronJob {
        CronJob { name: name.to_owned(), schedule: schedule.to_owned(), ..CronJob::default() }
    }

    #[test]
    fn jobs_take_from_the_section_what_they_leave_out() {
        let config = CronConfig {
            rate: Some(10.0),
            jobs: vec![
                CronJob {
                    trips: Some(100),
                    time_zone: Some("Europe/Paris".to_owned()),
                    overrun: Some(Overrun::Overlap),
                    ..job("rush", "0 0 8 * * Mon-Fri")
                },
                job("base", "every 2s"),
            ],
            ..CronConfig::default()
        };
        let entries = config.entries().unwrap();
        let words: Vec<_> = entries.iter().map(|entry| &entry.job.schedule[..]).collect();
        let want = [
            "100 trips, 0 0 8 * * Mon-Fri (Europe/Paris), overrun: overlap",
            "10 trips a second, every 2s (UTC), overrun: skip",
        ];
        assert_eq!(words, want);
    }

    #[test]
    fn jobs_that_cannot_run_are_refused_by_their_name() {
        let refuse = |jobs: Vec<CronJob>| {
            CronConfig { jobs, ..CronConfig::default() }.entries().unwrap_err().to_string()
        };
        for (jobs, want) in [
            (vec![job("a", "every 0s")], "\"scheduler_cron.jobs[a].schedule\": \"every 0s\" is no"),
            (
                vec![CronJob { trips: Some(0), ..job("a", "every 1s") }],
                "\"scheduler_cron.jobs[a].trips\": must be at least 1",
            ),
            (
                vec![job("a", "every 1s"), job("a", "every 2s")],
                "\"scheduler_cron.jobs[1].name\": each job needs a name of its own, not \"a\"",
            ),
            (vec![job("", "every 1s")], "\"scheduler_cron.jobs[0].name\": each job needs a name"),
        ] {
            let error = refuse(jobs);
            assert!(error.contains(want), "{error}");
        }
        let both = CronConfig {
            schedule: "every 9s".to_owned(),
            jobs: vec![job("a", "every 1s")],
            ..CronConfig::default()
        };
        assert!(both.entries().unwrap_err().to_string().contains("give one of the two"));
    }
}
