//! The driver against a stand-in of the API: every tick and every request has one fate, whatever the API does.

mod fake_api;

use std::time::Duration;

use fake_api::{FakeApi, OK, Reply, refused_url, until, within};
use service::Context;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use trip_client::{
    ClientConfig, Due, Overrun, Plan, Report, Schedule, SkipReason, Tick, TripClient, drive,
};

const TRIPS: u32 = 3;

/// `left` ticks that are all due at once.
struct Burst {
    left: usize,
}

impl Schedule for Burst {
    async fn next(&mut self) -> Option<Due> {
        self.left = self.left.checked_sub(1)?;
        Some(Due::Now(Tick { due: Instant::now(), trips: TRIPS }))
    }
}

/// One driver run.
struct Run {
    client: ClientConfig,
    overrun: Overrun,
    queue_limit: usize,
    ticks: usize,
    drain: Duration,
}

impl Run {
    fn new(url: &str) -> Self {
        let client = ClientConfig {
            url: url.to_owned(),
            backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(2),
            ..ClientConfig::default()
        };
        Self {
            client,
            overrun: Overrun::Overlap,
            queue_limit: 100,
            ticks: 1,
            drain: Duration::from_secs(20),
        }
    }

    async fn go(self, ctx: &Context) -> Report {
        let client = TripClient::new(&self.client).expect("a valid configuration");
        let plan = Plan {
            scheduler: "test",
            schedule: format!("{} at once", self.ticks),
            overrun: self.overrun,
            queue_limit: self.queue_limit,
            max_in_flight: self.client.max_in_flight,
            late_after: self.client.late_after,
            drain: self.drain,
        };
        let mut schedule = Burst { left: self.ticks };
        let report = within("the run", drive(&client, &mut schedule, plan, ctx)).await;
        report.counts.balance().expect("every tick and request has one fate");
        report
    }
}

#[tokio::test]
async fn good_answers_are_confirmed_trip_by_trip() {
    let api = FakeApi::start(|_| OK);
    let ctx = Context::new("test");
    let run = Run { ticks: 10, ..Run::new(&api.url) };
    let report = run.go(&ctx).await;
    assert_eq!((report.counts.scheduled, report.counts.succeeded), (10, 10));
    assert_eq!((report.counts.trips.requested, report.counts.trips.confirmed), (30, 30));
    assert_eq!(api.trips(), 30);
    assert_eq!(report.latency.count(), 10);
    assert!(report.latency.min() >= report.service_time.min());
    assert!(ctx.health.is_ready());
    report.verdict().unwrap();
    let metrics = ctx.metrics.encode();
    for line in [
        "tripstream_scheduler_ticks_total{outcome=\"started\"} 10",
        "tripstream_scheduler_requests_total{outcome=\"succeeded\"} 10",
        "tripstream_scheduler_trips_confirmed_total 30",
        "tripstream_scheduler_in_flight 0",
        "tripstream_scheduler_latency_seconds_count 10",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let api = FakeApi::start(|_| OK);
    let run = Run { ticks: 50, overrun: Overrun::Queue, ..Run::new(&api.url) };
    let report = run.go(&Context::new("test")).await;
    assert_eq!(report.counts.succeeded, 50);
    assert_eq!((api.max_in_flight(), api.connections()), (1, 1));
}

#[tokio::test]
async fn never_more_in_flight_than_the_policy_allows() {
    for (overrun, max_in_flight, started, reason) in [
        (Overrun::Overlap, 4, 4, Some(SkipReason::InFlightFull)),
        (Overrun::Skip, 1, 1, Some(SkipReason::Busy)),
        (Overrun::Queue, 1, 30, None),
    ] {
        let api = FakeApi::start(|_| Reply::Held);
        let ctx = Context::new("test");
        let mut run = Run { ticks: 30, overrun, ..Run::new(&api.url) };
        run.client.max_in_flight = 4;
        let release = async {
            until("requests came", || api.in_flight() == max_in_flight).await;
            api.release();
        };
        let (report, ()) = tokio::join!(run.go(&ctx), release);
        assert_eq!(api.max_in_flight(), max_in_flight, "{overrun}");
        assert_eq!(report.counts.succeeded, started, "{overrun}");
        let skipped: Vec<_> = report.counts.skipped.clone().into_iter().collect();
        let want: Vec<_> = reason.map(|reason| (reason, 30 - started)).into_iter().collect();
        assert_eq!(skipped, want, "{overrun}");
        report.verdict().unwrap();
    }
}

#[tokio::test]
async fn a_refusal_that_produced_nothing_is_tried_again() {
    let api = FakeApi::start(|n| if n < 2 { Reply::Status(503, Some(3600), "full") } else { OK });
    let report = Run::new(&api.url).go(&Context::new("test")).await;
    assert_eq!((report.counts.succeeded, report.counts.retried), (1, 2));
    assert_eq!(api.requests(), 3);
}

#[tokio::test]
async fn what_may_have_produced_trips_is_not_tried_again() {
    // (answer, counted as, requests that the API saw, trips that may be in Kafka)
    let cases = [
        (Reply::Status(502, None, "{\"detail\":\"x\"}"), "http_502", 1, 3),
        (Reply::Status(504, None, ""), "http_504", 1, 3),
        (Reply::Status(422, None, ""), "http_422", 1, 0),
        (Reply::Status(302, None, ""), "http_302", 1, 3),
        (Reply::Status(200, None, "<html>"), "not_json", 1, 3),
        (Reply::Status(200, None, "{}"), "not_trips", 1, 3),
        (Reply::Trips { off_by: -1 }, "trip_count", 1, 3),
        (Reply::Trips { off_by: 1 }, "trip_count", 1, 4),
        (Reply::Held, "timeout", 1, 3),
        (Reply::Status(503, None, "full"), "unavailable", 4, 0),
    ];
    for (reply, reason, requests, uncertain) in cases {
        let script = reply.clone();
        let api = FakeApi::start(move |_| script.clone());
        let ctx = Context::new("test");
        let mut run = Run::new(&api.url);
        if matches!(reply, Reply::Held) {
            run.client.timeout = Duration::from_millis(200);
        }
        let report = run.go(&ctx).await;
        let failed: Vec<_> = report.counts.failed.clone().into_iter().collect();
        assert_eq!(failed, [(reason.to_owned(), 1)], "{reply:?}");
        assert_eq!(api.requests(), requests, "{reply:?}");
        assert_eq!(report.counts.trips.uncertain, uncertain, "{reply:?}");
        assert_eq!(report.counts.trips.confirmed, 0, "{reply:?}");
        assert!(!ctx.health.is_ready(), "{reply:?}");
        assert!(report.verdict().unwrap_err().to_string().contains(reason), "{reply:?}");
    }
}

#[tokio::test]
async fn an_api_that_is_not_there_fails_requests_not_the_run() {
    let mut run = Run { ticks: 5, ..Run::new(&refused_url()) };
    run.client.retries = 2;
    let report = run.go(&Context::new("test")).await;
    assert_eq!(report.counts.failed.get("connect"), Some(&5));
    assert_eq!((report.counts.retried, report.counts.trips.uncertain), (10, 0));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_not_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let run = Run::new(&format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0 && connections == 1, "connection {connections}: {read} bytes");
        }
    });
    let report = run.go(&Context::new("test")).await;
    assert_eq!(report.counts.failed.get("connection_lost"), Some(&1), "{:?}", report.counts);
    assert_eq!((report.counts.retried, report.counts.trips.uncertain), (0, 3));
    assert!(!server.is_finished(), "the request came once");
}

#[tokio::test]
async fn requests_in_flight_at_shutdown_may_finish() {
    let api = FakeApi::start(|_| Reply::Held);
    let ctx = Context::new("test");
    let run = Run { ticks: 4, ..Run::new(&api.url) };
    let stop = async {
        until("all requests came", || api.in_flight() == 4).await;
        ctx.shutdown.trigger();
        api.release();
    };
    let (report, ()) = tokio::join!(run.go(&ctx), stop);
    assert_eq!((report.counts.succeeded, report.counts.cut_off), (4, 0));
    report.verdict().unwrap();
}

#[tokio::test]
async fn requests_that_outlast_the_drain_are_cut_off_and_counted() {
    let api = FakeApi::start(|n| if n == 0 { OK } else { Reply::Held });
    let ctx = Context::new("test");
    let run = Run { ticks: 4, drain: Duration::from_millis(50), ..Run::new(&api.url) };
    let stop = async {
        until("all requests came", || api.requests() == 4).await;
        ctx.shutdown.trigger();
    };
    let (report, ()) = tokio::join!(run.go(&ctx), stop);
    assert_eq!((report.counts.succeeded, report.counts.cut_off), (1, 3));
    assert_eq!((report.counts.trips.confirmed, report.counts.trips.uncertain), (3, 9));
    assert!(report.verdict().unwrap_err().to_string().contains("3 cut off"));
}

#[tokio::test]
async fn ticks_that_wait_at_shutdown_are_dropped_and_counted() {
    let api = FakeApi::start(|_| Reply::Held);
    let ctx = Context::new("test");
    let run = Run { ticks: 9, overrun: Overrun::Queue, queue_limit: 5, ..Run::new(&api.url) };
    let stop = async {
        until("the first request came", || api.in_flight() == 1).await;
        ctx.shutdown.trigger();
        api.release();
    };
    let (report, ()) = tokio::join!(run.go(&ctx), stop);
    assert_eq!((report.counts.started, report.counts.dropped_at_shutdown), (1, 5));
    assert_eq!(report.counts.skipped.get(&SkipReason::QueueFull), Some(&3));
    assert_eq!(api.requests(), 1);
}

#[tokio::test]
async fn a_retry_that_waits_at_shutdown_is_given_up() {
    let api = FakeApi::start(|_| Reply::Status(503, Some(3600), "full"));
    let ctx = Context::new("test");
    let mut run = Run::new(&api.url);
    run.client.max_backoff = Duration::from_secs(3600);
    let stop = async {
        until("the request was refused", || api.requests() == 1 && api.in_flight() == 0).await;
        ctx.shutdown.trigger();
    };
    let (report, ()) = tokio::join!(run.go(&ctx), stop);
    assert_eq!(report.counts.failed.get("unavailable"), Some(&1));
    assert_eq!(api.requests(), 1);
}
