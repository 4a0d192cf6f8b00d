//! The settings that both schedulers' sections have in common, checked.

use std::time::Duration;

use service::ConfigError;

use crate::admission::Overrun;
use crate::schedule::Extent;

/// The most ticks that a queue may hold, whatever the configuration says.
const MAX_QUEUE: usize = 1_000_000;

/// What a run asks for: the keys that the sections of both schedulers share.
#[derive(Debug, Clone, Copy)]
pub struct RunLoad {
    /// Trips of a request.
    pub trips: u32,
    /// Trips a second.
    pub rate: Option<f64>,
    /// How long the load rises.
    pub ramp: Option<Duration>,
    /// What becomes of ticks that are due while requests run.
    pub overrun: Overrun,
    /// How many ticks may wait.
    pub queue_limit: usize,
    /// How long the run goes on.
    pub extent: Extent,
}

impl RunLoad {
    /// Checks what the types can't say; `section` is the name for messages.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key.
    pub fn validate(&self, section: &str) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: String| {
            Err(ConfigError::Invalid { key: format!("{section}.{key}"), reason })
        };
        if self.trips == 0 {
            return invalid("trips", "must be at least 1".to_owned());
        }
        if self.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return invalid("rate", "must be a number of trips a second, more than 0".to_owned());
        }
        if self.ramp.is_some_and(|ramp| ramp.is_zero()) {
            return invalid("ramp", "must be more than zero, such as 10s".to_owned());
        }
        let queue_limit = self.queue_limit;
        if self.overrun == Overrun::Queue && !(1..=MAX_QUEUE).contains(&queue_limit) {
            let reason = format!("must be from 1 to {MAX_QUEUE}, not {queue_limit}");
            return invalid("queue_limit", reason);
        }
        if self.extent.count == Some(0) {
            return invalid("count", "must be at least 1".to_owned());
        }
        if self.extent.duration.is_some_and(|duration| duration.is_zero()) {
            return invalid("duration", "must be more than zero".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_of_nothing_is_refused_by_name() {
        let check = |trips, queue_limit, count, seconds: Option<u64>| {
            let extent = Extent { count, duration: seconds.map(Duration::from_secs) };
            let (rate, ramp, overrun) = (None, None, Overrun::Queue);
            RunLoad { trips, rate, ramp, overrun, queue_limit, extent }
                .validate("s")
                .map_or_else(|err| err.to_string(), |()| "ok".to_owned())
        };
        assert_eq!(check(1, 1, Some(1), Some(1)), "ok");
        assert_eq!(check(0, 1, None, None), "configuration key \"s.trips\": must be at least 1");
        assert_eq!(
            check(1, 0, None, None),
            "configuration key \"s.queue_limit\": must be from 1 to 1000000, not 0"
        );
        assert_eq!(check(1, 1, Some(0), None), "configuration key \"s.count\": must be at least 1");
        assert_eq!(
            check(1, 1, None, Some(0)),
            "configuration key \"s.duration\": must be more than zero"
        );
    }
}
