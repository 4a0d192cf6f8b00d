//! Every endpoint with good and bad requests, against a Kafka that takes everything.

use devstack::DevStack;
use serde_json::{Value, json};

use crate::harness::{Api, JSON, config_for, dev_stack};

const TRIP_FIELDS: [&str; 8] = [
    "trip_id",
    "driver_id",
    "duration",
    "mileage",
    "pickup_location",
    "destination_location",
    "start_time",
    "completion_time",
];
const DRIVER_FIELDS: [&str; 3] = ["driver_id", "trip_id", "earnings_from_trip"];
const RIDER_FIELDS: [&str; 7] = [
    "rider_id",
    "trip_id",
    "duration_estimate",
    "initial_fare_estimate",
    "final_adjusted_fare",
    "payment_status",
    "rating_to_driver",
];
const COMPLETE_FIELDS: [&str; 4] = ["trip_id", "trip_data", "driver_earning_data", "rider_data"];

fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn api() -> (DevStack, Api) {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    (stack, api)
}

#[tokio::test]
async fn good_requests_are_answered_with_the_records_in_the_contracts_order() {
    let (_stack, api) = api().await;
    for (path, order) in [
        ("/api/generate-trip", &TRIP_FIELDS[..]),
        ("/api/generate-driver-earning", &DRIVER_FIELDS),
        ("/api/generate-rider", &RIDER_FIELDS),
    ] {
        let answer = api.post(path, &json!({})).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, JSON), "{path}");
        assert_eq!(fields(&answer.json()), order, "{path}");
    }
    let trip = api.post("/api/generate-complete-trip", &json!({})).await.json();
    assert_eq!(fields(&trip), COMPLETE_FIELDS);
    assert_eq!(fields(&trip["trip_data"]), TRIP_FIELDS);
    assert_eq!(fields(&trip["driver_earning_data"]), DRIVER_FIELDS);
    assert_eq!(fields(&trip["rider_data"]), RIDER_FIELDS);
    for side in &COMPLETE_FIELDS[1..] {
        assert_eq!(trip[side]["trip_id"], trip["trip_id"]);
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn given_fields_are_taken_over_and_others_drawn() {
    let (_stack, api) = api().await;
    let trip = json!({ "trip_id": "t", "pickup_location": "here\nthere", "mileage": null, "x": 1 });
    let trip = api.post("/api/generate-trip", &trip).await.json();
    assert_eq!((&trip["trip_id"], &trip["pickup_location"]), (&json!("t"), &json!("here\nthere")));
    assert!(trip["mileage"].as_str().unwrap().ends_with(" miles"), "{trip}");

    let earning = json!({ "earnings_from_trip": "12.5", "driver_id": "d" });
    let earning = api.post("/api/generate-driver-earning", &earning).await.json();
    assert_eq!(
        (&earning["earnings_from_trip"], &earning["driver_id"]),
        (&json!(12.5), &json!("d"))
    );

    let rider = json!({ "rating_to_driver": 3.0, "payment_status": "Refunded" });
    let rider = api.post("/api/generate-rider", &rider).await.json();
    assert_eq!(
        (&rider["rating_to_driver"], &rider["payment_status"]),
        (&json!(3), &json!("Refunded"))
    );

    // As pydantic writes a number that JSON has no word for.
    let odd = api.ask(
        "POST",
        "/api/generate-driver-earning",
        Some(JSON),
        r#"{"earnings_from_trip": NaN}"#,
    );
    assert_eq!(odd.await.json()["earnings_from_trip"], Value::Null);
    api.stop().await.unwrap();
}

#[tokio::test]
async fn as_many_trips_are_answered_as_were_asked_for() {
    let (_stack, api) = api().await;
    for number in [0, 1, 2, 100, 1_000] {
        let answer = api.trips(number).await;
        assert_eq!(answer.status, 200, "{number}");
        let trips = answer.json();
        let ids: std::collections::HashSet<_> = trips
            .as_array()
            .unwrap()
            .iter()
            .map(|trip| trip["trip_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), number as usize);
    }
    assert_eq!(api.trips(0).await.text, "[]");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn bad_bodies_are_refused_in_fastapis_words() {
    let (_stack, api) = api().await;
    let trips = "/api/generate-multiple-trips";
    let rider = "/api/generate-rider";
    let whole = "Input should be a valid dictionary or object to extract fields from";
    let int = "Input should be a valid integer, unable to parse string as an integer";
    #[rustfmt::skip]
    let cases = [
        (trips, Some(JSON), r#"{"number_of_trips":"x"}"#, 422, json!([
            {"type": "int_parsing", "loc": ["body", "number_of_trips"], "msg": int, "input": "x"}])),
        (trips, Some(JSON), "{}", 422, json!([
            {"type": "missing", "loc": ["body", "number_of_trips"], "msg": "Field required", "input": {}}])),
        (trips, Some(JSON), r#"{"number_of_trips":1001}"#, 422, json!([
            {"type": "less_than_equal", "loc": ["body", "number_of_trips"],
             "msg": "Input should be less than or equal to 1000", "input": 1001, "ctx": {"le": 1000}}])),
        (trips, Some(JSON), r#"{"number_of_trips":-1}"#, 422, json!([
            {"type": "greater_than_equal", "loc": ["body", "number_of_trips"],
             "msg": "Input should be greater than or equal to 0", "input": -1, "ctx": {"ge": 0}}])),
        (trips, Some(JSON), "{", 422, json!([
            {"type": "json_invalid", "loc": ["body", 1], "msg": "JSON decode error", "input": {},
             "ctx": {"error": "Expecting property name enclosed in double quotes"}}])),
        (trips, Some(JSON), "", 422, json!([
            {"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}])),
        (trips, None, r#"{"number_of_trips":1}"#, 422, json!([
            {"type": "model_attributes_type", "loc": ["body"], "msg": whole, "input": r#"{"number_of_trips":1}"#}])),
        (rider, Some(JSON), r#"{"rating_to_driver":"x","rider_id":1}"#, 422, json!([
            {"type": "string_type", "loc": ["body", "rider_id"], "msg": "Input should be a valid string", "input": 1},
            {"type": "int_parsing", "loc": ["body", "rating_to_driver"], "msg": int, "input": "x"}])),
        (rider, Some(JSON), "[]", 422, json!([
            {"type": "model_attributes_type", "loc": ["body"], "msg": whole, "input": []}])),
    ];
    for (path, content_type, body, status, detail) in cases {
        let answer = api.ask("POST", path, content_type, body).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, JSON), "{path} {body}");
        assert_eq!(answer.json(), json!({ "detail": detail }), "{path} {body}");
    }
    let unreadable = api.ask("POST", rider, Some(JSON), vec![b'"', 0xFF]).await;
    assert_eq!(unreadable.status, 400);
    assert_eq!(unreadable.json(), json!({ "detail": "There was an error parsing the body" }));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large() {
    let (_stack, api) = api().await;
    let body = |padding: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(padding));
    let largest = api.ask("POST", "/api/generate-trip", Some(JSON), body(64 * 1024 - 8)).await;
    assert_eq!(largest.status, 200);
    for excess in [1, 10_000_000] {
        let answer =
            api.ask("POST", "/api/generate-trip", Some(JSON), body(64 * 1024 - 8 + excess));
        let answer = answer.await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.json(), json!({ "detail": "Content Too Large" }));
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_as_fastapi_does() {
    let (_stack, api) = api().await;
    let not_found = json!({ "detail": "Not Found" });
    let wrong_method = json!({ "detail": "Method Not Allowed" });
    for (method, path, status, detail, allow) in [
        ("GET", "/", 404, &not_found, None),
        ("POST", "/api/generate-bus", 404, &not_found, None),
        ("POST", "/API/generate-trip", 404, &not_found, None),
        ("POST", "/api/generate-bus/", 404, &not_found, None),
        ("GET", "/docs/no-such-file", 404, &not_found, None),
        ("GET", "/api/generate-trip", 405, &wrong_method, Some("POST")),
        ("PUT", "/api/generate-complete-trip", 405, &wrong_method, Some("POST")),
        ("OPTIONS", "/api/generate-multiple-trips", 405, &wrong_method, Some("POST")),
        ("POST", "/docs", 405, &wrong_method, Some("GET, HEAD")),
        ("DELETE", "/openapi.json", 405, &wrong_method, Some("GET, HEAD")),
    ] {
        let answer = api.ask(method, path, None, "").await;
        assert_eq!((answer.status, &answer.json()), (status, detail), "{method} {path}");
        assert_eq!(answer.allow.as_deref(), allow, "{method} {path}");
    }
    for (path, location) in [
        ("/api/generate-trip/", "/api/generate-trip"),
        ("/api/generate-trip/?a=b", "/api/generate-trip?a=b"),
        ("/docs/", "/docs"),
        ("/redoc/", "/redoc"),
    ] {
        let answer = api.ask("POST", path, None, "").await;
        assert_eq!((answer.status, answer.location.as_deref()), (307, Some(location)));
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn the_documentation_is_served() {
    let (_stack, api) = api().await;
    let document = api.ask("GET", "/openapi.json", None, "").await;
    assert_eq!((document.status, document.content_type.as_str()), (200, JSON));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let limit = "/components/schemas/GenerateTrips/properties/number_of_trips/maximum";
    assert_eq!(document.pointer(limit), Some(&json!(1_000)));
    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
    ] {
        let answer = api.ask("GET", path, None, "").await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, content_type), "{path}");
    }
    assert_eq!(api.ask("HEAD", "/docs", None, "").await.status, 200);
    for method in ["GET", "HEAD"] {
        let answer = api.ask(method, "/redoc", None, "").await;
        assert_eq!((answer.status, answer.location.as_deref()), (307, Some("/docs")), "{method}");
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn requests_and_records_are_counted() {
    let (_stack, api) = api().await;
    api.trips(5).await;
    api.ask("POST", "/api/generate-trip", Some(JSON), "[]").await;
    let requests = "tripstream_api_requests_total{route=";
    let count = async |rest: &str| api.metric(&format!("{requests}{rest}}}")).await;
    assert_eq!(count(r#""/api/generate-multiple-trips",status="200""#).await, Some(1.0));
    assert_eq!(count(r#""/api/generate-trip",status="422""#).await, Some(1.0));
    for topic in ["hw.fake.trips", "hw.fake.drivers", "hw.fake.riders"] {
        let line = format!(r#"tripstream_api_records_total{{topic="{topic}",result="delivered"}}"#);
        assert_eq!(api.metric(&line).await, Some(5.0), "{topic}");
    }
    api.stop().await.unwrap();
}
