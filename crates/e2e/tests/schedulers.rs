//! What the schedulers count is what is in Kafka, also when the API goes away in mid-run.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use e2e::outage::Wire;
use e2e::pipeline::Pipeline;
use e2e::stack::Stack;
use e2e::wait::eventually;
use scheduler_loop::LoopSettings;
use service::Context;
use trip_client::{RunReport, SkipReason};

const DEADLINE: Duration = Duration::from_secs(60);

fn succeeded(scheduler: &Context) -> u64 {
    metric(
        &scheduler.metrics.encode(),
        "tripstream_scheduler_requests_total{outcome=\"succeeded\"}",
    )
}

fn metric(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_goes_away_in_mid_run_is_met_by_one_probe_and_no_storm() {
    let pipeline = Pipeline::new(&Stack::shared(), "api-outage");
    let (api, url) = pipeline.start_api().await;
    let wire = Wire::to(url.trim_start_matches("http://")).await;

    let scheduler = Context::new("scheduler-loop");
    let mut load = LoopSettings::default();
    load.client.url = format!("http://{}", wire.addr());
    load.client.open_circuit_after = 3;
    load.client.max_backoff = Duration::from_millis(200);
    load.scheduler_loop.period = Duration::from_millis(20);
    let max_in_flight = load.client.max_in_flight as u64;
    let run = tokio::spawn(scheduler_loop::run(load, scheduler.clone()));
    let succeed = async |more: u64| {
        let before = succeeded(&scheduler);
        eventually("requests succeed", DEADLINE, async || {
            (succeeded(&scheduler) >= before + more).then_some(())
        })
        .await;
    };

    succeed(30).await;
    wire.cut();
    eventually("ticks are skipped", DEADLINE, async || {
        let skipped = "tripstream_scheduler_ticks_total{outcome=\"circuit_open\"}";
        (metric(&scheduler.metrics.encode(), skipped) >= 50).then_some(())
    })
    .await;
    wire.mend();
    succeed(30).await;

    scheduler.shutdown.trigger();
    let report = run.await.unwrap().unwrap();
    let counts = &report.counts;
    counts.balance().unwrap();
    assert!(counts.skipped[&SkipReason::CircuitOpen] >= 50, "{report}");
    // Those in flight when the wire was cut, and one probe after the other: far fewer than ticks came due.
    assert!(counts.failed_total() < max_in_flight + 40, "{report}");
    api.stop().await;
    assert_in_kafka(&pipeline, &report).await;
}

/// Confirmed trips are in Kafka, and no more than those that are uncertain beside them.
async fn assert_in_kafka(pipeline: &Pipeline, report: &RunReport) {
    let trips = pipeline.count(&pipeline.topics.trips).await;
    let sent = &report.counts.trips;
    let range = sent.confirmed..=sent.confirmed + sent.uncertain;
    assert!(range.contains(&trips), "{trips} in Kafka, not {range:?}: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_until_joined_ends_when_the_joiner_has_joined_all_it_sent() {
    let pipeline = Pipeline::new(&Stack::shared(), "until-joined");
    let (api, url) = pipeline.start_api().await;
    let joiner = pipeline.start_joiner().await;
    let listener = service::admin::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let joiner_url = format!("http://{}", listener.local_addr().unwrap());

    let mut load = LoopSettings::default();
    load.client.url = url;
    load.client.joiner_url = joiner_url;
    load.client.until_joined = Some(DEADLINE);
    load.scheduler_loop.rate = Some(300.0);
    load.scheduler_loop.count = Some(40);
    let report = tokio::select! {
        report = scheduler_loop::run(load, Context::new("scheduler-loop")) => report.unwrap(),
        ended = service::admin::serve(listener, joiner.ctx.clone()) => panic!("{ended:?}"),
    };
    report.verdict().unwrap();
    // A machine that is busy may cost a tick, never a trip.
    let confirmed = report.counts.trips.confirmed;
    assert!((1..=120).contains(&confirmed), "{report}");
    let joined = report.joined.clone().unwrap();
    assert_eq!((joined.wanted, joined.trips), (confirmed, confirmed), "{report}");
    assert_eq!(pipeline.count_joined().await, confirmed);
    assert_in_kafka(&pipeline, &report).await;

    api.stop().await;
    joiner.stop().await;
}
