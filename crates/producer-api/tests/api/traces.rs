//! What a request is known by: in its answer, in its records, and in the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use devstack::{ApiKey, Fault, ResponseError};
use futures::future::join_all;
use models::Side;
use producer_api::ProducerApiConfig;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEADLINE, TRIPS, config_for, dev_stack};
use crate::process::Process;
use crate::topics::{Row, committed_rows};

const ID: &str = "X-Request-Id";
const PARENT: (&str, &str) =
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
const STATE: (&str, &str) = ("tracestate", "congo=t61rcWkgMzE");

#[tokio::test]
async fn every_answer_has_an_id_and_the_clients_own_if_it_is_sound() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.cors_origins = vec!["https://app.example.com".to_owned()];
    let api = Api::ready(config).await;
    let mut fresh = Vec::new();
    for (method, path, body, status) in [
        ("POST", TRIPS, r#"{"number_of_trips":1}"#, 200),
        ("POST", TRIPS, "{", 422),
        ("GET", TRIPS, "", 405),
        ("GET", "/nowhere", "", 404),
        ("GET", "/docs/", "", 307),
        ("GET", "/health/live", "", 200),
    ] {
        let answer = api.ask(method, path, Some("application/json"), body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let id = answer.request_id.unwrap();
        assert_eq!(id.len(), 36, "a UUID: {id}");
        fresh.push(id);
    }
    fresh.sort_unstable();
    fresh.dedup();
    assert_eq!(fresh.len(), 6, "each request has its own");

    let id = async |sent: &str| {
        api.post_with("/api/generate-trip", &[(ID, sent)], &json!({})).await.request_id.unwrap()
    };
    assert_eq!(id("order/7:1").await, "order/7:1");
    for other in ["", "a b", &"x".repeat(129)] {
        assert_eq!(id(other).await.len(), 36, "{other:?}");
    }
    let preflight =
        [(ID, "p-1"), ("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
    let client = reqwest::Client::new().request(reqwest::Method::OPTIONS, api.url.clone() + TRIPS);
    let request = preflight.iter().fold(client, |all, (name, value)| all.header(*name, *value));
    assert_eq!(request.send().await.unwrap().headers()[ID], "p-1");
    api.stop().await.unwrap();
}

/// All rows of the three topics.
fn rows(config: &ProducerApiConfig) -> Vec<Row> {
    let topics = Side::ALL.map(|side| config.topics.input(side).name.clone());
    topics.iter().flat_map(|topic| committed_rows(config, topic)).collect()
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn every_record_names_its_request_and_its_trace() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let trips = |number: u32| json!({ "number_of_trips": number });
    let lines = ("Accept", "application/x-ndjson");
    let atomic = ("Tripstream-Atomic", "true");
    let mut expected = BTreeMap::new();
    for (id, path, more, body, records) in [
        ("one", "/api/generate-trip", &[][..], json!({}), 1),
        ("complete", "/api/generate-complete-trip", &[], json!({}), 3),
        ("array", TRIPS, &[], trips(100), 300),
        // More than one chunk.
        ("lines", TRIPS, &[lines], trips(300), 900),
        ("atomic", TRIPS, &[atomic], trips(10), 30),
        ("keyed", TRIPS, &[("Idempotency-Key", "k")], trips(2), 6),
    ] {
        let headers = [&[(ID, id), PARENT, STATE], more].concat();
        let answer = api.post_with(path, &headers, &body).await;
        assert_eq!((answer.status, answer.request_id.as_deref()), (200, Some(id)), "{answer:?}");
        expected.insert(id, records);
    }
    // Its records are there already: they stay with the request that wrote them.
    let again = [(ID, "again"), ("Idempotency-Key", "k")];
    let replayed = api.post_with(TRIPS, &again, &trips(2)).await;
    assert!(replayed.is_replayed && replayed.request_id.as_deref() == Some("again"));
    api.stop().await.unwrap();

    let mut found = BTreeMap::new();
    let rows = rows(&config);
    for row in &rows {
        let id = row.headers[0].1.as_str();
        assert_eq!(row.headers, pairs(&[("tripstream-request-id", id), PARENT, STATE]));
        *found.entry(id).or_default() += 1;
    }
    assert_eq!(found, expected);
    let entries = committed_rows(&config, &config.producer.idempotency_topic);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].headers[0].1, "keyed");
}

#[tokio::test]
async fn without_a_sound_trace_records_have_only_the_id() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let unsound = [("traceparent", "00-0-0-01"), STATE];
    let answer = api.post_with("/api/generate-rider", &unsound, &json!({})).await;
    api.stop().await.unwrap();
    let id = answer.request_id.unwrap();
    let rows = rows(&config);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].headers, pairs(&[("tripstream-request-id", &id)]));
}

#[tokio::test]
async fn records_carry_nothing_if_the_configuration_says_so() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.record_headers = false;
    let api = Api::ready(config.clone()).await;
    for more in [&[][..], &[("Idempotency-Key", "k")]] {
        let headers = [&[(ID, "r"), PARENT, STATE], more].concat();
        let answer = api.post_with(TRIPS, &headers, &json!({ "number_of_trips": 2 })).await;
        assert_eq!((answer.status, answer.request_id.as_deref()), (200, Some("r")));
    }
    api.stop().await.unwrap();
    let entries = committed_rows(&config, &config.producer.idempotency_topic);
    let rows = rows(&config);
    assert_eq!((rows.len(), entries.len()), (12, 1));
    assert!(rows.iter().chain(&entries).all(|row| row.headers.is_empty()), "{rows:#?}");
}

#[tokio::test]
async fn requests_that_share_a_transaction_keep_their_own_ids() {
    const REQUESTS: usize = 12;
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    assert_eq!(api.atomic_trips(1).await.status, 200);
    // The first one's commit takes its time, and the others gather behind it.
    stack.inject(Fault::delay(Duration::from_millis(300)).of(ApiKey::EndTxn));
    let ask = async |number: usize| -> (String, Answer) {
        let id = format!("shared-{number}");
        let headers = [(ID, id.as_str()), ("Tripstream-Atomic", "true")];
        let answer = api.post_with("/api/generate-complete-trip", &headers, &json!({})).await;
        (id, answer)
    };
    let answers = join_all((0..REQUESTS).map(ask)).await;
    let line = r#"tripstream_api_transactions_total{result="committed"}"#;
    let transactions = api.metric(line).await.unwrap();
    assert!(transactions < REQUESTS as f64, "none was shared: {transactions}");
    api.stop().await.unwrap();
    let rows = rows(&config);
    for (id, answer) in answers {
        let trip = answer.json()["trip_id"].as_str().unwrap().to_owned();
        let ids: Vec<_> =
            rows.iter().filter(|row| row.key == trip).map(|row| &row.headers[0].1).collect();
        assert_eq!(ids, [&id; 3]);
    }
}

#[tokio::test]
async fn what_happens_to_requests_is_counted() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.queue_records = 3_000;
    // Runs out, but not before the queue was seen to be full.
    config.producer.delivery_timeout = Duration::from_secs(8);
    let api = Api::ready(config).await;
    assert_eq!(api.trips(2).await.status, 200);
    assert_eq!(api.trips(1_001).await.status, 422);
    for status in ["200", "422"] {
        let name = "tripstream_api_request_duration_seconds_count";
        let line = format!(r#"{name}{{route="{TRIPS}",status="{status}"}}"#);
        assert_eq!(api.metric(&line).await, Some(1.0), "{status}");
    }
    let refused = async |reason: &str| {
        let line = format!(r#"tripstream_api_refusals_total{{reason="{reason}"}}"#);
        api.metric(&line).await
    };
    assert_eq!(refused("invalid_body").await, Some(1.0));
    stack.inject(Fault::hold().of(ApiKey::Produce));
    let (held, full) = tokio::join!(api.trips(1_000), async {
        api.wait_for_metric("tripstream_api_records_in_flight", 3_000.0).await;
        api.trips(1).await.status
    });
    assert_eq!((held.status, full), (504, 503));
    assert_eq!(refused("queue_full").await, Some(1.0));
    assert_eq!(refused("delivery_timeout").await, Some(1.0));
    stack.clear_faults();

    stack.crash();
    let line = r#"tripstream_api_producer_errors_total{code="AllBrokersDown"}"#;
    let told = async {
        while api.metric(line).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, told).await.expect("librdkafka tells that nobody is there");
    stack.restart();
    api.stop().await.unwrap();
}

/// Asks for a complete trip; gives the status.
async fn post(process: &Process, id: &str) -> u16 {
    let url = format!("{}/api/generate-complete-trip", process.url);
    let request = reqwest::Client::new().post(url).header(ID, id).header(PARENT.0, PARENT.1);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_log_names_the_request_of_each_event() {
    let stack = dev_stack();
    let process = Process::ready(&config_for(&stack), &["--log-level", "producer_api=debug"]).await;
    assert_eq!(post(&process, "fine").await, 200);
    stack.inject(Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce));
    assert_eq!(post(&process, "refused").await, 502);
    let log = process.log();
    let find = |id: &str, message: &str| {
        let is_it = |line: &&Value| {
            line["span"]["request_id"] == id && line["message"].as_str().unwrap().contains(message)
        };
        log.iter().find(is_it).unwrap_or_else(|| panic!("{id} {message} is not in {log:#?}"))
    };
    let answered = find("fine", "answered");
    assert_eq!((&answered["level"], &answered["status"]), (&json!("DEBUG"), &json!(200)));
    assert!(answered["took_ms"].as_f64().unwrap() > 0.0);
    let span = &answered["span"];
    assert_eq!(span["route"], "/api/generate-complete-trip");
    assert_eq!((&span["method"], &span["name"]), (&json!("POST"), &json!("request")));
    assert_eq!(span["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let failed = find("refused", "request failed: ");
    assert_eq!((&failed["level"], &failed["status"]), (&json!("WARN"), &json!(502)));
    let lost = log.iter().find(|line| line["message"] == "records not delivered to Kafka").unwrap();
    assert_eq!((&lost["request_id"], &lost["level"]), (&json!("refused"), &json!("WARN")));
}

#[tokio::test]
async fn a_failure_names_its_request_whatever_else_is_logged() {
    let stack = dev_stack();
    let process = Process::ready(&config_for(&stack), &["--log-level", "warn"]).await;
    stack.inject(Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce));
    assert_eq!(post(&process, "refused").await, 502);
    let log = process.log();
    let is_it = |line: &&Value| {
        line["message"].as_str().is_some_and(|text| text.starts_with("request failed: "))
    };
    let span = &log.iter().find(is_it).unwrap_or_else(|| panic!("{log:#?}"))["span"];
    assert_eq!(span["request_id"], "refused", "{log:#?}");
    assert_eq!(span["route"], "/api/generate-complete-trip");
}

#[tokio::test]
async fn many_requests_make_few_lines() {
    let stack = dev_stack();
    let process = Process::ready(&config_for(&stack), &[]).await;
    let began = Instant::now();
    let mut failed = 0;
    for number in 0..200 {
        if number % 2 == 0 {
            stack.inject(Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce));
        }
        failed += u64::from(post(&process, "r").await == 502);
        // One that the server refuses by itself, before we see it.
        let garbage = reqwest::Client::new().post(&process.url).header("X", "y".repeat(140_000));
        assert_eq!(garbage.send().await.unwrap().status().as_u16(), 431);
    }
    let seconds = began.elapsed().as_secs() + 2;
    let log = process.log();
    assert!(failed > 50, "{failed}");
    let told = log.iter().map(|line| {
        let message = line["message"].as_str().unwrap();
        let rest = message.strip_suffix(" more requests failed").map(|n| n.parse().unwrap());
        let own = u64::from(message.starts_with("request failed: "));
        rest.unwrap_or(own + line["more"].as_u64().unwrap_or(0))
    });
    assert_eq!(told.sum::<u64>(), failed, "{log:#?}");
    let about_requests = log.iter().filter(|line| line["level"] != "INFO").count() as u64;
    // A failed request's, and one of records that were not delivered.
    assert!(about_requests <= 2 * seconds, "{about_requests} in {seconds} s: {log:#?}");
}
