//! The main job: schedulers drive the API, the joiner joins what it writes.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use e2e::pipeline::Pipeline;
use e2e::stack::Stack;
use scheduler_cron::CronSettings;
use scheduler_loop::LoopSettings;
use service::Context;

#[tokio::test(flavor = "multi_thread")]
async fn every_trip_that_the_schedulers_ask_for_is_joined_once() {
    let pipeline = Pipeline::new(&Stack::shared(), "main-job");
    let (api, url) = pipeline.start_api().await;
    let joiner = pipeline.start_joiner().await;

    let mut by_loop = LoopSettings::default();
    by_loop.client.url = url.clone();
    by_loop.scheduler_loop.period = Duration::from_millis(20);
    by_loop.scheduler_loop.count = Some(100);
    let mut by_cron = CronSettings::default();
    by_cron.client.url = url;
    by_cron.scheduler_cron.schedule = "* * * * * *".to_owned();
    by_cron.scheduler_cron.count = Some(3);
    let (by_loop, by_cron) = tokio::join!(
        scheduler_loop::run(by_loop, Context::new("scheduler-loop")),
        scheduler_cron::run(by_cron, Context::new("scheduler-cron")),
    );
    let (by_loop, by_cron) = (by_loop.unwrap(), by_cron.unwrap());
    by_loop.verdict().unwrap();
    by_cron.verdict().unwrap();
    // A tick may be skipped on a machine that is busy; what was asked for must be there.
    let [by_loop, by_cron] = [by_loop, by_cron].map(|report| report.counts);
    assert!(by_cron.scheduled == 3 && by_cron.started >= 1, "{by_cron:?}");
    assert_eq!(by_cron.trips.requested, 30 * by_cron.started);
    let [by_loop, by_cron] = [by_loop, by_cron].map(|counts| counts.trips);
    assert_eq!(by_loop.confirmed, by_loop.requested);
    assert_eq!(by_cron.confirmed, by_cron.requested);

    let report = pipeline.verify_all_decided(Duration::from_secs(60)).await;
    assert_eq!(report.verdict.joined, by_loop.confirmed + by_cron.confirmed);
    api.stop().await;
    joiner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_goes_on_where_the_one_before_it_stopped() {
    let pipeline = Pipeline::new(&Stack::shared(), "restart");
    let (api, url) = pipeline.start_api().await;
    let client = reqwest::Client::new();
    let mut sent = 0;
    for _ in 0..4 {
        let joiner = pipeline.start_joiner().await;
        let body = serde_json::json!({ "number_of_trips": 500 });
        let request = client.post(format!("{url}/api/generate-multiple-trips")).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
        sent += 500;
        // Somewhere in the middle of the work.
        joiner.stop().await;
    }
    let joiner = pipeline.start_joiner().await;
    let report = pipeline.verify_all_decided(Duration::from_secs(60)).await;
    assert_eq!(report.verdict.joined, sent);
    joiner.stop().await;
    api.stop().await;
}
