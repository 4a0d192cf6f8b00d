//! The run's place on its timetable: what is next, and what passed unseen. A state machine without a clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use trip_client::Extent;

use crate::Timetable;
use crate::load::FiringLoad;

/// What has become due since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed {
    /// The last instant that is due: the one to fire for.
    pub(crate) last: DateTime<Utc>,
    /// How many trips it asks for.
    pub(crate) trips: u32,
    /// How many before it passed unseen.
    pub(crate) missed: u64,
}

/// One job's run on its timetable.
#[derive(Debug)]
pub(crate) struct Calendar {
    timetable: Timetable,
    load: FiringLoad,
    extent: Extent,
    start: DateTime<Utc>,
    /// Where the load is counted from: one interval before the first instant.
    load_start: Option<DateTime<Utc>>,
    /// The last instant that was taken; before that, the start.
    last: DateTime<Utc>,
    taken: u64,
}

impl Calendar {
    pub(crate) fn new(
        timetable: Timetable,
        load: FiringLoad,
        extent: Extent,
        start: DateTime<Utc>,
    ) -> Self {
        let first = timetable.next(start, start);
        let second = first.and_then(|first| timetable.next(start, first));
        let load_start = first.map(|first| first - (second.unwrap_or(first) - first));
        Self { timetable, load, extent, start, load_start, last: start, taken: 0 }
    }

    /// The next instant; `None` when the run is over.
    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        let next = self.timetable.next(self.start, self.last)?;
        let offset = (next - self.start).to_std().unwrap_or_default();
        self.extent.admits(self.taken, offset).then_some(next)
    }

    /// Takes all instants up to `now`. A calendar does not catch up: after a long sleep one request is enough.
    pub(crate) fn take(&mut self, now: DateTime<Utc>) -> Option<Elapsed> {
        let mut elapsed = None::<Elapsed>;
        while let Some(next) = self.next().filter(|next| *next <= now) {
            let from = if self.taken == 0 { Duration::ZERO } else { self.load_time(self.last) };
            let trips = self.load.trips(from, self.load_time(next));
            self.last = next;
            self.taken += 1;
            let missed = elapsed.map_or(0, |elapsed| elapsed.missed + 1);
            elapsed = Some(Elapsed { last: next, trips, missed });
        }
        elapsed
    }

    fn load_time(&self, at: DateTime<Utc>) -> Duration {
        let since = self.load_start.map(|start| at - start);
        since.and_then(|since| since.to_std().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-22T{time}Z").parse().unwrap()
    }

    fn calendar(schedule: &str, extent: Extent) -> Calendar {
        let start = at("10:00:00");
        let timetable = Timetable::parse(schedule, Tz::UTC, start).unwrap();
        let load = FiringLoad { trips: 30, rate: None, ramp: Duration::ZERO };
        Calendar::new(timetable, load, extent, start)
    }

    #[test]
    fn each_instant_is_taken_once() {
        let mut calendar = calendar("*/10 * * * * *", Extent::default());
        assert_eq!(calendar.take(at("10:00:09.999")), None);
        assert_eq!(calendar.next(), Some(at("10:00:10")));
        let due = Elapsed { last: at("10:00:10"), trips: 30, missed: 0 };
        assert_eq!(calendar.take(at("10:00:10.400")), Some(due));
        assert_eq!(calendar.take(at("10:00:10.900")), None);
        assert_eq!(calendar.next(), Some(at("10:00:20")));
    }

    #[test]
    fn after_a_sleep_only_the_last_instant_fires_and_the_others_are_missed() {
        for schedule in ["*/10 * * * * *", "every 10s"] {
            let mut calendar = calendar(schedule, Extent::default());
            let first = calendar.next().unwrap();
            calendar.take(first);
            let missed = Elapsed {
                last: at("11:00:00"),
                trips: 30,
                missed: (at("11:00:00") - first).num_seconds() as u64 / 10 - 1,
            };
            assert_eq!(calendar.take(at("11:00:05")), Some(missed), "{schedule}");
            assert_eq!(calendar.next(), Some(at("11:00:10")), "{schedule}");
        }
    }

    #[test]
    fn a_run_ends_by_count_or_by_time() {
        let by_count = Extent { count: Some(2), duration: None };
        let by_time = Extent { count: None, duration: Some(Duration::from_secs(25)) };
        for extent in [by_count, by_time] {
            let mut calendar = calendar("*/10 * * * * *", extent);
            let taken = calendar.take(at("12:00:00"));
            assert_eq!(
                taken,
                Some(Elapsed { last: at("10:00:20"), trips: 30, missed: 1 }),
                "{extent:?}"
            );
            assert_eq!(calendar.next(), None);
        }
    }

    #[test]
    fn a_rate_gives_each_instant_its_share_the_first_included() {
        let start = at("10:00:00");
        let timetable = Timetable::parse("*/10 * * * * *", Tz::UTC, start).unwrap();
        let load = FiringLoad { trips: 1, rate: Some(2.0), ramp: Duration::from_secs(20) };
        let mut calendar = Calendar::new(timetable, load, Extent::default(), start);
        let trips: Vec<_> = ["10:00:10", "10:00:20", "10:00:30", "10:00:50"]
            .into_iter()
            .map(|now| calendar.take(at(now)).unwrap().trips)
            .collect();
        // The last one missed an instant: what that would have asked for is not caught up.
        assert_eq!(trips, [5, 15, 20, 20]);
    }
}
