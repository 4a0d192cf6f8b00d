//! The registry client against a server that answers what a test tells it to.
#![allow(clippy::unwrap_used, reason = "a server that can't be set up fails the test")]

mod samples;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use avro_schemas::{
    DecodeError, Decoded, Encoder, ReadError, Record, RecordType, RegistryClient, RegistryConfig,
    RegistryError, SchemaCache, SchemaId,
};
use models::Side;
use models::records::{DriverEarning, Trip};
use models::secret::Secret;

/// What the server answers: a status and a body; or, for [`SILENCE`], nothing for a long time.
type Answer = (u16, String);

const SILENCE: u16 = 599;

/// What the server was asked: method and path, authorization, body.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    line: String,
    authorization: Option<String>,
    body: String,
}

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Registry {
    script: Script,
    server: ServerHandle,
    port: u16,
}

async fn answer(request: HttpRequest, body: String, script: web::Data<Script>) -> HttpResponse {
    let authorization =
        request.headers().get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let line = format!("{} {}", request.method(), request.path());
    script.asked.lock().unwrap().push(Asked { line, authorization, body });
    let (status, body) = {
        let mut answers = script.answers.lock().unwrap();
        // The last answer stands for all that follow.
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    };
    if status == SILENCE {
        std::future::pending::<()>().await;
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap())
        .content_type("application/vnd.schemaregistry.v1+json")
        .body(body)
}

impl Registry {
    fn start(answers: impl IntoIterator<Item = (u16, impl Into<String>)>) -> Self {
        let answers = answers.into_iter().map(|(status, body)| (status, body.into())).collect();
        let script = Script { answers: Arc::new(Mutex::new(answers)), asked: Arc::default() };
        let data = web::Data::new(script.clone());
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).default_service(web::to(answer))
        })
        .workers(1)
        .shutdown_timeout(0)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { script, server: handle, port }
    }

    fn config(&self) -> RegistryConfig {
        RegistryConfig {
            url: format!("http://127.0.0.1:{}/apis/ccompat/v7/", self.port),
            timeout: Duration::from_secs(10),
            retries: 2,
            backoff: Duration::from_millis(1),
            ..RegistryConfig::default()
        }
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::new(&self.config()).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }
}

fn schema_answer(record: RecordType) -> String {
    serde_json::json!({ "schema": record.schema_json() }).to_string()
}

const NOT_FOUND: (u16, &str) = (404, r#"{"error_code": 40403, "message": "Schema 7 not found"}"#);
const ID: SchemaId = SchemaId::new(7);

#[actix_web::test]
async fn a_schema_is_registered_under_its_subject_behind_the_path_prefix() {
    let registry = Registry::start([(200, r#"{"id": 7}"#)]);
    let id = registry.client().register("hw.fake.trips-value", RecordType::Trip).await;
    assert_eq!(id, Ok(ID));
    let asked = registry.asked();
    assert_eq!(asked[0].line, "POST /apis/ccompat/v7/subjects/hw.fake.trips-value/versions");
    let body: serde_json::Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(body["schemaType"], "AVRO");
    assert_eq!(body["schema"], RecordType::Trip.schema_json());
    assert_eq!(asked[0].authorization, None);
}

#[actix_web::test]
async fn credentials_are_sent_and_never_shown() {
    let registry = Registry::start([(401, "")]);
    let secret = Secret::new("key:hunter2");
    let config = RegistryConfig { basic_auth: Some(secret), ..registry.config() };
    let client = RegistryClient::new(&config).unwrap();
    let error = client.schema(ID).await.expect_err("401");
    // base64 of key:hunter2
    assert_eq!(registry.asked()[0].authorization.as_deref(), Some("Basic a2V5Omh1bnRlcjI="));
    assert_eq!(registry.asked().len(), 1, "a wrong password is not tried again");
    assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
    assert!(error.is_outage());
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("hunter2") && !text.contains("a2V5"), "{text}");
    }
}

#[actix_web::test]
async fn empty_credentials_are_none() {
    let registry = Registry::start([NOT_FOUND]);
    let config = RegistryConfig { basic_auth: Some(Secret::new(" ")), ..registry.config() };
    RegistryClient::new(&config).unwrap().reachable().await.unwrap();
    assert_eq!(registry.asked()[0].authorization, None);
}

/// One answer for good: how often it is asked for, whether it counts as an outage, and what is said.
#[actix_web::test]
async fn answers_are_told_apart() {
    let json = |code: u32| format!(r#"{{"error_code": {code}, "message": "said so"}}"#);
    let html = "<html>nothing here</html>".to_owned();
    let cases = [
        (404, json(40403), 1, false, "has no schema 7"),
        (404, json(404), 1, true, "check [registry] url"),
        (404, html.clone(), 1, true, "check [registry] url"),
        (200, html.clone(), 1, true, "check [registry] url"),
        (200, "{}".to_owned(), 1, true, "check [registry] url"),
        (401, json(401), 1, true, "check [registry] basic_auth"),
        (403, html.clone(), 1, true, "check [registry] basic_auth"),
        (429, json(429), 3, true, "3 attempts: 429 Too Many Requests (error 429: said so)"),
        (500, json(50001), 3, true, "3 attempts: 500 Internal Server Error (error 50001: said so)"),
        (500, html.clone(), 3, true, "3 attempts: 500 Internal Server Error"),
        (503, html.clone(), 3, true, "3 attempts: 503 Service Unavailable"),
        (504, html, 3, true, "3 attempts: 504 Gateway Timeout"),
    ];
    for (status, body, attempts, outage, expected) in cases {
        let registry = Registry::start([(status, body.clone())]);
        let error = registry.client().schema(ID).await.expect_err(&body);
        let case = format!("{status} {body}: {error}");
        assert_eq!(registry.asked().len(), attempts, "{case}");
        assert_eq!(error.is_outage(), outage, "{case}");
        assert!(error.to_string().contains(expected), "{case}");
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", registry.port)), "{case}");
    }
}

#[actix_web::test]
async fn an_id_that_no_registry_can_give_is_unknown_without_asking() {
    let registry = Registry::start([(404, r#"{"error_code":0}"#)]);
    let error = registry.client().schema(SchemaId::new(u32::MAX)).await.unwrap_err();
    assert!(matches!(error, RegistryError::UnknownId { .. }), "{error}");
    assert!(registry.asked().is_empty());
}

#[actix_web::test]
async fn an_incompatible_schema_is_refused_with_the_registry_s_words() {
    for (status, code) in [(409, 409), (422, 42201)] {
        let body = format!(r#"{{"error_code": {code}, "message": "READER_FIELD_MISSING"}}"#);
        let registry = Registry::start([(status, body)]);
        let error =
            registry.client().register("s-value", RecordType::Rider).await.expect_err("409");
        assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
        assert!(!error.is_outage());
        let text = error.to_string();
        assert!(text.contains("register com.example.Rider for subject s-value"), "{text}");
        assert!(text.contains("READER_FIELD_MISSING"), "{text}");
        assert_eq!(registry.asked().len(), 1);
    }
}

/// What a registry says when `hw.fake.trips-value` is looked up.
const FOUND: &str = r#"{"subject": "hw.fake.trips-value", "version": 3, "id": 7, "schema": "..."}"#;
const NO_SUBJECT: &str = r#"{"error_code": 40401, "message": "Subject 's-value' not found."}"#;

#[actix_web::test]
async fn where_writing_is_forbidden_a_schema_is_looked_up() {
    let forbidden = r#"{"error_code": 40301, "message": "User is denied operation Write"}"#;
    for forbidden in [forbidden, "<html>no</html>"] {
        let registry = Registry::start([(403, forbidden), (200, FOUND)]);
        let id = registry.client().register("hw.fake.trips-value", RecordType::Trip).await;
        assert_eq!(id, Ok(ID));
        let lines: Vec<_> = registry.asked().into_iter().map(|asked| asked.line).collect();
        let subject = "POST /apis/ccompat/v7/subjects/hw.fake.trips-value";
        assert_eq!(lines, [format!("{subject}/versions"), subject.to_owned()]);
        let body: serde_json::Value = serde_json::from_str(&registry.asked()[1].body).unwrap();
        assert_eq!(body["schema"], RecordType::Trip.schema_json());
        assert_eq!(body["schemaType"], "AVRO");
    }
    let registry = Registry::start([(403, forbidden), (404, NO_SUBJECT)]);
    let error = registry.client().register("s-value", RecordType::Trip).await.unwrap_err();
    assert!(error.is_outage(), "somebody may register it");
    let text = error.to_string();
    for part in ["com.example.Trip", "subject s-value", "403", "denied operation Write"] {
        assert!(text.contains(part), "{text}");
    }
    let registry = Registry::start([(403, forbidden)]);
    let error = registry.client().register("s-value", RecordType::Trip).await.unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    assert_eq!(registry.asked().len(), 2);
}

#[actix_web::test]
async fn without_auto_register_a_schema_is_only_looked_up() {
    let registry = Registry::start([(200, FOUND), (404, NO_SUBJECT)]);
    let config = RegistryConfig { auto_register: false, ..registry.config() };
    let client = RegistryClient::new(&config).unwrap();
    assert_eq!(client.register("hw.fake.trips-value", RecordType::Trip).await, Ok(ID));
    let error = client.register("s-value", RecordType::Trip).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotRegistered { .. }), "{error:?}");
    assert!(error.to_string().contains("auto_register is off"), "{error}");
    let lines: Vec<_> = registry.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        [
            "POST /apis/ccompat/v7/subjects/hw.fake.trips-value",
            "POST /apis/ccompat/v7/subjects/s-value"
        ]
    );
}

#[actix_web::test]
async fn addresses_are_tried_in_turn() {
    let schema = schema_answer(RecordType::Trip);
    let away = Registry::start([(503, "")]);
    let here = Registry::start([(200, schema)]);
    let idle = Registry::start([(200, "")]);
    let list = [&away, &here, &idle].map(|registry| registry.config().url).join(", ");
    let config = RegistryConfig { url: list, ..here.config() };
    let found = RegistryClient::new(&config).unwrap().schema(ID).await.expect("the second answers");
    assert_eq!(found.record_type(), Some(RecordType::Trip));
    assert_eq!([&away, &here, &idle].map(|registry| registry.asked().len()), [1, 1, 0]);

    let unknown = Registry::start([NOT_FOUND]);
    let list = [&away, &unknown, &here].map(|registry| registry.config().url).join(",");
    let config = RegistryConfig { url: list, ..here.config() };
    let error = RegistryClient::new(&config).unwrap().schema(ID).await.unwrap_err();
    assert!(matches!(error, RegistryError::UnknownId { .. }), "{error}");
    assert_eq!(here.asked().len(), 1, "who answers is believed");

    let other = Registry::start([(500, "")]);
    let list = [&away, &other].map(|registry| registry.config().url).join(",");
    let config = RegistryConfig { url: list, ..here.config() };
    let text = RegistryClient::new(&config).unwrap().schema(ID).await.unwrap_err().to_string();
    for part in [&away.port.to_string(), &other.port.to_string(), "3 attempts", "503", "500"] {
        assert!(text.contains(part), "{text}");
    }
}

#[actix_web::test]
async fn a_request_is_sent_again_until_it_succeeds() {
    let registry = Registry::start([
        (503, String::new()),
        (429, String::new()),
        (200, schema_answer(RecordType::Trip)),
    ]);
    let schema = registry.client().schema(ID).await.expect("the third answer");
    assert_eq!(schema.record_type(), Some(RecordType::Trip));
    assert_eq!(registry.asked().len(), 3);
}

#[actix_web::test]
async fn a_subject_that_another_client_registers_at_the_same_moment_is_asked_for_again() {
    let conflict =
        r#"{"error_code": 409, "message": "An artifact with ID 's-value' already exists."}"#;
    let registry = Registry::start([(409, conflict), (200, r#"{"id": 7}"#)]);
    let id = registry.client().register("s-value", RecordType::Rider).await;
    assert_eq!(id.expect("the second answer").get(), 7);
}

#[actix_web::test]
async fn silence_ends_with_the_time_out() {
    let registry = Registry::start([(SILENCE, "")]);
    let config =
        RegistryConfig { timeout: Duration::from_millis(50), retries: 1, ..registry.config() };
    let error = RegistryClient::new(&config).unwrap().schema(ID).await.expect_err("no answer");
    assert!(matches!(error, RegistryError::Unavailable { attempts: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[actix_web::test]
async fn nobody_listening_is_an_outage() {
    let registry = Registry::start([NOT_FOUND]);
    let client = registry.client();
    assert_eq!(client.reachable().await, Ok(()), "a registry without schema 1 is a registry");
    registry.server.stop(false).await;
    // Nobody else gets the port, and nobody listens on it.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of sockets");
    socket.bind(([127, 0, 0, 1], registry.port).into()).expect("the port is free again");
    let error = client.reachable().await.expect_err("it was stopped");
    assert!(matches!(error, RegistryError::Unavailable { attempts: 1, .. }), "{error:?}");
    let error = client.schema(ID).await.expect_err("it was stopped");
    assert!(matches!(error, RegistryError::Unavailable { attempts: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

fn framed<T: Record>(record: &T) -> Vec<u8> {
    let mut value = Vec::new();
    Encoder::new(ID).encode(record, &mut value).expect("a record fits its schema");
    value
}

#[actix_web::test]
async fn failures_are_not_remembered_and_successes_are() {
    let registry = Registry::start([
        NOT_FOUND,
        (500, ""),
        (500, ""),
        (500, ""),
        (200, &schema_answer(RecordType::Trip)),
    ]);
    let cache = SchemaCache::new(registry.client()).remembering_missing_for(Duration::ZERO);
    let value = framed(&samples::trip());
    assert_eq!(cache.decode::<Trip>(&value), Ok(Decoded::NeedsSchema(ID)));
    let row = cache.decode_fetching::<Trip>(&value).await;
    assert_eq!(row, Err(ReadError::Row(DecodeError::UnknownSchema { id: ID })));
    let outage = cache.decode_fetching::<Trip>(&value).await;
    assert!(matches!(outage, Err(ReadError::Outage(_))), "{outage:?}");
    assert_eq!(cache.decode_fetching::<Trip>(&value).await, Ok(samples::trip()));
    assert_eq!(registry.asked().len(), 5);
    assert_eq!(cache.decode::<Trip>(&value), Ok(Decoded::Record(samples::trip())));
    cache.fetch(ID).await.expect("it is known");
    assert_eq!(registry.asked().len(), 5, "what is known isn't asked for");
    let wrong = cache.decode::<DriverEarning>(&value);
    assert!(matches!(wrong, Err(DecodeError::WrongType { .. })), "{wrong:?}");
}

#[actix_web::test]
async fn rows_with_an_id_that_doesn_t_exist_cost_one_request() {
    const ROWS: usize = 20_000;
    let registry = Registry::start([NOT_FOUND]);
    let cache = SchemaCache::new(registry.client()).remembering_missing_for(Duration::MAX);
    let value = framed(&samples::trip());
    let unknown = DecodeError::UnknownSchema { id: ID };
    assert_eq!(cache.row(Side::Trip, &value), Ok(Decoded::NeedsSchema(ID)));
    for _ in 0..ROWS {
        let row = cache.decode_fetching::<Trip>(&value).await;
        assert_eq!(row, Err(ReadError::Row(unknown.clone())));
        assert_eq!(cache.row(Side::Trip, &value), Err(unknown.clone()));
        assert_eq!(cache.decode::<Trip>(&value), Err(unknown.clone()));
    }
    assert_eq!(registry.asked().len(), 1);
}

#[actix_web::test]
async fn a_schema_that_is_registered_later_is_found() {
    let registry = Registry::start([NOT_FOUND, (200, &schema_answer(RecordType::Trip))]);
    let cache =
        SchemaCache::new(registry.client()).remembering_missing_for(Duration::from_millis(50));
    let value = framed(&samples::trip());
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut rejected = 0;
    let trip = loop {
        assert!(Instant::now() < deadline, "{rejected} rows later it is not found yet");
        match cache.decode_fetching::<Trip>(&value).await {
            Ok(trip) => break trip,
            Err(error) => {
                assert_eq!(error, ReadError::Row(DecodeError::UnknownSchema { id: ID }));
                rejected += 1;
            }
        }
    };
    assert_eq!((trip, registry.asked().len()), (samples::trip(), 2));
    assert!(rejected > 1, "the first answer was remembered");
}

#[actix_web::test]
async fn a_registered_schema_is_known() {
    let registry = Registry::start([(200, r#"{"id": 7}"#)]);
    let cache = SchemaCache::new(registry.client());
    cache.register("hw.fake.trips-value", RecordType::Trip).await.expect("200");
    let value = framed(&samples::trip());
    assert_eq!(cache.decode::<Trip>(&value), Ok(Decoded::Record(samples::trip())));
    assert_eq!(registry.asked().len(), 1);
}

#[actix_web::test]
async fn schemas_of_another_kind_are_kept_as_unusable() {
    let references =
        r#"{"schema": "\"string\"", "references": [{"name": "a", "subject": "b", "version": 1}]}"#;
    let cases = [
        (r#"{"schema": "{}", "schemaType": "JSON"}"#, "its type is Json"),
        (references, "it refers to other schemas"),
        (r#"{"schema": "not Avro"}"#, ""),
    ];
    for (body, expected) in cases {
        let registry = Registry::start([(200, body)]);
        let cache = SchemaCache::new(registry.client());
        let error = cache.decode_fetching::<Trip>(&framed(&samples::trip())).await;
        match error {
            Err(ReadError::Row(DecodeError::InvalidSchema { why, .. })) => {
                assert!(why.contains(expected), "{body}: {why}");
            }
            other => panic!("{body}: {other:?}"),
        }
        assert!(cache.get(ID).is_some());
    }
}
