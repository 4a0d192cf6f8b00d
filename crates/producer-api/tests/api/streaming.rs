//! Trips as lines, while Kafka acknowledges them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use devstack::{ApiKey, Fault, ResponseError};
use models::records::CompleteTrip;
use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEADLINE, TRIPS, config_for, dev_stack};
use crate::topics::rows_by_trip;
use crate::wire::Connection;

const LINES: &str = "application/x-ndjson";
const ACCEPT: [(&str, &str); 1] = [("Accept", LINES)];
const DELIVERED: &str = r#"tripstream_api_records_total{topic="hw.fake.trips",result="delivered"}"#;
const IN_FLIGHT: &str = "tripstream_api_records_in_flight";

async fn streamed(api: &Api, number: u32) -> Response {
    api.send(TRIPS, &ACCEPT, &json!({ "number_of_trips": number })).await
}

async fn lines(api: &Api, number: u32) -> Answer {
    api.post_with(TRIPS, &ACCEPT, &json!({ "number_of_trips": number })).await
}

/// Waits until the number of delivered trips stays the same, and says it.
async fn at_rest(api: &Api) -> f64 {
    let waiting = async {
        let mut before = None;
        loop {
            let delivered = api.metric(DELIVERED).await.unwrap();
            if before == Some(delivered) && api.metric(IN_FLIGHT).await == Some(0.0) {
                return delivered;
            }
            before = Some(delivered);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("it comes to rest")
}

#[tokio::test]
async fn each_trip_is_a_line_and_lies_in_the_topics() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_streamed = 5_000;
    let api = Api::ready(config.clone()).await;
    let mut expected = BTreeMap::new();
    for number in [0, 1, 256, 257, 3_000] {
        let answer = lines(&api, number).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, LINES), "{number}");
        let trips: Vec<CompleteTrip> =
            answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(trips.len(), number as usize);
        expected.extend(trips.into_iter().map(|trip| (trip.trip_id, [1; 3])));
    }
    let too_many = lines(&api, 5_001).await;
    assert_eq!(too_many.status, 422);
    assert_eq!(too_many.json()["detail"][0]["ctx"], json!({ "le": 5_000 }));
    api.stop().await.unwrap();
    assert_eq!(rows_by_trip(&config), expected);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_plain_lines_and_the_end_of_the_connection() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    let ask = async |version: &str, connection: &str| {
        let body = r#"{"number_of_trips":600}"#;
        let request = format!(
            "POST {TRIPS} HTTP/{version}\r\nHost: x\r\nAccept: {LINES}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{connection}\r\n{body}",
            body.len()
        );
        let mut connection = Connection::open(api.addr).await;
        let answer = connection.ask(&request).await;
        assert!(connection.ended().await.is_empty(), "{request}");
        answer
    };
    // RFC 9112, 6.1: no chunks for who doesn't know them. Only the end of the connection says where the lines end.
    for connection in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
        let answer = ask("1.0", connection).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(LINES)));
        for name in ["transfer-encoding", "content-length", "connection"] {
            assert_eq!(answer.header(name), None, "{name} after {connection:?}");
        }
        let text = String::from_utf8(answer.body).unwrap();
        let trips = text.lines().map(|line| serde_json::from_str::<CompleteTrip>(line).unwrap());
        assert_eq!(trips.count(), 600, "after {connection:?}");
    }
    let chunked = ask("1.1", "Connection: close\r\n").await;
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert!(chunked.body.ends_with(b"\r\n0\r\n\r\n"));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn lines_and_array_are_of_the_same_trips() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.seed = Some(7);
    let mut seen = Vec::new();
    for as_lines in [true, false] {
        let api = Api::ready(config.clone()).await;
        let trips: Vec<CompleteTrip> = if as_lines {
            let answer = lines(&api, 600).await;
            answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        } else {
            serde_json::from_str(&api.trips(600).await.text).unwrap()
        };
        seen.push(trips.into_iter().map(|trip| trip.rider_data).collect::<Vec<_>>());
        api.stop().await.unwrap();
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn trouble_with_the_first_trips_has_its_status_and_later_trouble_is_the_last_line() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_streamed = 100_000;
    let api = Api::ready(config.clone()).await;
    assert_eq!(api.trips(1).await.status, 200);
    let refusal = || Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce);
    stack.inject(refusal());
    assert_eq!(lines(&api, 100).await.status, 502);
    let refused = r#"tripstream_api_refusals_total{reason="delivery_failed"}"#;
    assert_eq!(api.metric(refused).await, Some(1.0));

    let mut response = streamed(&api, 100_000).await;
    assert_eq!(response.status(), 200);
    let mut text = response.chunk().await.unwrap().expect("there are lines").to_vec();
    stack.inject(refusal());
    while let Some(more) = response.chunk().await.unwrap() {
        text.extend_from_slice(&more);
    }
    let text = String::from_utf8(text).unwrap();
    let mut answered: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = answered.pop().unwrap();
    assert!(last["detail"].as_str().unwrap().contains("were not acknowledged by Kafka"), "{last}");
    assert!(last["failed"].as_u64().unwrap() > 0);
    assert_eq!(api.metric(refused).await, Some(2.0), "though the status said 200");
    assert!(!answered.is_empty() && answered.len() < 100_000, "{}", answered.len());
    let ids: HashSet<String> =
        answered.iter().map(|trip| trip["trip_id"].as_str().unwrap().to_owned()).collect();
    at_rest(&api).await;
    api.stop().await.unwrap();
    let found = rows_by_trip(&config);
    assert!(ids.iter().all(|id| found.get(id) == Some(&[1; 3])), "a line is a trip that is there");
}

#[tokio::test]
async fn no_more_trips_are_made_than_a_client_reads() {
    const ALL: u32 = 1_000_000;
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_streamed = ALL;
    let api = Api::ready(config).await;
    // A client that reads nothing: what fits into the sockets' buffers is made, and waits.
    let mut response = streamed(&api, ALL).await;
    let waiting = at_rest(&api).await;
    assert!(waiting < f64::from(ALL) / 10.0, "{waiting}");
    // One that reads some more gets more, and when it goes away, so do the trips.
    let mut read = 0;
    while read < 20_000_000 {
        read += response.chunk().await.unwrap().expect("there is more").len();
    }
    let more = at_rest(&api).await;
    assert!(more > waiting, "{more}");
    drop(response);
    let ended = at_rest(&api).await;
    assert!(ended < f64::from(ALL) / 5.0, "{ended}");
    assert_eq!(api.trips(1).await.status, 200);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn clients_that_stop_reading_leave_the_room_to_others() {
    const STALLED: usize = 40;
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_per_request = 100;
    // Less than what one of them has begun.
    config.producer.queue_records = 3_000;
    let api = Api::ready(config).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(streamed(&api, 1_000_000).await);
    }
    at_rest(&api).await;
    for _ in 0..10 {
        let answer = api.trips(100).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(stalled);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn shutdown_ends_a_stream_with_a_line_that_says_so() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    let response = streamed(&api, 10_000_000).await;
    api.ctx.shutdown.trigger();
    let text = response.text();
    let (text, ended) = tokio::join!(text, api.end());
    ended.unwrap();
    let text = text.unwrap();
    assert_eq!(
        text.lines().last(),
        Some(r#"{"detail":"stopping before all trips were produced"}"#)
    );
}
