//! Who may use the endpoints, and from which pages.

use std::process::Command;

use models::secret::Secret;
use producer_api::ProducerApiConfig;
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Api, DEADLINE, TRIPS, config_for, dev_stack};
use crate::topics::rows_by_trip;

const TOKEN: &str = "mF_9.B5f-4.1JqM";
const RIGHT: (&str, &str) = ("Authorization", "Bearer mF_9.B5f-4.1JqM");
const PATHS: [&str; 5] = [
    "/api/generate-trip",
    "/api/generate-driver-earning",
    "/api/generate-rider",
    "/api/generate-complete-trip",
    TRIPS,
];

fn with_token(mut config: ProducerApiConfig) -> ProducerApiConfig {
    config.producer.bearer_token = Some(Secret::new(TOKEN));
    config
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_endpoints_ask_for_the_token_and_nothing_else_does() {
    let stack = dev_stack();
    let config = with_token(config_for(&stack));
    let api = Api::ready(config.clone()).await;
    let body = json!({ "number_of_trips": 1 });
    for path in PATHS {
        for (headers, challenge, detail) in [
            (&[][..], "Bearer", "Not authenticated"),
            (&[("Authorization", "Basic dTpw")], "Bearer", "Not authenticated"),
            (
                &[("Authorization", "Bearer other")],
                "Bearer error=\"invalid_token\"",
                "Invalid authentication credentials",
            ),
        ] {
            let answer = api.send(path, headers, &body).await;
            assert_eq!(answer.status(), 401, "{path} {headers:?}");
            assert_eq!(header(&answer, WWW_AUTHENTICATE), Some(challenge), "{path}");
            let text: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(text, json!({ "detail": detail }), "{path}");
        }
        let answer = api.send(path, &[RIGHT], &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, WWW_AUTHENTICATE), None);
    }
    for path in ["/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"] {
        assert_eq!(api.ask("GET", path, None, "").await.status, 200, "{path}");
    }
    assert_eq!(api.ask("GET", "/redoc", None, "").await.status, 307);
    for (reason, count) in [("no_token", 10.0), ("wrong_token", 5.0)] {
        let line = format!(r#"tripstream_api_refusals_total{{reason="{reason}"}}"#);
        assert_eq!(api.metric(&line).await, Some(count));
    }
    let document = api.ask("GET", "/openapi.json", None, "").await.json();
    let scheme = &document["components"]["securitySchemes"]["HTTPBearer"];
    assert_eq!(scheme, &json!({ "type": "http", "scheme": "bearer" }));
    api.stop().await.unwrap();
    // That of the complete trip and the one of several; the others wrote one row each.
    let complete = rows_by_trip(&config).values().filter(|rows| **rows == [1; 3]).count();
    assert_eq!(complete, 2, "who is not let in writes nothing");
}

#[tokio::test]
async fn without_a_token_everybody_is_let_in_and_none_is_documented() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    assert_eq!(api.post_with(TRIPS, &[RIGHT], &json!({ "number_of_trips": 1 })).await.status, 200);
    let document = api.ask("GET", "/openapi.json", None, "").await;
    assert!(!document.text.contains("HTTPBearer"));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_not_let_in_is_told_before_the_body_is_read_and_sent_away() {
    let stack = dev_stack();
    let api = Api::start(with_token(config_for(&stack)));
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = TcpStream::connect(api.addr).await.unwrap();
        let head = format!("POST {TRIPS} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, client.read_to_end(&mut answer)).await;
        read.expect("an answer comes without a body, then the end").unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 401 "), "{framing}: {answer:?}");
    }
    api.stop().await.unwrap();
}

#[test]
fn the_token_is_masked_and_one_that_cannot_be_sent_is_a_configuration_error() {
    let run = |token: &str, flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_producer-api"));
        // Out of reach of this repository's configuration.
        command.current_dir(std::env::temp_dir()).args(flags);
        command.arg("--set").arg(format!("producer.bearer_token={token}")).output().unwrap()
    };
    let shown = run("s3cret", &["--print-config"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("bearer_token = \"********\"") && !text.contains("s3cret"), "{text}");

    let refused = run("s3 cret", &[]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("producer.bearer_token") && !text.contains("s3 cret"), "{text}");
}

async fn preflight(api: &Api, origin: &str) -> Response {
    let request = Client::new().request(Method::OPTIONS, format!("{}{TRIPS}", api.url));
    request
        .header(ORIGIN, origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type,authorization,idempotency-key")
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn pages_of_the_origins_may_use_the_api_and_their_preflight_needs_no_token() {
    const OURS: &str = "https://app.example.com";
    let stack = dev_stack();
    let mut config = with_token(config_for(&stack));
    config.producer.cors_origins = vec!["http://localhost:3000".to_owned(), OURS.to_owned()];
    let api = Api::ready(config).await;

    let allowed = preflight(&api, OURS).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(header(&allowed, ACCESS_CONTROL_ALLOW_ORIGIN), Some(OURS));
    let methods = header(&allowed, ACCESS_CONTROL_ALLOW_METHODS).unwrap();
    assert!(methods.contains("GET") && methods.contains("POST"), "{methods}");
    let headers = header(&allowed, ACCESS_CONTROL_ALLOW_HEADERS).unwrap().to_lowercase();
    for name in
        ["content-type", "authorization", "idempotency-key", "tripstream-atomic", "traceparent"]
    {
        assert!(headers.split(',').any(|allowed| allowed.trim() == name), "{name}: {headers}");
    }
    let other = preflight(&api, "https://app.example.com.evil.org").await;
    assert_eq!(other.status(), 400);
    assert_eq!(header(&other, ACCESS_CONTROL_ALLOW_ORIGIN), None);

    // The page is to read answers of each kind, and what they say in headers.
    let body = json!({ "number_of_trips": 1 });
    for (headers, status) in [(&[("Origin", OURS), RIGHT][..], 200), (&[("Origin", OURS)], 401)] {
        let answer = api.send(TRIPS, headers, &body).await;
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, ACCESS_CONTROL_ALLOW_ORIGIN), Some(OURS));
        assert!(header(&answer, VARY).unwrap().contains("Origin"));
        let exposed = header(&answer, ACCESS_CONTROL_EXPOSE_HEADERS).unwrap().to_lowercase();
        for name in ["x-request-id", "idempotent-replayed", "retry-after"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    let answer = api.send(TRIPS, &[("Origin", "https://other.example"), RIGHT], &body).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, ACCESS_CONTROL_ALLOW_ORIGIN)),
        (200, None)
    );
    api.stop().await.unwrap();
}

#[tokio::test]
async fn without_origins_no_answer_speaks_of_them_and_a_star_allows_all() {
    let stack = dev_stack();
    for (origins, expected) in [(&[][..], None), (&["*"], Some("*"))] {
        let mut config = config_for(&stack);
        config.producer.cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let api = Api::start(config);
        let preflight = preflight(&api, "https://any.example").await;
        assert_eq!(header(&preflight, ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        let answer = api.send(TRIPS, &[("Origin", "https://any.example")], &json!({})).await;
        assert_eq!(answer.status(), 422);
        assert_eq!(header(&answer, ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        let speaks =
            answer.headers().keys().any(|name| name.as_str().starts_with("access-control"));
        assert_eq!(speaks, expected.is_some(), "{:?}", answer.headers());
        api.stop().await.unwrap();
    }
}
