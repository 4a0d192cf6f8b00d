//! The load driver: takes ticks from a schedule, keeps requests in flight, counts what became of each.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use service::Context;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, info, warn};

use crate::circuit::CircuitPass;
use crate::client::Sent;
use crate::outlook::{Note, Outlook};
use crate::progress::{RunProgress, RunStatus};
use crate::readiness::CHECK;
use crate::run_metrics::RunMetrics;
use crate::tick_log::Instants;
use crate::{
    Admission, AdmissionDecision, Counts, Due, JobReport, RequestFailure, RunFileError, RunPlan,
    RunReport, Schedule, SkipReason, Tick, TickLog, TickOutcome, TripClient,
};

/// A request that ended.
struct EndedRequest {
    tick: Tick,
    started: Instant,
    at: Instant,
    sent: Sent,
}

/// Drives the API until the schedule is over and every request ended, or until shutdown: then no tick starts any more,
/// requests in flight get [`RunPlan::drain`] to end, and the rest is cut off and counted. An API that does not answer is
/// no reason to stop. At the end it waits for the joiner, if the plan says so.
///
/// # Errors
///
/// If the log of ticks could not be written. The report is lost then, but not before the run is over.
pub async fn drive(
    client: &TripClient,
    schedule: &mut impl Schedule,
    mut plan: RunPlan,
    ctx: &Context,
) -> Result<RunReport, RunFileError> {
    let until_joined = plan.until_joined.take().map(|(joiner, limit)| (joiner.follow(), limit));
    let mut driver = Driver::new(client, plan, ctx);
    let period = driver.progress.period();
    let mut progress = interval_at(Instant::now() + period, period);
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
            _ = progress.tick() => driver.tell_progress(),
            Some(ended) = driver.requests.join_next_with_id() => {
                // A request neither panics nor is aborted before `stop`.
                let (id, ended) = ended.expect("a request runs to its end");
                schedule.answered(ended.at);
                driver.on_ended(id, &ended);
            }
            due = schedule.next(), if !over => match due {
                Some(due) => {
                    if !driver.on_due(due) {
                        schedule.answered(Instant::now());
                    }
                }
                None => over = true,
            },
        }
    }
    let mut report = driver.into_report()?;
    if let Some((following, limit)) = until_joined {
        let joiner = following.end().await;
        report.joined = Some(joiner.wait(report.counts.trips.confirmed, limit, ctx).await);
    }
    Ok(report)
}

struct Driver<'a> {
    client: &'a TripClient,
    ctx: &'a Context,
    plan: RunPlan,
    metrics: RunMetrics,
    admission: Admission<Tick>,
    requests: JoinSet<EndedRequest>,
    /// The requests that run, and since when.
    in_flight: HashMap<Id, (Tick, Instant)>,
    outlook: Outlook,
    progress: RunProgress,
    /// What each job has come to, in their order.
    jobs: Vec<JobReport>,
    began: Instant,
    started_at: SystemTime,
    /// The start lag of the first and of the last request.
    first_and_last_lag: Option<(Duration, Duration)>,
    /// The largest start lag since progress was last told.
    largest_lag: Duration,
    last_failure: Option<String>,
}

impl<'a> Driver<'a> {
    fn new(client: &'a TripClient, mut plan: RunPlan, ctx: &'a Context) -> Self {
        let began = Instant::now();
        if let Some(log) = &mut plan.tick_log {
            log.start_at(began);
        }
        ctx.health.set(CHECK, Err("no request has ended yet".to_owned()));
        info!(schedule = plan.schedule, endpoint = client.endpoint(), "sending requests for trips");
        let lanes = plan.jobs.iter().map(|job| (job.overrun, job.queue_limit));
        Self {
            client,
            ctx,
            metrics: RunMetrics::register(&ctx.metrics),
            admission: Admission::new(lanes, plan.max_in_flight),
            requests: JoinSet::new(),
            in_flight: HashMap::new(),
            outlook: Outlook::default(),
            progress: RunProgress::new(service::status::is_live(), began),
            jobs: plan.jobs.iter().map(JobReport::of).collect(),
            plan,
            began,
            started_at: SystemTime::now(),
            first_and_last_lag: None,
            largest_lag: Duration::ZERO,
            last_failure: None,
        }
    }

    /// Whether a request was started for it or will be; else it was skipped.
    fn on_due(&mut self, due: Due) -> bool {
        match due {
            Due::Now(tick) => {
                self.jobs[tick.job].counts.scheduled += 1;
                let Some(pass) = self.client.admit() else {
                    self.skip(SkipReason::CircuitOpen, tick.job, Some(tick.due), 1);
                    return false;
                };
                match self.admission.offer(tick.job, tick) {
                    AdmissionDecision::Start(tick) => self.start(tick, pass),
                    AdmissionDecision::Queued => self.client.give_back(pass),
                    AdmissionDecision::Skip(reason) => {
                        self.client.give_back(pass);
                        self.skip(reason, tick.job, Some(tick.due), 1);
                        return false;
                    }
                }
                true
            }
            Due::Missed { job, ticks } => {
                self.jobs[job].counts.scheduled += ticks;
                self.skip(SkipReason::Missed, job, None, ticks);
                false
            }
        }
    }

    fn skip(&mut self, reason: SkipReason, job: usize, due: Option<Instant>, ticks: u64) {
        debug!(reason = reason.as_str(), ticks, "skipped");
        self.jobs[job].counts.add_skips(reason, ticks);
        self.metrics.ticks(reason.as_str(), ticks);
        for _ in 0..ticks {
            let at = Instants { due, ..Instants::default() };
            self.log_tick(TickOutcome::Skipped, Some(reason.as_str()), job, at);
        }
    }

    fn log_tick(&mut self, outcome: TickOutcome, reason: Option<&str>, job: usize, at: Instants) {
        if let Some(log) = &mut self.plan.tick_log {
            let jobs = &self.plan.jobs;
            let job = (jobs.len() > 1).then(|| jobs[job].name.as_str());
            log.write(outcome, reason, job, at);
        }
    }

    fn start(&mut self, tick: Tick, pass: CircuitPass) {
        let started = Instant::now();
        let lag = started.saturating_duration_since(tick.due);
        let (first, _) = self.first_and_last_lag.unwrap_or((lag, lag));
        self.first_and_last_lag = Some((first, lag));
        self.largest_lag = self.largest_lag.max(lag);
        let job = &mut self.jobs[tick.job];
        job.lag.record(lag);
        job.counts.started += 1;
        job.counts.late += u64::from(lag > self.plan.late_after);
        job.counts.trips.requested += u64::from(tick.trips);
        self.metrics.ticks("started", 1);
        self.metrics.lag.observe(lag.as_secs_f64());

        let client = self.client.clone();
        let stop = self.ctx.shutdown.token();
        let request = self.requests.spawn(async move {
            let sent = client.generate(tick.trips, pass, &stop).await;
            EndedRequest { tick, started, at: Instant::now(), sent }
        });
        self.in_flight.insert(request.id(), (tick, started));
        self.show_in_flight();
    }

    fn on_ended(&mut self, id: Id, ended: &EndedRequest) {
        self.in_flight.remove(&id);
        self.count(ended);
        let mut job = ended.tick.job;
        while let Some(next) = self.admission.finish(job) {
            if let Some(pass) = self.client.admit() {
                self.start(next, pass);
                break;
            }
            // What waits in an outage would all be sent at its end.
            self.skip(SkipReason::CircuitOpen, next.job, Some(next.due), 1);
            job = next.job;
        }
        self.show_in_flight();
    }

    fn count(&mut self, EndedRequest { tick, started, at, sent }: &EndedRequest) {
        let failure = sent.outcome.as_ref().err();
        let reason = failure.map(RequestFailure::reason);
        let outcome = if failure.is_none() { TickOutcome::Ok } else { TickOutcome::Failed };
        let instants =
            Instants { due: Some(tick.due), started: Some(*started), finished: Some(*at) };
        self.log_tick(outcome, reason.as_deref(), tick.job, instants);

        let job = &mut self.jobs[tick.job];
        job.counts.retried += u64::from(sent.retries);
        self.metrics.retries.inc_by(u64::from(sent.retries));
        if let Some(failure) = failure {
            debug!(%failure, trips = tick.trips, retries = sent.retries, "request failed");
            job.counts.add_failure(failure, tick.trips);
            self.metrics.requests(&failure.reason(), 1);
            self.last_failure = Some(failure.to_string());
        } else {
            let latency = at.saturating_duration_since(tick.due);
            job.counts.succeeded += 1;
            job.counts.trips.confirmed += u64::from(tick.trips);
            job.latency.record(latency);
            job.service_time.record(at.saturating_duration_since(*started));
            self.metrics.requests("succeeded", 1);
            self.metrics.trips_confirmed.inc_by(u64::from(tick.trips));
            self.metrics.latency.observe(latency.as_secs_f64());
        }
        self.ctx.health.set(CHECK, failure.map_or(Ok(()), |failure| Err(failure.to_string())));
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
        let waiting = self.admission.drop_waiting();
        let dropped = waiting.len() as u64;
        for tick in waiting {
            self.jobs[tick.job].counts.dropped_at_shutdown += 1;
            let at = Instants { due: Some(tick.due), ..Instants::default() };
            self.log_tick(TickOutcome::Dropped, None, tick.job, at);
        }
        self.metrics.ticks("dropped_at_shutdown", dropped);
        let deadline = Instant::now() + self.plan.drain;
        if self.admission.running() > 0 {
            info!(in_flight = self.admission.running(), dropped, "waiting for the last answers");
        }
        while self.admission.running() > 0 {
            tokio::select! {
                biased;
                Some(ended) = self.requests.join_next_with_id() => {
                    let (id, ended) = ended.expect("a request runs to its end");
                    self.on_ended(id, &ended);
                }
                () = sleep_until(deadline) => return self.cut_off().await,
            }
        }
    }

    async fn cut_off(&mut self) {
        self.requests.abort_all();
        // Those that ended in the meantime are counted as what they are.
        while let Some(ended) = self.requests.join_next_with_id().await {
            if let Ok((id, ended)) = ended {
                self.on_ended(id, &ended);
            }
        }
        let (cut_off, now) = (self.in_flight.len() as u64, Instant::now());
        let mut trips = 0;
        for (tick, started) in std::mem::take(&mut self.in_flight).into_values() {
            let counts = &mut self.jobs[tick.job].counts;
            counts.cut_off += 1;
            counts.trips.uncertain += u64::from(tick.trips);
            trips += u64::from(tick.trips);
            let at = Instants { due: Some(tick.due), started: Some(started), finished: Some(now) };
            self.log_tick(TickOutcome::CutOff, None, tick.job, at);
        }
        self.metrics.requests("cut_off", cut_off);
        self.metrics.in_flight.set(0);
        warn!(requests = cut_off, trips, "cut off: the time for shutdown is over");
    }

    fn show_in_flight(&self) {
        self.metrics.in_flight.set(self.admission.running() as i64);
    }

    fn tell_progress(&mut self) {
        let mut counts = Counts::default();
        self.jobs.iter().for_each(|job| counts.merge(&job.counts));
        let standing = RunStatus {
            counts,
            in_flight: self.admission.running(),
            waiting: self.admission.waiting(),
            lag: std::mem::take(&mut self.largest_lag),
        };
        self.progress.tell(Instant::now(), &standing);
    }

    fn into_report(mut self) -> Result<RunReport, RunFileError> {
        let drift = self.first_and_last_lag;
        let report = RunReport {
            scheduler: self.plan.scheduler.to_owned(),
            schedule: std::mem::take(&mut self.plan.schedule),
            endpoint: self.client.endpoint().to_owned(),
            started_at: humantime::format_rfc3339_millis(self.started_at).to_string(),
            seconds: self.began.elapsed().as_secs_f64(),
            drift_ms: drift.map(|(first, last)| (last.as_secs_f64() - first.as_secs_f64()) * 1e3),
            last_failure: self.last_failure,
            ..RunReport::of_jobs(self.jobs)
        };
        if let Err(imbalance) = report.counts.balance() {
            // A mistake in the driver: say so rather than report wrong numbers in silence.
            tracing::error!("the counts do not add up: {imbalance}");
            debug_assert!(false, "the counts do not add up: {imbalance}");
        }
        self.plan.tick_log.take().map_or(Ok(()), TickLog::finish)?;
        Ok(report)
    }
}
