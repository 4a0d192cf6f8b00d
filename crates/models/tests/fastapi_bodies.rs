//! The commands against what FastAPI 0.165 with pydantic 2.14 on Python 3.11 answered to the same
//! bodies (`data/fastapi_bodies.json`). The models there had the fields of the contract, all
//! optional but for `number_of_trips`, which was limited to 0..=10,000, and `rating_to_driver` to
//! the range of an Avro `int`.

use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip, GenerateTrips};
use models::validation::Rejection;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const JSON: Option<&str> = Some("application/json");
const MAX_TRIPS: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    path: String,
    content_type: Option<String>,
    body: Option<String>,
    body_hex: Option<String>,
    status: u16,
    answer: Value,
    /// FastAPI accepts or refuses this body, then fails to print its answer.
    #[serde(default, rename = "fastapi_fails")]
    _fastapi_fails: bool,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match (&self.body, &self.body_hex) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(hex)) => hex
                .as_bytes()
                .chunks(2)
                .map(|digits| std::str::from_utf8(digits).expect("ASCII"))
                .map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal digits"))
                .collect(),
            _ => panic!("a case has either `body` or `body_hex`: {self:?}"),
        }
    }
}

/// The status and the body of our answer; of an accepted command, the command itself.
fn answer(path: &str, content_type: Option<&str>, body: &[u8]) -> (u16, Value) {
    // Both sides go through the same parser: its floats may be off by one in the last place.
    fn parsed(json: &str) -> Value {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }
    fn shown<T: Serialize>(outcome: Result<T, Rejection>) -> (u16, Value) {
        match outcome {
            Ok(command) => (200, parsed(&json!(command).to_string())),
            Err(rejection) => (rejection.status(), parsed(&rejection.to_json())),
        }
    }
    match path {
        "generate-trip" => shown(GenerateTrip::from_body(content_type, body)),
        "generate-driver-earning" => shown(GenerateDriverEarning::from_body(content_type, body)),
        "generate-rider" => shown(GenerateRider::from_body(content_type, body)),
        "generate-multiple-trips" => shown(GenerateTrips::from_body(content_type, body, MAX_TRIPS)),
        other => panic!("no such path: {other}"),
    }
}

#[test]
fn bodies_are_answered_as_fastapi_answers_them() {
    let table = include_str!("data/fastapi_bodies.json");
    let cases: Vec<Case> = serde_json::from_str(table).expect("the table is JSON");
    let mut differences = Vec::new();
    for case in &cases {
        let ours = answer(&case.path, case.content_type.as_deref(), &case.bytes());
        if ours != (case.status, case.answer.clone()) {
            differences.push(format!("{case:?}\n  ours: {ours:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

/// The type of the only error in the answer to `{"number_of_trips": <value>}`.
fn error_type(value: &str) -> Option<&'static str> {
    let body = format!("{{\"number_of_trips\": {value}}}");
    match GenerateTrips::from_body(JSON, body.as_bytes(), MAX_TRIPS) {
        Err(Rejection::Invalid(errors)) => errors.first().map(models::validation::FieldError::kind),
        _ => None,
    }
}

#[test]
fn python_limits_on_the_length_of_integers_hold() {
    let digits = |n| "1".repeat(n);
    assert_eq!(error_type(&digits(4300)), Some("less_than_equal"));
    assert_eq!(error_type(&format!("\"{}\"", digits(4300))), Some("less_than_equal"));
    assert_eq!(error_type(&format!("\"{}\"", digits(4301))), Some("int_parsing_size"));
    let body = format!("{{\"earnings_from_trip\": {}}}", digits(400));
    let refused = GenerateDriverEarning::from_body(JSON, body.as_bytes()).unwrap_err();
    assert!(refused.to_json().contains("float_type"), "beyond the largest float");
    let body = format!("{{\"x\": {}}}", digits(4301));
    assert_eq!(GenerateTrip::from_body(JSON, body.as_bytes()), Err(Rejection::Unreadable));
}

#[test]
fn nesting_is_limited_and_needs_little_stack() {
    let nested = |depth: usize| {
        format!("{{\"trip_id\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
    };
    // Half of what a thread has by default.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || {
        for depth in [100, 900] {
            let refused = GenerateTrip::from_body(JSON, &nested(depth)).unwrap_err();
            assert_eq!(refused.status(), 422, "{depth} levels");
            assert!(refused.to_json().contains("string_type"), "{depth} levels");
        }
        for depth in [1_000, 30_000] {
            let refused = GenerateTrip::from_body(JSON, &nested(depth));
            assert_eq!(refused, Err(Rejection::Unreadable), "{depth} levels");
        }
    });
    thread.expect("a thread starts").join().expect("no panic, no overflow");
}

#[test]
fn the_limit_of_trips_is_the_one_that_is_given() {
    let body = br#"{"number_of_trips": 11}"#;
    let refused = GenerateTrips::from_body(JSON, body, 10).unwrap_err();
    assert!(refused.to_json().contains("Input should be less than or equal to 10"));
    assert_eq!(GenerateTrips::from_body(JSON, body, 11), Ok(GenerateTrips { number_of_trips: 11 }));
}

const PATHS: [&str; 4] =
    ["generate-trip", "generate-driver-earning", "generate-rider", "generate-multiple-trips"];

/// A body of one of the endpoints with a few bytes replaced, inserted or cut out.
fn mutated_body() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        Just(r#"{"number_of_trips": 30, "x": [1, -2.5e3, {"b": null}, true, NaN]}"#),
        Just(r#"{"trip_id": "\u00e9\ud83d\ude00\n", "initial_fare_estimate": "1_0.5"}"#),
        Just(r#"{"rating_to_driver": " +04.0 ", "earnings_from_trip": -Infinity}"#),
    ];
    let change =
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..3), 0..3_usize);
    (body, prop::collection::vec(change, 0..4)).prop_map(|(body, changes)| {
        let mut bytes = body.as_bytes().to_vec();
        for (at, inserted, removed) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer_in_json(
        body in prop_oneof![mutated_body(), prop::collection::vec(any::<u8>(), 0..64)],
        content_type in prop_oneof![Just(JSON), Just(None), Just(Some("text/plain"))],
    ) {
        for path in PATHS {
            let (status, answer) = answer(path, content_type, &body);
            prop_assert!(matches!(status, 200 | 400 | 422), "{}", status);
            prop_assert_eq!(status == 200, answer.get("detail").is_none());
        }
    }
}
