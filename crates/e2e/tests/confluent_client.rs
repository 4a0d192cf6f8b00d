//! Confluent's own Python client reads what we write. Needs that client: `make test-python` brings it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::pipeline::Pipeline;
use e2e::rows::{Row, Writer, now_millis, trips};
use e2e::stack::Stack;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python's confluent-kafka: make test-python"]
async fn every_avro_topic_is_read_with_nothing_but_the_registry_s_url() {
    let mut pipeline = Pipeline::new(&Stack::shared(), "python");
    pipeline.joiner.window = Duration::from_secs(10);
    pipeline.joiner.grace = Duration::ZERO;
    pipeline.joiner.idle = Duration::from_secs(1);
    let (api, url) = pipeline.start_api().await;
    let joiner = pipeline.start_joiner().await;
    let body = serde_json::json!({ "number_of_trips": 20 });
    let request =
        reqwest::Client::new().post(format!("{url}/api/generate-multiple-trips")).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 200);

    // A trip that stays alone, for the topic of unmatched trips.
    let writer = Writer::new(&pipeline.stack, &pipeline.topics).await;
    let lone = trips(5, 1).remove(0);
    let [value, ..] = writer.values(&lone);
    let key = lone.trip_id.clone().into_bytes();
    let row = Row { key: Some(key), value: Some(value), timestamp: Some(now_millis()) };
    writer.row(&pipeline.topics.trips, row).await;
    let verdict = pipeline.verify_all_decided(Duration::from_secs(60)).await.verdict;
    assert_eq!((verdict.joined, verdict.unmatched), (20, 1));

    let python = std::env::var("TRIPSTREAM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/read_all.py");
    let topics = &pipeline.topics;
    let names =
        [&topics.trips, &topics.drivers, &topics.riders, &topics.joined_streams, &topics.unmatched];
    let output = Command::new(python)
        .arg(script)
        .args([&pipeline.stack.bootstrap, &pipeline.stack.registry])
        .args(names.map(|topic| &topic.name))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = names.map(|topic| found[&topic.name]["rows"].as_u64().unwrap());
    assert_eq!(counts, [21, 20, 20, 20, 1], "{found:#}");
    let unmatched = &found[&topics.unmatched.name]["first"];
    assert_eq!(unmatched["trip_id"], lone.trip_id);
    assert_eq!(unmatched["trip"]["mileage"], lone.trip_data.mileage);
    assert_eq!(unmatched["missing"], serde_json::json!(["driver", "rider"]));
    let joined = &found[&topics.joined_streams.name]["first"];
    assert_eq!(joined["trip_id"], joined["driver_earning_info"]["trip_id"]);
    joiner.stop().await;
    api.stop().await;
}
