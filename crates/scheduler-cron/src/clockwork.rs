//! `tokio-cron-scheduler` as the clockwork that fires.
//!
//! It gets one one-shot job at a time, for the calendar's next instant, instead of the cron expression or the interval
//! itself. Version 0.15 is not safe with those: it fixes a zone's offset when the job is made, so that all ticks after a
//! change of the clocks are an hour off; it cuts intervals to whole seconds, 500 ms to 0; and a repeated job that is once
//! late by more than its interval has a last tick after its next one and never fires again. What stays its own is the
//! polling each 500 ms, which shows as lag.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};
use tokio_cron_scheduler::job::JobCreator;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::{debug, warn};
use trip_client::{Due, Schedule, Tick};

use crate::calendar::Calendar;

/// The library polls each 500 ms; a job that has not fired so long after its time is lost.
const LOST_AFTER: TimeDelta = TimeDelta::seconds(5);
/// How often the wall clock is looked at while waiting: it may be set, and the machine may sleep.
const WATCH: Duration = Duration::from_secs(5);

/// What the library reports.
type Fired = Result<DateTime<Utc>, JobSchedulerError>;

/// The instant that is waited for. All of it outlives a call of [`Schedule::next`]: the driver drops one whenever it turns
/// to something else, many times in the time after which a job counts as lost.
#[derive(Debug)]
struct Armed {
    at: DateTime<Utc>,
    /// When the wall clock is looked at next.
    look: Instant,
    /// Whether the library has a job for it.
    wound: bool,
}

impl Armed {
    fn new(at: DateTime<Utc>) -> Self {
        Self { at, look: Instant::now() + WATCH, wound: true }
    }

    /// The library has no job for it: it is up to us to be on time.
    fn unwind(&mut self) {
        self.wound = false;
        self.set_look();
    }

    fn set_look(&mut self) {
        let left = (self.at - Utc::now()).to_std().unwrap_or_default();
        self.look = Instant::now() + if self.wound { WATCH } else { left.min(WATCH) };
    }

    /// Whether nothing is to be waited for any more.
    fn is_over(&self) -> bool {
        let patience = if self.wound { LOST_AFTER } else { TimeDelta::zero() };
        Utc::now() >= self.at + patience
    }
}

/// The calendars of all jobs, wound by the library.
pub(crate) struct Clockwork {
    scheduler: JobScheduler,
    calendars: Vec<Calendar>,
    /// The next instant of all calendars.
    armed: Option<Armed>,
    /// What has come due and is not handed out yet.
    due: VecDeque<Due>,
    fired: UnboundedReceiver<Fired>,
    report: UnboundedSender<Fired>,
}

impl Clockwork {
    /// Starts the library's own tasks.
    pub(crate) async fn start(calendars: Vec<Calendar>) -> Result<Self, JobSchedulerError> {
        let mut scheduler = JobScheduler::new().await?;
        scheduler.init().await?;
        scheduler.start().await?;
        let (report, fired) = unbounded_channel();
        Ok(Self { scheduler, calendars, armed: None, due: VecDeque::new(), fired, report })
    }

    /// Ends the library's polling.
    pub(crate) async fn stop(mut self) {
        if let Err(err) = self.scheduler.shutdown().await {
            debug!(%err, "tokio-cron-scheduler did not stop");
        }
    }

    /// Hands `at` to the library, in a task of its own: [`Schedule::next`] may be dropped at any time.
    fn arm(&mut self, at: DateTime<Utc>) {
        self.armed = Some(Armed::new(at));
        let context = self.scheduler.context();
        let report = self.report.clone();
        tokio::spawn(async move {
            let added = match one_shot(at, report.clone()) {
                Ok(job) => JobCreator::add(&context, job).await.map(drop),
                Err(err) => Err(err),
            };
            if let Err(err) = added {
                // The receiver is gone only when the run is over.
                let _ = report.send(Err(err));
            }
        });
    }

    /// Waits until the library fires for the instant that is armed, or should have.
    async fn wait(&mut self) {
        let Some(armed) = &mut self.armed else { return };
        loop {
            tokio::select! {
                fired = self.fired.recv() => match fired {
                    Some(Ok(instant)) if instant == armed.at => return,
                    // An earlier one, found late after it was given up.
                    Some(Ok(_)) => {}
                    Some(Err(err)) => {
                        warn!(%err, "tokio-cron-scheduler took no job; firing without it");
                        armed.unwind();
                    }
                    None => return,
                },
                () = sleep_until(armed.look) => {
                    if armed.is_over() {
                        if armed.wound {
                            warn!(due = %armed.at, "tokio-cron-scheduler lost a job; firing without it");
                        }
                        return;
                    }
                    armed.set_look();
                }
            }
        }
    }
}

impl Clockwork {
    /// Takes from all calendars what has come due by now.
    fn take(&mut self) {
        let now = Utc::now();
        for (job, calendar) in self.calendars.iter_mut().enumerate() {
            // None: it is not this job's instant, or the clock was set back between the library's look at it and ours.
            let Some(elapsed) = calendar.take(now) else { continue };
            if elapsed.missed > 0 {
                warn!(missed = elapsed.missed, "ticks passed unseen; only the last one fires");
                self.due.push_back(Due::Missed { job, ticks: elapsed.missed });
            }
            let ago = (now - elapsed.last).to_std().unwrap_or_default();
            let due = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
            self.due.push_back(Due::Now(Tick { due, trips: elapsed.trips, job }));
        }
    }
}

impl Schedule for Clockwork {
    async fn next(&mut self) -> Option<Due> {
        loop {
            if let Some(due) = self.due.pop_front() {
                return Some(due);
            }
            if self.armed.is_none() {
                let at = self.calendars.iter().filter_map(Calendar::next).min()?;
                self.arm(at);
            }
            self.wait().await;
            self.armed = None;
            self.take();
        }
    }
}

/// A job of the library that reports `at` once, when the wall clock has reached it.
fn one_shot(at: DateTime<Utc>, report: UnboundedSender<Fired>) -> Result<Job, JobSchedulerError> {
    let mut job = Job::new_one_shot(Duration::ZERO, move |_, _| {
        let _ = report.send(Ok(at));
    })?;
    // Its own arithmetic adds whole seconds to a rounded now.
    let mut data = job.job_data()?;
    data.next_tick = u64::try_from(at.timestamp()).map_err(|_| JobSchedulerError::NoNextTick)?;
    job.set_job_data(data)?;
    Ok(job)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono_tz::Tz;
    use tokio::time::timeout;
    use trip_client::Extent;

    use super::*;
    use crate::Timetable;
    use crate::load::FiringLoad;

    fn calendar(timetable: Timetable, count: u64, start: DateTime<Utc>) -> Calendar {
        let load = FiringLoad { trips: 30, rate: None, ramp: Duration::ZERO };
        let extent = Extent { count: Some(count), duration: None };
        Calendar::new(timetable, load, extent, start)
    }

    async fn clockwork(schedule: &str, count: u64, start: DateTime<Utc>) -> Clockwork {
        let timetable = Timetable::parse(schedule, Tz::UTC, start).unwrap();
        Clockwork::start(vec![calendar(timetable, count, start)]).await.unwrap()
    }

    async fn next(clockwork: &mut Clockwork) -> Option<Due> {
        timeout(Duration::from_secs(20), clockwork.next()).await.expect("a tick in time")
    }

    #[tokio::test]
    async fn ticks_come_after_their_instants_and_keep_their_distance() {
        let mut clockwork = clockwork("every 1s", 3, Utc::now()).await;
        let (mut passed, mut dues) = (0, Vec::new());
        while let Some(due) = next(&mut clockwork).await {
            match due {
                Due::Now(tick) => {
                    assert!(tick.due <= Instant::now());
                    dues.push((passed, tick.due));
                    passed += 1;
                }
                // A machine that stalls for a second: counted, and no reason to fail.
                Due::Missed { ticks, .. } => passed += ticks,
            }
        }
        assert_eq!(passed, 3);
        for pair in dues.windows(2) {
            let [(m, before), (n, due)] = pair else { unreachable!("windows of two") };
            let distance = *due - *before;
            let seconds = Duration::from_secs(n - m);
            assert!(distance + Duration::from_millis(100) >= seconds, "{distance:?}");
        }
    }

    #[tokio::test]
    async fn instants_that_passed_while_the_machine_slept_are_missed_but_the_last() {
        // The sixth instant is 5 minutes ago and the seventh 5 minutes ahead: no second more or less matters.
        let start = Utc::now() - TimeDelta::minutes(55);
        let mut clockwork = clockwork("every 600s", 7, start).await;
        assert_eq!(next(&mut clockwork).await, Some(Due::Missed { job: 0, ticks: 5 }));
        let Some(Due::Now(tick)) = next(&mut clockwork).await else { panic!("the last one fires") };
        assert!(tick.due.elapsed() > Duration::from_secs(250));
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_loses_no_tick() {
        let mut clockwork = clockwork("every 1s", 1, Utc::now()).await;
        for _ in 0..3 {
            let dropped = timeout(Duration::from_millis(1), clockwork.next()).await;
            if let Ok(due) = dropped {
                assert!(matches!(due, Some(Due::Now(_))), "{due:?}");
                return;
            }
        }
        assert!(matches!(next(&mut clockwork).await, Some(Due::Now(_))));
        assert_eq!(next(&mut clockwork).await, None);
    }

    /// Asks again and again, as the driver does, until there is a tick; returns how often it asked in vain.
    async fn insist(clockwork: &mut Clockwork, turn: Duration) -> (usize, Option<Due>) {
        for turns in 0..1_000 {
            if let Ok(due) = timeout(turn, clockwork.next()).await {
                return (turns, due);
            }
        }
        panic!("no tick came");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_job_is_missed_in_time_also_by_a_driver_that_turns_to_other_things() {
        let start = Utc::now() - TimeDelta::minutes(5);
        let mut clockwork = clockwork("every 600s", 1, start).await;
        // Five minutes ago, and nobody told the library.
        clockwork.armed = clockwork.calendars[0].next().map(Armed::new);
        let (turns, due) = insist(&mut clockwork, Duration::from_millis(200)).await;
        assert!(matches!(due, Some(Due::Now(_))), "{due:?}");
        assert!((20..=30).contains(&turns), "{turns} turns of 200 ms");
    }

    #[tokio::test]
    async fn a_job_that_the_library_refuses_fires_without_it() {
        let mut clockwork = clockwork("every 1s", 1, Utc::now()).await;
        clockwork.armed = clockwork.calendars[0].next().map(Armed::new);
        let at = clockwork.calendars[0].next().unwrap();
        clockwork.report.send(Err(JobSchedulerError::NoNextTick)).unwrap();
        // More turns than it takes, but fewer than until a lost job is missed.
        for _ in 0..150 {
            if let Ok(due) = timeout(Duration::from_millis(20), clockwork.next()).await {
                assert!(matches!(due, Some(Due::Now(_))), "{due:?}");
                assert!(Utc::now() >= at);
                return;
            }
        }
        panic!("no tick came");
    }

    #[tokio::test]
    async fn jobs_fire_each_at_its_own_instants() {
        let start = Utc::now();
        let calendars = [("every 1s", 3), ("every 2s", 2)].map(|(schedule, count)| {
            calendar(Timetable::parse(schedule, Tz::UTC, start).unwrap(), count, start)
        });
        let mut clockwork = Clockwork::start(calendars.into()).await.unwrap();
        let mut ticks = [0, 0];
        while let Some(due) = next(&mut clockwork).await {
            match due {
                Due::Now(tick) => ticks[tick.job] += 1,
                Due::Missed { job, ticks: missed } => ticks[job] += missed,
            }
        }
        assert_eq!(ticks, [3, 2]);
    }
}
