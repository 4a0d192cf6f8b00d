//! The cron scheduler as a library, against a stand-in of the API. Its clock counts in whole seconds, so these take some.

#[path = "../../trip-client/tests/fake_api/mod.rs"]
mod fake_api;

use std::time::Duration;

use fake_api::{FakeApi, OK, Reply, refused_url, until, within};
use scheduler_cron::{CronJob, CronSettings, run};
use service::Context;
use trip_client::{RunReport, SkipReason};

fn settings(url: &str, schedule: &str) -> CronSettings {
    let mut settings = CronSettings::default();
    url.clone_into(&mut settings.client.url);
    settings.client.retries = 0;
    schedule.clone_into(&mut settings.scheduler_cron.schedule);
    settings
}

#[tokio::test]
async fn each_instant_becomes_a_request_for_30_trips() {
    for schedule in ["every 1s", "* * * * * *"] {
        let api = FakeApi::start(|_| OK);
        let mut settings = settings(&api.url, schedule);
        settings.scheduler_cron.count = Some(2);
        let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
        report.counts.balance().unwrap();
        report.verdict().unwrap();
        assert_eq!(report.counts.scheduled, 2, "{schedule}");
        assert_eq!(report.counts.trips.confirmed, 30 * report.counts.succeeded, "{schedule}");
        assert_eq!(api.trips() as u64, report.counts.trips.confirmed, "{schedule}");
    }
}

#[tokio::test]
async fn a_tick_is_skipped_while_the_request_before_it_runs() {
    let api = FakeApi::start(|_| Reply::Held);
    let ctx = Context::new("test");
    let watch = async {
        until("a tick was skipped", || ctx.metrics.encode().contains("outcome=\"busy\"")).await;
        api.release();
        ctx.shutdown.trigger();
    };
    let run = within("the run", run(settings(&api.url, "every 1s"), ctx.clone()));
    let (report, ()) = tokio::join!(run, watch);
    let report = report.unwrap();
    report.counts.balance().unwrap();
    assert_eq!((report.counts.succeeded, api.max_in_flight()), (1, 1));
    assert!(report.counts.skipped[&SkipReason::Busy] >= 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_request_that_runs() {
    let api = FakeApi::start(|_| Reply::Held);
    let ctx = Context::new("test");
    let stop = async {
        until("the request came", || api.in_flight() == 1).await;
        ctx.shutdown.trigger();
        api.release();
    };
    let run = within("the run", run(settings(&api.url, "every 1s"), ctx.clone()));
    let (report, ()) = tokio::join!(run, stop);
    let report = report.unwrap();
    report.counts.balance().unwrap();
    report.verdict().unwrap();
    assert_eq!((report.counts.succeeded, report.counts.cut_off), (1, 0));
}

#[tokio::test]
async fn an_api_that_is_not_there_fails_requests_not_the_run() {
    let mut settings = settings(&refused_url(), "every 1s");
    settings.scheduler_cron.count = Some(2);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    report.counts.balance().unwrap();
    assert!(report.counts.failed["connect"] >= 1);
    assert!(report.verdict().is_err());
}

#[tokio::test]
async fn a_run_beside_an_api_that_starts_begins_when_that_is_ready() {
    let api = FakeApi::start(|_| OK);
    // 200, 400 and 800 ms pass between the four: a tick would come due in that time.
    api.be_ready_by(|asked| if asked < 3 { 503 } else { 200 });
    let mut settings = settings(&api.url, "every 1s");
    settings.scheduler_cron.count = Some(2);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    report.counts.balance().unwrap();
    report.verdict().unwrap();
    assert_eq!((api.readiness_asked(), report.counts.scheduled), (4, 2), "{report}");
    assert!(report.counts.succeeded >= 1, "{report}");
}

#[tokio::test]
async fn no_tick_passes_while_the_joiner_to_wait_for_catches_up() {
    // A machine that stalls for two seconds lets one pass, but not each time.
    let mut reports = Vec::new();
    for _ in 0..3 {
        let report = run_beside_a_joiner_that_catches_up().await;
        report.verdict().unwrap();
        let joined = report.joined.clone().unwrap();
        let (counts, trips) = (&report.counts, (joined.wanted, joined.trips));
        if (counts.scheduled, counts.started) == (2, 2) && trips == (60, 60) {
            return;
        }
        reports.push(report.to_string());
    }
    panic!("{}", reports.concat());
}

async fn run_beside_a_joiner_that_catches_up() -> RunReport {
    let api = FakeApi::start(|_| OK);
    // For longer than the whole run: by its end, two instants would have passed.
    api.let_joiner_catch_up(8);
    let mut settings = settings(&api.url, "every 2s");
    settings.scheduler_cron.count = Some(2);
    settings.client.joiner_url = api.url.clone();
    settings.client.until_joined = Some(Duration::from_secs(20));
    let report = within("the run", run(settings, Context::new("test"))).await;
    report.expect("a run")
}

#[tokio::test]
async fn a_job_that_is_held_up_does_not_hold_up_the_others() {
    // Whoever asks for one trip gets no answer until the others have had theirs.
    let api = FakeApi::start_by_trips(|trips| if trips == 1 { Reply::Held } else { OK });
    let mut settings = settings(&api.url, "every 3s");
    settings.scheduler_cron.count = Some(3);
    settings.scheduler_cron.jobs = [("slow", 1), ("quick", 2)]
        .map(|(name, trips)| CronJob {
            name: name.to_owned(),
            schedule: "every 1s".to_owned(),
            trips: Some(trips),
            ..CronJob::default()
        })
        .into();
    let ctx = Context::new("test");
    let release = async {
        until("a tick of the slow job is skipped", || {
            ctx.metrics.encode().contains("outcome=\"busy\"")
        })
        .await;
        api.release();
    };
    let run = within("the run", run(settings, ctx.clone()));
    let (report, ()) = tokio::join!(run, release);
    let report = report.unwrap();
    report.counts.balance().unwrap();
    report.verdict().unwrap();
    let [slow, quick] = &report.jobs[..] else { panic!("two jobs: {report}") };
    assert_eq!((slow.counts.scheduled, quick.counts.scheduled), (3, 3));
    assert!(slow.counts.skipped[&SkipReason::Busy] >= 1, "{report}");
    // On a machine that stalls for a second a tick may be missed.
    let missed = quick.counts.skipped.get(&SkipReason::Missed).copied().unwrap_or_default();
    assert_eq!(quick.counts.succeeded + missed, 3, "{report}");
}
