//! Bodies that nobody would write: whatever comes, the answer is one that the contract knows.

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::harness::{Api, JSON, TRIPS, config_for, dev_stack};

const BODIES: u64 = 10_000;
/// Requests at once.
const CLIENTS: usize = 16;
const COMPLETE: [&str; 4] = ["trip_id", "trip_data", "driver_earning_data", "rider_data"];

/// An endpoint, good bodies for it, and the fields of a record that it answers with.
struct Endpoint {
    path: &'static str,
    bodies: &'static [&'static str],
    fields: &'static [&'static str],
}

const ENDPOINTS: [Endpoint; 5] = [
    Endpoint {
        path: "/api/generate-trip",
        bodies: &[
            "{}",
            r#"{"trip_id": "\u00e9\ud83d\ude00\n", "driver_id": null, "x": [1, {"b": []}]}"#,
            r#"{"duration": "24 minutes", "mileage": "17 miles", "pickup_location": "a\nb"}"#,
        ],
        fields: &["trip_id", "driver_id", "duration", "mileage", "pickup_location"],
    },
    Endpoint {
        path: "/api/generate-driver-earning",
        bodies: &[
            r#"{"earnings_from_trip": -2.5e3, "driver_id": "d"}"#,
            r#"{"earnings_from_trip": "1_0.5", "trip_id": "t"}"#,
            r#"{"earnings_from_trip": -Infinity}"#,
        ],
        fields: &["driver_id", "trip_id", "earnings_from_trip"],
    },
    Endpoint {
        path: "/api/generate-rider",
        bodies: &[
            r#"{"rating_to_driver": " +04.0 ", "payment_status": "Refunded", "rider_id": "r"}"#,
            r#"{"rating_to_driver": 3.0, "initial_fare_estimate": NaN, "final_adjusted_fare": 1}"#,
        ],
        fields: &["rider_id", "trip_id", "duration_estimate", "payment_status"],
    },
    Endpoint { path: "/api/generate-complete-trip", bodies: &["", "{}"], fields: &COMPLETE },
    Endpoint {
        path: TRIPS,
        bodies: &[r#"{"number_of_trips": 3, "x": true}"#, r#"{"number_of_trips": "2"}"#],
        fields: &COMPLETE,
    },
];

/// Pieces that mean something to a reader of JSON, of numbers or of text.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"0.5",
    b"99999999999999999999",
    b"\\u",
    b"\\ud800",
    b"\\",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"/**/",
    b"\xef\xbb\xbf",
];

/// `body` with a few pieces put in, bytes changed, or parts cut out or repeated.
fn mutated(body: &str, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for _ in 0..random.random_range(0..5) {
        let start = random.random_range(0..=bytes.len());
        let end = (start + random.random_range(0..8)).min(bytes.len());
        match random.random_range(0..5) {
            0 => drop(bytes.drain(start..end)),
            1 => drop(bytes.splice(start..start, bytes[start..end].to_vec())),
            2 => bytes.truncate(start),
            3 if start < bytes.len() => bytes[start] = random.random(),
            _ => {
                let piece = PIECES.choose(random).unwrap().iter().copied();
                drop(bytes.splice(start..end, piece));
            }
        }
    }
    bytes
}

/// What is wrong with an answer, if anything is.
fn fault(endpoint: &Endpoint, status: u16, text: &str) -> Option<&'static str> {
    let Ok(answer) = serde_json::from_str::<Value>(text) else { return Some("no JSON") };
    let is_record = |record: &Value| endpoint.fields.iter().all(|name| record.get(name).is_some());
    let is_error = |error: &Value| {
        error["type"].is_string()
            && error["msg"].is_string()
            && error["loc"].as_array().is_some_and(|loc| loc.first() == Some(&"body".into()))
            && error.get("input").is_some()
    };
    let as_documented = match status {
        200 if endpoint.path == TRIPS => {
            answer.as_array().is_some_and(|trips| trips.iter().all(is_record))
        }
        200 => is_record(&answer),
        400 => answer["detail"] == "There was an error parsing the body",
        422 => answer["detail"]
            .as_array()
            .is_some_and(|errors| !errors.is_empty() && errors.iter().all(is_error)),
        _ => return Some("a status that the contract doesn't know"),
    };
    (!as_documented).then_some("not the documented shape")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mutated_bodies_get_documented_answers() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_trips_per_request = 20;
    let api = Api::ready(config).await;
    let answers = futures::stream::iter(0..BODIES).map(async |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let endpoint = ENDPOINTS.choose(&mut random).unwrap();
        let body = mutated(endpoint.bodies.choose(&mut random).unwrap(), &mut random);
        let content_types = [Some(JSON), Some(JSON), Some(JSON), Some("text/plain"), None];
        let content_type = *content_types.choose(&mut random).unwrap();
        let answer = api.ask("POST", endpoint.path, content_type, body.clone()).await;
        if let Some(fault) = fault(endpoint, answer.status, &answer.text) {
            let body = String::from_utf8_lossy(&body);
            panic!("{fault}: {} {content_type:?} {body:?}: {answer:?}", endpoint.path);
        }
        answer.status
    });
    let statuses: Vec<u16> = answers.buffer_unordered(CLIENTS).collect().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    // Else the mutations are too tame or too wild to say anything.
    assert!(
        count(200) > 1_000 && count(422) > 1_000 && count(400) > 100,
        "{:?}",
        [count(200), count(400), count(422)]
    );
    api.stop().await.unwrap();
}
