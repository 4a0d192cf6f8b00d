//! The load driver: takes ticks from a schedule, keeps requests in flight, counts what became of each.

use std::time::{Duration, SystemTime};

use service::{Context, ShutdownConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, info, warn};

use crate::meters::Meters;
use crate::outlook::{Note, Outlook};
use crate::{
    Admission, ClientConfig, Due, Overrun, Report, Schedule, Sent, SkipReason, Tick, TripClient,
    Verdict,
};

/// At most that often a line about progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// How much of the time for shutdown is kept for the report.
const REPORTING: Duration = Duration::from_secs(1);
/// The name of the readiness check.
const CHECK: &str = "api";

/// What [`drive`] needs to know besides the schedule.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which scheduler runs, for the report.
    pub scheduler: &'static str,
    /// Its schedule in words, for the report.
    pub schedule: String,
    /// What becomes of ticks that are due while requests run.
    pub overrun: Overrun,
    /// How many ticks may wait under [`Overrun::Queue`].
    pub queue_limit: usize,
    /// How many requests may run at once.
    pub max_in_flight: usize,
    /// A request that starts later than this after its intended start counts as late.
    pub late_after: Duration,
    /// How long requests in flight may still take once shutdown is asked for.
    pub drain: Duration,
}

impl Plan {
    /// A plan for `scheduler` (its name) with a schedule in words, and `[client]` and `[shutdown]` of its settings.
    ///
    /// The drain ends a tenth (at most a second) before the service would be cut off as a whole, so that the report
    /// is still written.
    pub fn new(
        scheduler: &'static str,
        schedule: String,
        (overrun, queue_limit): (Overrun, usize),
        client: &ClientConfig,
        shutdown: &ShutdownConfig,
    ) -> Self {
        Self {
            scheduler,
            schedule,
            overrun,
            queue_limit,
            max_in_flight: client.max_in_flight,
            late_after: client.late_after,
            drain: shutdown.timeout.saturating_sub((shutdown.timeout / 10).min(REPORTING)),
        }
    }
}

/// A request that ended.
struct Ended {
    tick: Tick,
    started: Instant,
    at: Instant,
    sent: Sent,
}

/// Drives the API until the schedule is over and every request ended, or until shutdown: then no tick starts any more,
/// requests in flight get [`Plan::drain`] to end, and the rest is cut off and counted. An API that does not answer is
/// no reason to stop.
pub async fn drive(
    client: &TripClient,
    schedule: &mut impl Schedule,
    plan: Plan,
    ctx: &Context,
) -> Report {
    let mut driver = Driver::new(client, plan, ctx);
    let mut progress = interval_at(Instant::now() + PROGRESS, PROGRESS);
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over = false;
    while !over || driver.admission.running() > 0 {
        tokio::select! {
            // In this order: stop first; free places before they are asked for; new ticks last.
            biased;
            () = ctx.shutdown.wait() => {
                driver.stop().await;
                break;
            }
            _ = progress.tick() => driver.log_progress(),
            Some(ended) = driver.requests.join_next() => {
                // A request neither panics nor is aborted before `stop`.
                let ended = ended.expect("a request runs to its end");
                schedule.answered(ended.at);
                driver.on_ended(&ended);
            }
            due = schedule.next(), if !over => match due {
                Some(due) => driver.on_due(due),
                None => over = true,
            },
        }
    }
    driver.into_report()
}

struct Driver<'a> {
    client: &'a TripClient,
    ctx: &'a Context,
    plan: Plan,
    meters: Meters,
    admission: Admission<Tick>,
    requests: JoinSet<Ended>,
    outlook: Outlook,
    report: Report,
    began: Instant,
    /// Asked for by the requests that run.
    trips_in_flight: u64,
    /// How many ticks were scheduled and requests had ended when progress was last logged.
    logged: (u64, u64),
}

impl<'a> Driver<'a> {
    fn new(client: &'a TripClient, plan: Plan, ctx: &'a Context) -> Self {
        ctx.health.set(CHECK, Err("no request has ended yet".to_owned()));
        info!(schedule = plan.schedule, endpoint = client.endpoint(), "sending requests for trips");
        Self {
            client,
            ctx,
            meters: Meters::register(&ctx.metrics),
            admission: Admission::new(plan.overrun, plan.queue_limit, plan.max_in_flight),
            requests: JoinSet::new(),
            outlook: Outlook::default(),
            report: Report {
                scheduler: plan.scheduler.to_owned(),
                schedule: plan.schedule.clone(),
                endpoint: client.endpoint().to_owned(),
                started_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
                seconds: 0.0,
                counts: crate::Counts::default(),
                lag: crate::Timings::default(),
                latency: crate::Timings::default(),
                service_time: crate::Timings::default(),
            },
            plan,
            began: Instant::now(),
            trips_in_flight: 0,
            logged: (0, 0),
        }
    }

    fn on_due(&mut self, due: Due) {
        match due {
            Due::Now(tick) => {
                self.report.counts.scheduled += 1;
                match self.admission.offer(tick) {
                    Verdict::Start(tick) => self.start(tick),
                    Verdict::Queued => {}
                    Verdict::Skip(reason) => self.skip(reason, 1),
                }
            }
            Due::Missed(ticks) => {
                self.report.counts.scheduled += ticks;
                self.skip(SkipReason::Missed, ticks);
            }
        }
    }

    fn skip(&mut self, reason: SkipReason, ticks: u64) {
        debug!(reason = reason.as_str(), ticks, "skipped");
        self.report.counts.add_skips(reason, ticks);
        self.meters.ticks(reason.as_str(), ticks);
    }

    fn start(&mut self, tick: Tick) {
        let started = Instant::now();
        let lag = started.saturating_duration_since(tick.due);
        self.report.lag.record(lag);
        let counts = &mut self.report.counts;
        counts.started += 1;
        counts.late += u64::from(lag > self.plan.late_after);
        counts.trips.requested += u64::from(tick.trips);
        self.trips_in_flight += u64::from(tick.trips);
        self.meters.ticks("started", 1);
        self.meters.lag.observe(lag.as_secs_f64());

        let client = self.client.clone();
        let stop = self.ctx.shutdown.token();
        self.requests.spawn(async move {
            let sent = client.generate(tick.trips, &stop).await;
            Ended { tick, started, at: Instant::now(), sent }
        });
        self.show_in_flight();
    }

    fn on_ended(&mut self, ended: &Ended) {
        self.trips_in_flight -= u64::from(ended.tick.trips);
        self.count(ended);
        if let Some(next) = self.admission.finish() {
            self.start(next);
        }
        self.show_in_flight();
    }

    fn count(&mut self, Ended { tick, started, at, sent }: &Ended) {
        let counts = &mut self.report.counts;
        counts.retried += u64::from(sent.retries);
        self.meters.retries.inc_by(u64::from(sent.retries));
        match &sent.outcome {
            Ok(()) => {
                let latency = at.saturating_duration_since(tick.due);
                counts.succeeded += 1;
                counts.trips.confirmed += u64::from(tick.trips);
                self.report.latency.record(latency);
                self.report.service_time.record(at.saturating_duration_since(*started));
                self.meters.requests("succeeded", 1);
                self.meters.trips_confirmed.inc_by(u64::from(tick.trips));
                self.meters.latency.observe(latency.as_secs_f64());
            }
            Err(failure) => {
                debug!(%failure, trips = tick.trips, retries = sent.retries, "request failed");
                counts.add_failure(failure, tick.trips);
                self.meters.requests(&failure.reason(), 1);
            }
        }
        let failure = sent.outcome.as_ref().err();
        self.ctx.health.set(CHECK, failure.map_or(Ok(()), |failure| Err(failure.to_string())));
        let reason = failure.map(crate::Failure::reason);
        match self.outlook.observe(reason.as_deref(), *at) {
            None => {}
            Some(Note::Answers) => info!("the API answers"),
            Some(Note::Fails) => {
                let failure = failure.map(ToString::to_string).unwrap_or_default();
                warn!(failure, "requests fail; going on, failures are counted");
            }
        }
    }

    /// Gives up the ticks that wait, and the requests that don't end within the drain.
    async fn stop(&mut self) {
        let dropped = self.admission.drop_waiting();
        self.report.counts.dropped_at_shutdown = dropped;
        self.meters.ticks("dropped_at_shutdown", dropped);
        let deadline = Instant::now() + self.plan.drain;
        if self.admission.running() > 0 {
            info!(in_flight = self.admission.running(), dropped, "waiting for the last answers");
        }
        while self.admission.running() > 0 {
            tokio::select! {
                biased;
                Some(ended) = self.requests.join_next() => {
                    self.on_ended(&ended.expect("a request runs to its end"));
                }
                () = sleep_until(deadline) => return self.cut_off().await,
            }
        }
    }

    async fn cut_off(&mut self) {
        self.requests.abort_all();
        let mut cut_off = 0;
        // Those that ended in the meantime are counted as what they are.
        while let Some(ended) = self.requests.join_next().await {
            match ended {
                Ok(ended) => self.on_ended(&ended),
                Err(_) => cut_off += 1,
            }
        }
        let trips = self.trips_in_flight;
        self.report.counts.cut_off = cut_off;
        self.report.counts.trips.uncertain += trips;
        self.meters.requests("cut_off", cut_off);
        self.meters.in_flight.set(0);
        warn!(requests = cut_off, trips, "cut off: the time for shutdown is over");
    }

    fn show_in_flight(&self) {
        self.meters.in_flight.set(self.admission.running() as i64);
    }

    /// One line, unless nothing happened since the last.
    fn log_progress(&mut self) {
        let counts = &self.report.counts;
        let now = (counts.scheduled, counts.succeeded + counts.failed_total());
        if now == self.logged {
            return;
        }
        self.logged = now;
        info!(
            scheduled = counts.scheduled,
            in_flight = self.admission.running(),
            waiting = self.admission.waiting(),
            succeeded = counts.succeeded,
            failed = counts.failed_total(),
            skipped = counts.skipped_total(),
            trips = counts.trips.confirmed,
            "progress"
        );
    }

    fn into_report(mut self) -> Report {
        self.report.seconds = self.began.elapsed().as_secs_f64();
        if let Err(imbalance) = self.report.counts.balance() {
            // A mistake in the driver: say so rather than report wrong numbers in silence.
            tracing::error!("the counts do not add up: {imbalance}");
            debug_assert!(false, "the counts do not add up: {imbalance}");
        }
        self.report
    }
}
