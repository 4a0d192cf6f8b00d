//! Brokers and registries that go away come back to services that have waited.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::{Duration, Instant};

use e2e::outage::Wire;
use e2e::pipeline::Pipeline;
use e2e::rows::{Row, Writer, now_millis, trips};
use e2e::stack::{OwnStack, Stack};
use e2e::wait::eventually;
use scheduler_loop::LoopSettings;
use service::Context;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_in_mid_run_costs_answers_but_no_trip() {
    let own = OwnStack::start();
    let mut pipeline = Pipeline::new(&own.stack, "broker-outage");
    // Of a request that failed, Kafka may hold one or two rows of a trip. They are decided soon.
    pipeline.joiner.window = Duration::from_secs(20);
    pipeline.joiner.grace = Duration::from_secs(5);
    pipeline.joiner.idle = Duration::from_secs(1);
    let mut config = pipeline.api_config();
    config.producer.delivery_timeout = Duration::from_secs(3);
    let (api, url) = pipeline.start_api_with(config).await;
    let joiner = pipeline.start_joiner().await;

    let scheduler = Context::new("scheduler-loop");
    let mut load = LoopSettings::default();
    load.client.url = url.clone();
    load.client.timeout = Duration::from_secs(20);
    load.scheduler_loop.period = Duration::from_millis(50);
    let load = tokio::spawn(scheduler_loop::run(load, scheduler.clone()));
    pipeline.joined(60).await;

    own.stop_broker();
    api.not_ready().await;
    joiner.not_ready().await;
    // The API answers an error, within its time-out and a little, and not after the 8 s of the default; on a machine that
    // stalls, perhaps not the first time.
    let mut times = Vec::new();
    let is_soon = |took: &Duration| *took < Duration::from_secs(8);
    while times.len() < 3 && !times.iter().any(is_soon) {
        let started = Instant::now();
        let answer = generate(&url).await;
        times.push(started.elapsed());
        assert!([502, 503, 504].contains(&answer), "{answer}");
    }
    assert!(times.iter().any(is_soon), "{times:?}");

    own.restart_broker();
    api.ready().await;
    joiner.ready().await;
    let what = "the API serves again";
    eventually(what, Duration::from_secs(30), async || (generate(&url).await == 200).then_some(()))
        .await;
    let before = pipeline.count_joined().await;
    pipeline.joined(before + 60).await;

    scheduler.shutdown.trigger();
    let report = load.await.unwrap().unwrap();
    assert!(report.counts.failed_total() > 0, "some requests met the outage");
    assert!(api.is_running() && joiner.is_running());
    api.stop().await;
    let report_ = pipeline.verify_all_decided(Duration::from_secs(60)).await;
    assert!(
        report_.verdict.joined >= report.counts.trips.confirmed,
        "every confirmed trip is joined"
    );
    joiner.stop().await;
}

async fn generate(url: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("{url}/api/generate-complete-trip"));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_when_an_unknown_schema_comes_is_waited_for() {
    let shared = Stack::shared();
    let target = shared.registry.split('/').nth(2).unwrap().to_owned();
    let wire = Wire::to(&target).await;
    let through_wire = Stack {
        registry: shared.registry.replace(&target, &wire.addr().to_string()),
        ..shared.clone()
    };
    let pipeline = Pipeline::new(&through_wire, "registry-outage");
    pipeline.create_inputs().await;
    let writer = Writer::new(&shared, &pipeline.topics).await;
    let joiner = pipeline.start_joiner().await;

    let rows = trips(3, 40);
    for trip in &rows[..20] {
        writer.foreign_trip(trip, now_millis()).await;
    }
    pipeline.joined(20).await;

    wire.cut();
    // A trip with one more field, under a subject of its own: an id that the joiner has never met.
    let unknown = pipeline.register_wider_trip(&shared).await;
    let [trip_value, driver_value, rider_value] = writer.values(&rows[20]);
    let wider = [&[0][..], &unknown.to_be_bytes(), &trip_value[5..], &[6], b"new"].concat();
    let row = |value| Row {
        key: Some(rows[20].trip_id.clone().into_bytes()),
        value: Some(value),
        timestamp: Some(now_millis()),
    };
    writer.row(&pipeline.topics.trips, row(wider)).await;
    writer.row(&pipeline.topics.drivers, row(driver_value)).await;
    writer.row(&pipeline.topics.riders, row(rider_value)).await;
    for trip in &rows[21..] {
        writer.foreign_trip(trip, now_millis()).await;
    }
    joiner.not_ready().await;
    assert!(joiner.is_running());
    assert_eq!(pipeline.count(&pipeline.topics.rejects).await, 0, "an outage is never a reject");

    wire.mend();
    joiner.ready().await;
    let report = pipeline.verify_all_decided(Duration::from_secs(60)).await;
    assert_eq!((report.verdict.joined, report.verdict.rejected()), (40, 0));
    joiner.stop().await;
}
