//! The loop scheduler as a library, against a stand-in of the API.

#[path = "../../trip-client/tests/fake_api/mod.rs"]
mod fake_api;

use std::time::Duration;

use fake_api::{FakeApi, OK, Reply, refused_url, until, within};
use scheduler_loop::{LoopSettings, run};
use service::Context;
use trip_client::Overrun;

fn settings(url: &str) -> LoopSettings {
    let mut settings = LoopSettings::default();
    url.clone_into(&mut settings.client.url);
    settings.client.retries = 0;
    settings.scheduler_loop.period = Duration::from_millis(10);
    settings
}

#[tokio::test]
async fn a_run_of_20_ticks_sends_20_requests() {
    let api = FakeApi::start(|_| OK);
    let mut settings = settings(&api.url);
    // After a stall, all ticks that are overdue start at once.
    settings.client.max_in_flight = 50;
    settings.scheduler_loop.count = Some(20);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    report.counts.balance().unwrap();
    report.verdict().unwrap();
    assert_eq!((report.counts.succeeded, report.counts.trips.confirmed), (20, 60));
    assert_eq!((api.requests(), api.trips()), (20, 60));
    assert!(report.seconds >= 0.19, "the 20th tick is due after 190 ms: {}", report.seconds);
}

#[tokio::test]
async fn slow_answers_do_not_shift_the_ticks() {
    let api = FakeApi::start(|_| Reply::After(Duration::from_millis(200)));
    let mut settings = settings(&api.url);
    settings.client.max_in_flight = 50;
    settings.scheduler_loop.count = Some(20);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    assert_eq!(report.counts.succeeded, 20);
    assert!(api.max_in_flight() > 1, "requests overlap");
}

#[tokio::test]
async fn a_queue_shows_the_wait_as_latency_from_the_intended_start() {
    let api = FakeApi::start(|_| Reply::After(Duration::from_millis(50)));
    let mut settings = settings(&api.url);
    settings.scheduler_loop.overrun = Overrun::Queue;
    settings.scheduler_loop.count = Some(10);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    assert_eq!(report.counts.succeeded, 10);
    assert_eq!(api.max_in_flight(), 1);
    // The tenth is due at 90 ms, and nine answers of 50 ms come before it.
    assert!(report.lag.max() >= Duration::from_millis(350), "{:?}", report.lag);
    assert!(report.latency.max() >= Duration::from_millis(400), "{:?}", report.latency);
    assert!(report.counts.late >= 1);
}

#[tokio::test]
async fn a_closed_loop_has_one_request_at_a_time() {
    let api = FakeApi::start(|_| Reply::After(Duration::from_millis(5)));
    let mut settings = settings(&api.url);
    settings.scheduler_loop.closed_loop = true;
    settings.scheduler_loop.count = Some(5);
    let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
    assert_eq!((report.counts.succeeded, api.max_in_flight()), (5, 1));
    assert_eq!(report.counts.skipped_total(), 0);
    assert!(report.seconds >= 0.065, "5 answers of 5 ms and 4 pauses of 10 ms: {}", report.seconds);
}

#[tokio::test]
async fn a_stop_in_mid_run_lets_requests_finish() {
    let api = FakeApi::start(|_| Reply::Held);
    let ctx = Context::new("test");
    let stop = async {
        until("the limit is reached", || api.in_flight() == 10).await;
        ctx.shutdown.trigger();
        api.release();
    };
    let (report, ()) = tokio::join!(within("the run", run(settings(&api.url), ctx.clone())), stop);
    let report = report.unwrap();
    report.counts.balance().unwrap();
    report.verdict().unwrap();
    assert_eq!(report.counts.succeeded, 10);
    assert_eq!(api.max_in_flight(), 10);
}

#[tokio::test]
async fn a_run_goes_on_without_an_api_and_meets_it_when_it_comes() {
    let url = refused_url();
    let ctx = Context::new("test");
    let come = async {
        until("a request failed", || {
            ctx.health.checks().get("api").is_some_and(|check| {
                check.as_ref().is_err_and(|reason| reason.starts_with("cannot connect"))
            })
        })
        .await;
        let api = FakeApi::start_on(url.trim_start_matches("http://"), |_| OK);
        until("the API is ready", || ctx.health.is_ready()).await;
        ctx.shutdown.trigger();
        api
    };
    let (report, api) = tokio::join!(within("the run", run(settings(&url), ctx.clone())), come);
    let report = report.unwrap();
    report.counts.balance().unwrap();
    assert!(report.counts.failed["connect"] >= 1 && report.counts.succeeded >= 1);
    assert_eq!(report.counts.trips.confirmed, api.trips() as u64);
    assert!(report.verdict().is_err(), "requests failed");
}

#[tokio::test]
async fn a_run_beside_an_api_that_starts_begins_when_that_is_ready() {
    for closed_loop in [false, true] {
        let api = FakeApi::start(|_| OK);
        // 200 and 400 ms pass between the three.
        api.be_ready_by(|asked| if asked < 2 { 503 } else { 200 });
        let mut settings = settings(&api.url);
        settings.client.max_in_flight = 50;
        settings.scheduler_loop.closed_loop = closed_loop;
        settings.scheduler_loop.duration = Some(Duration::from_millis(300));
        let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
        report.counts.balance().unwrap();
        report.verdict().unwrap();
        assert_eq!(api.readiness_asked(), 3);
        assert_eq!(report.counts.skipped_total(), 0, "{report}");
        if closed_loop {
            assert!(report.counts.succeeded >= 1, "{report}");
        } else {
            assert_eq!(report.counts.succeeded, 30, "{report}");
        }
        // Had the clock run during the wait, every tick would have been later than that.
        assert!(report.lag.min() < Duration::from_millis(300), "{report}");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_ends_the_run_before_it_begins() {
    let api = FakeApi::start(|_| OK);
    let mut settings = settings(&api.url);
    settings.scheduler_loop.report = Some("/proc/no/such.json".into());
    let error = run(settings, Context::new("test")).await.unwrap_err();
    assert!(error.to_string().contains("/proc/no/such.json"), "{error}");
    assert_eq!(api.requests(), 0);
}

#[tokio::test]
async fn a_run_until_joined_succeeds_only_if_the_joiner_joins_all() {
    for joins in [true, false] {
        let api = FakeApi::start(|_| OK);
        let idle = FakeApi::start(|_| OK);
        let mut settings = settings(&api.url);
        settings.scheduler_loop.count = Some(5);
        settings.client.joiner_url = if joins { api.url.clone() } else { idle.url.clone() };
        let limit = Duration::from_millis(if joins { 20_000 } else { 300 });
        settings.client.until_joined = Some(limit);
        let report = within("the run", run(settings, Context::new("test"))).await.unwrap();
        let joined = report.joined.clone().unwrap();
        assert_eq!((joined.wanted, joined.trips), (15, if joins { 15 } else { 0 }));
        assert_eq!(report.verdict().is_ok(), joins, "{report}");
    }
}

#[tokio::test]
async fn a_joiner_that_starts_anew_in_mid_run_is_counted_before_and_after() {
    let api = FakeApi::start(|number| if number < 10 { OK } else { Reply::Held });
    let mut settings = settings(&api.url);
    settings.client.max_in_flight = 50;
    settings.scheduler_loop.count = Some(20);
    settings.client.joiner_url = api.url.clone();
    settings.client.until_joined = Some(Duration::from_secs(20));
    let restart = async {
        until("the first trips are seen joined", || api.shown() == 30).await;
        api.restart_joiner();
        let looks = api.looks();
        until("the joiner is looked at again", || api.looks() >= looks + 2).await;
        api.release();
    };
    let run = within("the run", run(settings, Context::new("test")));
    let (report, ()) = tokio::join!(run, restart);
    let report = report.unwrap();
    let joined = report.joined.clone().unwrap();
    assert!(joined.wanted > 30, "{report}");
    assert_eq!(joined.trips, joined.wanted, "{report}");
    report.verdict().unwrap();
}

#[tokio::test]
async fn what_is_joined_when_a_run_is_stopped_is_counted() {
    let api = FakeApi::start(|_| OK);
    let ctx = Context::new("test");
    let mut settings = settings(&api.url);
    settings.client.joiner_url = api.url.clone();
    settings.client.until_joined = Some(Duration::from_secs(20));
    let stop = async {
        until("trips were answered", || api.trips() >= 15).await;
        ctx.shutdown.trigger();
    };
    let (report, ()) = tokio::join!(within("the run", run(settings, ctx.clone())), stop);
    let report = report.unwrap();
    let joined = report.joined.clone().unwrap();
    assert!(joined.wanted >= 15, "{report}");
    assert_eq!(joined.trips, joined.wanted, "{report}");
}
