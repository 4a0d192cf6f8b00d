//! The driver against a stand-in of the API: every tick and every request has one fate, whatever the API does.

mod fake_api;

use std::path::PathBuf;
use std::time::Duration;

use fake_api::{FakeApi, OK, Reply, refused_url, until, within};
use models::secret::Secret;
use service::Context;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use trip_client::{
    ClientConfig, Due, Job, Overrun, RunPlan, RunReport, Schedule, SkipReason, Tick, TickLog,
    TickOutcome, TickRecord, TripClient, drive,
};

const TRIPS: u32 = 3;

/// `left` ticks that are all due at once.
struct Burst {
    left: usize,
}

impl Schedule for Burst {
    async fn next(&mut self) -> Option<Due> {
        self.left = self.left.checked_sub(1)?;
        Some(Due::Now(Tick { due: Instant::now(), trips: TRIPS, job: 0 }))
    }
}

/// One driver run.
struct Run {
    client: ClientConfig,
    overrun: Overrun,
    queue_limit: usize,
    ticks: usize,
    drain: Duration,
    tick_log: Option<PathBuf>,
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
            tick_log: None,
        }
    }

    fn plan(&self) -> RunPlan {
        RunPlan {
            scheduler: "test",
            schedule: format!("{} at once", self.ticks),
            jobs: vec![Job {
                name: "test".to_owned(),
                schedule: String::new(),
                overrun: self.overrun,
                queue_limit: self.queue_limit,
            }],
            max_in_flight: self.client.max_in_flight,
            late_after: self.client.late_after,
            drain: self.drain,
            tick_log: self.tick_log.as_deref().map(|path| TickLog::create(path).expect("a file")),
            until_joined: None,
        }
    }

    async fn go(self, ctx: &Context) -> RunReport {
        let client = TripClient::new(&self.client).expect("a valid configuration");
        let plan = self.plan();
        let mut schedule = Burst { left: self.ticks };
        let report =
            within("the run", drive(&client, &mut schedule, plan, ctx)).await.expect("a run");
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
async fn the_token_goes_with_each_request() {
    let api = FakeApi::start(|_| OK);
    let mut run = Run { ticks: 3, ..Run::new(&api.url) };
    run.client.bearer_token = Some(Secret::new("s3cret"));
    let shown = format!("{:?}", TripClient::new(&run.client).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(run.go(&Context::new("test")).await.counts.succeeded, 3);
    assert_eq!(api.authorizations(), ["Bearer s3cret"]);
}

#[tokio::test]
async fn an_api_that_asks_for_a_token_is_not_asked_again_and_the_key_to_set_is_named() {
    let api = FakeApi::start(|_| Reply::Status(401, None, r#"{"detail":"Not authenticated"}"#));
    let report = Run::new(&api.url).go(&Context::new("test")).await;
    assert_eq!((report.counts.failed["http_401"], api.requests()), (1, 1));
    assert_eq!(report.counts.trips.uncertain, 0);
    let failure = report.last_failure.unwrap();
    assert!(failure.contains("set client.bearer_token"), "{failure}");
    assert_eq!(api.authorizations(), [""; 0]);
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
    run.client.open_circuit_after = 1000;
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
        let succeeded = "tripstream_scheduler_requests_total{outcome=\"succeeded\"} 1";
        until("one is answered", || ctx.metrics.encode().contains(succeeded)).await;
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

#[tokio::test]
async fn the_log_of_ticks_has_a_line_for_each_fate() {
    let api = FakeApi::start(|n| match n {
        0 => OK,
        1 => Reply::Status(500, None, ""),
        _ => Reply::Held,
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks.jsonl");
    let ctx = Context::new("test");
    let run = Run {
        ticks: 6,
        overrun: Overrun::Queue,
        queue_limit: 4,
        drain: Duration::from_millis(50),
        tick_log: Some(path.clone()),
        ..Run::new(&api.url)
    };
    let stop = async {
        until("the third request came", || api.requests() == 3).await;
        ctx.shutdown.trigger();
    };
    let (report, ()) = tokio::join!(run.go(&ctx), stop);
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<TickRecord> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |outcome| lines.iter().filter(|line| line.outcome == outcome).collect::<Vec<_>>();
    assert_eq!(lines.len() as u64, report.counts.scheduled);
    for (outcome, reason, ticks) in [
        (TickOutcome::Ok, None, 1),
        (TickOutcome::Failed, Some("http_500"), 1),
        (TickOutcome::CutOff, None, 1),
        (TickOutcome::Skipped, Some("queue_full"), 1),
        (TickOutcome::Dropped, None, 2),
    ] {
        let lines = with(outcome);
        assert_eq!(lines.len(), ticks, "{outcome:?}");
        assert!(lines.iter().all(|line| line.reason.as_deref() == reason), "{outcome:?}");
        for line in lines {
            let ran = !matches!(outcome, TickOutcome::Skipped | TickOutcome::Dropped);
            assert_eq!((line.started_ms.is_some(), line.finished_ms.is_some()), (ran, ran));
            assert!(line.started_ms.is_none() || line.intended_ms <= line.started_ms);
            assert!(line.started_ms <= line.finished_ms);
        }
    }
}

/// `left` ticks, one each millisecond.
struct Stream {
    left: usize,
}

impl Schedule for Stream {
    async fn next(&mut self) -> Option<Due> {
        self.left = self.left.checked_sub(1)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some(Due::Now(Tick { due: Instant::now(), trips: TRIPS, job: 0 }))
    }
}

#[tokio::test]
async fn an_outage_is_met_with_one_probe_at_a_time_and_its_ticks_are_skipped() {
    // Nobody serves from the 11th attempt on, for ten attempts.
    const OUTAGE: std::ops::Range<usize> = 10..20;
    let api =
        FakeApi::start(|n| if OUTAGE.contains(&n) { Reply::Status(503, None, "down") } else { OK });
    let mut run = Run::new(&api.url);
    run.client.open_circuit_after = 3;
    run.client.backoff = Duration::from_millis(20);
    run.client.max_backoff = Duration::from_millis(20);
    run.client.retries = 0;
    let ctx = Context::new("test");
    let client = TripClient::new(&run.client).unwrap();
    let mut schedule = Stream { left: 2_000 };
    let recovered = async {
        until("the API answers again", || api.requests() > OUTAGE.end + 5).await;
        ctx.shutdown.trigger();
    };
    let plan = run.plan();
    let (report, ()) = tokio::join!(drive(&client, &mut schedule, plan, &ctx), recovered);
    let counts = report.unwrap().counts;
    counts.balance().unwrap();
    assert!(counts.skipped[&SkipReason::CircuitOpen] > 10, "{counts:?}");
    // Attempts that were under way when the circuit opened, at most the limit, and then one probe after the other.
    assert_eq!(counts.failed["unavailable"], OUTAGE.len() as u64);
    assert!(api.max_in_flight() <= run.client.max_in_flight);
    assert!(counts.succeeded >= 15);
}

#[tokio::test]
async fn what_waits_in_the_queue_in_an_outage_is_not_sent_at_its_end() {
    let mut run = Run { ticks: 9, overrun: Overrun::Queue, ..Run::new(&refused_url()) };
    run.client.retries = 0;
    run.client.open_circuit_after = 2;
    run.client.backoff = Duration::from_secs(3600);
    run.client.max_backoff = Duration::from_secs(3600);
    let report = run.go(&Context::new("test")).await;
    assert_eq!(report.counts.failed.get("connect"), Some(&2));
    assert_eq!(report.counts.skipped.get(&SkipReason::CircuitOpen), Some(&7));
}
