//! The two ways to pace a loop, as schedules for the driver.

use std::time::Duration;

use tokio::time::Instant;
use trip_client::{Due, Extent, Schedule, Tick};

use crate::Timeline;
use crate::alarm::Wake;

/// Fires on the timeline, whether answers come or not. A tick found overdue is handed out at once, with the instant it
/// was meant for: the load is what was asked for, and the delay shows as lag.
#[derive(Debug)]
pub(crate) struct OpenLoop<W> {
    wake: W,
    timeline: Timeline,
    trips: u32,
    extent: Extent,
    next: u64,
}

impl<W: Wake> OpenLoop<W> {
    /// Fires on `timeline`.
    pub(crate) fn new(wake: W, timeline: Timeline, trips: u32, extent: Extent) -> Self {
        Self { wake, timeline, trips, extent, next: 0 }
    }
}

impl<W: Wake + Send> Schedule for OpenLoop<W> {
    async fn next(&mut self) -> Option<Due> {
        let offset = self.timeline.offset(self.next)?;
        if !self.extent.admits(self.next, offset) {
            return None;
        }
        let due = self.timeline.due(self.next)?;
        self.wake.until(due).await;
        self.next += 1;
        Some(Due::Now(Tick { due, trips: self.trips, job: 0 }))
    }
}

/// Fires, waits for the answer, sleeps, fires: the course's `scheduler2`. The rate falls as answers get slower.
#[derive(Debug)]
pub(crate) struct ClosedLoop<W> {
    wake: W,
    start: Instant,
    pause: Duration,
    trips: u32,
    extent: Extent,
    fired: u64,
    /// When the next tick is due; `None` until the last one is answered.
    due: Option<Instant>,
}

impl<W: Wake> ClosedLoop<W> {
    /// Starts now.
    pub(crate) fn new(wake: W, pause: Duration, trips: u32, extent: Extent) -> Self {
        let start = Instant::now();
        Self { wake, start, pause, trips, extent, fired: 0, due: Some(start) }
    }
}

impl<W: Wake + Send> Schedule for ClosedLoop<W> {
    async fn next(&mut self) -> Option<Due> {
        let Some(due) = self.due else {
            // The driver asks again after it told of the answer; with the last tick fired, the schedule is over.
            return match self.extent.count {
                Some(count) if self.fired >= count => None,
                _ => std::future::pending().await,
            };
        };
        if !self.extent.admits(self.fired, due.duration_since(self.start)) {
            return None;
        }
        self.wake.until(due).await;
        self.due = None;
        self.fired += 1;
        Some(Due::Now(Tick { due, trips: self.trips, job: 0 }))
    }

    fn answered(&mut self, at: Instant) {
        self.due = Some(at + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::RuntimeTimer;

    const PERIOD: Duration = Duration::from_millis(100);

    fn extent(count: Option<u64>, duration_ms: Option<u64>) -> Extent {
        Extent { count, duration: duration_ms.map(Duration::from_millis) }
    }

    fn open_loop(extent: Extent) -> OpenLoop<RuntimeTimer> {
        let timeline = Timeline::new(Instant::now(), PERIOD, Duration::ZERO);
        OpenLoop::new(RuntimeTimer, timeline, 3, extent)
    }

    /// Takes all ticks, being busy for `busy_ms[k]` after tick k, and returns (due, taken) in milliseconds.
    async fn take(schedule: &mut impl Schedule, busy_ms: &[u64]) -> Vec<(u128, u128)> {
        let start = Instant::now();
        let mut ticks = Vec::new();
        while let Some(Due::Now(tick)) = schedule.next().await {
            let taken = Instant::now();
            ticks.push((
                tick.due.duration_since(start).as_millis(),
                taken.duration_since(start).as_millis(),
            ));
            let busy = busy_ms.get(ticks.len() - 1).copied().unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(busy)).await;
            schedule.answered(Instant::now());
        }
        ticks
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_delays_starts_but_shifts_no_due_time() {
        let mut pace = open_loop(extent(Some(7), None));
        let ticks = take(&mut pace, &[0, 350]).await;
        let want = [(0, 0), (100, 100), (200, 450), (300, 450), (400, 450), (500, 500), (600, 600)];
        assert_eq!(ticks, want);
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_ends_with_its_36000th_tick() {
        let mut pace = open_loop(extent(None, Some(3_600_000)));
        let ticks = take(&mut pace, &[]).await;
        assert_eq!(ticks.len(), 36_000);
        assert_eq!(ticks.last(), Some(&(3_599_900, 3_599_900)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tick_is_not_lost_when_the_driver_turns_to_something_else() {
        let mut pace = open_loop(extent(Some(2), None));
        assert!(pace.next().await.is_some());
        let interrupted = tokio::time::timeout(Duration::from_millis(30), pace.next()).await;
        assert!(interrupted.is_err());
        assert!(pace.next().await.is_some());
        assert_eq!(pace.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_sleeps_after_each_answer() {
        let mut pace = ClosedLoop::new(RuntimeTimer, PERIOD, 3, extent(Some(4), None));
        let ticks = take(&mut pace, &[0, 350, 20]).await;
        assert_eq!(ticks, [(0, 0), (100, 100), (550, 550), (670, 670)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_does_not_fire_before_the_answer_and_ends_by_time() {
        let mut pace = ClosedLoop::new(RuntimeTimer, PERIOD, 3, extent(None, Some(150)));
        assert!(pace.next().await.is_some());
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, pace.next()).await.is_err(), "no answer came yet");
        pace.answered(Instant::now());
        assert_eq!(pace.next().await, None, "the next would be due after the end");
    }
}
