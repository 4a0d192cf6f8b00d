//! How many trips a firing asks for: a fixed number, or what a rate makes due since the firing before; less while the
//! load rises. A pure function of time.

use std::time::Duration;

/// The load of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FiringLoad {
    /// Trips of a firing, unless there is a rate.
    pub(crate) trips: u32,
    /// Trips a second.
    pub(crate) rate: Option<f64>,
    /// How long the load rises to its full height.
    pub(crate) ramp: Duration,
}

impl FiringLoad {
    /// Trips of the firing at `to`, the one before having been at `from`; both counted from one interval before the
    /// first firing, so that this one has its share as well. At least 1.
    pub(crate) fn trips(&self, from: Duration, to: Duration) -> u32 {
        let trips = match self.rate {
            // Each firing rounds the sum, not its share, so that no error adds up.
            Some(rate) => {
                (rate * self.height_times(to)).round() - (rate * self.height_times(from)).round()
            }
            None => (f64::from(self.trips) * self.height(to)).round(),
        };
        (trips as u32).max(1)
    }

    /// How high the load is at `at`, from 0 to 1.
    fn height(&self, at: Duration) -> f64 {
        if at < self.ramp { at.as_secs_f64() / self.ramp.as_secs_f64() } else { 1.0 }
    }

    /// The height summed up over time, in seconds.
    fn height_times(&self, until: Duration) -> f64 {
        let (until, ramp) = (until.as_secs_f64(), self.ramp.as_secs_f64());
        if until < ramp { until * until / (2.0 * ramp) } else { until - ramp / 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trips of the first firings, 3 s apart.
    fn firings<const N: usize>(rate: Option<f64>, ramp_s: u64) -> [u32; N] {
        let load = FiringLoad { trips: 30, rate, ramp: Duration::from_secs(ramp_s) };
        let at = |k: usize| Duration::from_secs(3 * k as u64);
        std::array::from_fn(|k| load.trips(at(k), at(k + 1)))
    }

    #[test]
    fn a_load_is_fixed_or_follows_a_rate_and_rises_with_a_ramp() {
        assert_eq!(firings(None, 0), [30, 30, 30]);
        assert_eq!(firings(Some(10.0), 0), [30, 30, 30]);
        assert_eq!(firings(Some(0.5), 0), [2, 1, 2, 1, 2], "1.5 each, and no error adds up");
        assert_eq!(firings(Some(0.01), 0), [1, 1], "a firing that asks for nothing is none");
        assert_eq!(firings(None, 12), [8, 15, 23, 30, 30]);
        assert_eq!(firings(Some(10.0), 12), [4, 11, 19, 26, 30, 30]);
    }
}
