//! What a run counts, and how the counts must add up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RequestFailure, SkipReason};

/// The counts of a run. When it is over, every tick and every request has exactly one fate ([`Counts::balance`]).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Ticks that came due.
    pub scheduled: u64,
    /// Ticks that became a request.
    pub started: u64,
    /// Ticks that never became a request, by the reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Ticks that waited in the queue when the run was stopped.
    pub dropped_at_shutdown: u64,
    /// Requests that were answered with exactly the trips asked for.
    pub succeeded: u64,
    /// Requests that failed, by the reason ([`RequestFailure::reason`]).
    pub failed: BTreeMap<String, u64>,
    /// Requests that still ran when the shutdown's time was over.
    pub cut_off: u64,
    /// Attempts beyond the first of each request.
    pub retried: u64,
    /// Requests that started later than `client.late_after` after their intended start.
    pub late: u64,
    /// Trips.
    pub trips: TripCounts,
}

/// Trips of a run. In Kafka are at least `confirmed` and at most `confirmed + uncertain`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripCounts {
    /// Asked for by the requests that started.
    pub requested: u64,
    /// In the answers of the requests that succeeded.
    pub confirmed: u64,
    /// Of requests that failed or were cut off after the API may have produced them.
    pub uncertain: u64,
}

impl Counts {
    /// All ticks that never became a request although the run went on.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// All requests that failed.
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds what another job or run has counted.
    pub fn merge(&mut self, other: &Counts) {
        self.scheduled += other.scheduled;
        self.started += other.started;
        self.dropped_at_shutdown += other.dropped_at_shutdown;
        self.succeeded += other.succeeded;
        self.cut_off += other.cut_off;
        self.retried += other.retried;
        self.late += other.late;
        for (reason, ticks) in &other.skipped {
            self.add_skips(*reason, *ticks);
        }
        for (reason, requests) in &other.failed {
            *self.failed.entry(reason.clone()).or_default() += requests;
        }
        self.trips.requested += other.trips.requested;
        self.trips.confirmed += other.trips.confirmed;
        self.trips.uncertain += other.trips.uncertain;
    }

    /// A request for `trips` trips that failed.
    pub(crate) fn add_failure(&mut self, failure: &RequestFailure, trips: u32) {
        *self.failed.entry(failure.reason().into_owned()).or_default() += 1;
        self.trips.uncertain += u64::from(failure.uncertain_trips(trips));
    }

    /// Ticks that were skipped.
    pub(crate) fn add_skips(&mut self, reason: SkipReason, ticks: u64) {
        *self.skipped.entry(reason).or_default() += ticks;
    }

    /// Checks that nothing is lost or counted twice. True only of a run that is over.
    ///
    /// # Errors
    ///
    /// The equation that does not hold, with its numbers.
    pub fn balance(&self) -> Result<(), String> {
        let (skipped, dropped) = (self.skipped_total(), self.dropped_at_shutdown);
        if self.scheduled != self.started + skipped + dropped {
            return Err(format!(
                "{} scheduled is not {} started + {skipped} skipped + {dropped} dropped",
                self.scheduled, self.started
            ));
        }
        let failed = self.failed_total();
        if self.started != self.succeeded + failed + self.cut_off {
            return Err(format!(
                "{} started is not {} succeeded + {failed} failed + {} cut off",
                self.started, self.succeeded, self.cut_off
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_too_few_or_too_many_breaks_the_balance() {
        let mut counts = Counts { scheduled: 5, started: 3, succeeded: 1, ..Counts::default() };
        counts.add_skips(SkipReason::Busy, 1);
        counts.dropped_at_shutdown = 1;
        counts.add_failure(&RequestFailure::Connect(String::new()), 3);
        counts.cut_off = 1;
        assert_eq!(counts.balance(), Ok(()));

        let lost = Counts { scheduled: 6, ..counts.clone() };
        assert_eq!(
            lost.balance().unwrap_err(),
            "6 scheduled is not 3 started + 1 skipped + 1 dropped"
        );
        let twice = Counts { succeeded: 2, ..counts };
        assert_eq!(
            twice.balance().unwrap_err(),
            "3 started is not 2 succeeded + 1 failed + 1 cut off"
        );
    }
}
