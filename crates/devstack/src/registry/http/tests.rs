#![allow(clippy::unwrap_used, reason = "a server that can't be set up fails the test")]

use std::sync::Arc;

use actix_web::dev::ServerHandle;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::*;
use crate::journal::Journal;
use crate::registry::Catalog;
use crate::storage::gate::Gate;

/// A registry that listens somewhere, and a client for it.
struct Running {
    url: String,
    client: Client,
    server: ServerHandle,
}

impl Running {
    fn start(storage: Arc<Gate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let journal = Arc::new(Journal::start(storage));
        let registry = Registry::new(Catalog::load(Vec::new()).unwrap(), journal);
        let server = server(vec![listener], registry).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, client: Client::new(), server: handle }
    }

    /// One whose changes are durable at once.
    fn in_memory() -> Self {
        Self::start(Arc::new(Gate::default()))
    }

    async fn send(&self, line: &str, body: &str) -> (u16, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let response = request.body(body.to_owned()).send().await.unwrap();
        let media_type = response.headers().get("content-type").unwrap();
        assert_eq!(media_type, MEDIA_TYPE, "{line}");
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends requests one after the other and compares their answers.
    async fn converse(&self, prefix: &str, steps: &[(&str, Value, u16, Value)]) {
        for (line, body, status, expected) in steps {
            let line = line.replacen('/', &format!("{prefix}/"), 1);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let (answered, text) = self.send(&line, &body).await;
            let found: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((answered, &found), (*status, expected), "{line} {body}");
        }
    }
}

fn error(code: u32, message: &str) -> Value {
    json!({ "error_code": code, "message": message })
}

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
const NO_DEFAULT: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"c","type":"int"}]}"#;
const DETAILS: &str = r"{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'c' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'c'}";
const NOTHING: Value = Value::Null;

fn schema(text: &str) -> Value {
    json!({ "schema": text })
}

/// What Confluent's registry answers to these requests, in this order.
#[allow(clippy::too_many_lines, reason = "a table")]
fn conversation() -> Vec<(&'static str, Value, u16, Value)> {
    let version = |number: u32, id: u32, text: &str| json!({"subject": "s-value", "version": number, "id": id, "schemaType": "AVRO", "schema": text});
    let invalid_version = |version: &str| {
        error(
            42202,
            &format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
            ),
        )
    };
    let incompatible = format!(
        "Schema being registered is incompatible with an earlier schema for subject \"s-value\", details: [{DETAILS}, {{oldSchemaVersion: 2}}, {{oldSchema: '{V2}'}}, {{validateFields: 'false', compatibility: 'BACKWARD'}}]"
    );
    let messages = json!([
        DETAILS,
        "{oldSchemaVersion: 1}",
        format!("{{oldSchema: '{V1}'}}"),
        "{validateFields: 'false', compatibility: 'BACKWARD'}"
    ]);
    let no_subject = error(40401, "Subject 's-value' not found.");
    let spaced = V1.replace(':', " : ");
    vec![
        ("GET /", NOTHING, 200, json!({})),
        ("GET /subjects", NOTHING, 200, json!([])),
        ("GET /schemas/types", NOTHING, 200, json!(["AVRO"])),
        ("GET /contexts", NOTHING, 200, json!(["."])),
        ("GET /subjects/s-value/versions", NOTHING, 404, no_subject.clone()),
        ("POST /subjects/s-value", schema(V1), 404, no_subject.clone()),
        ("DELETE /subjects/s-value", NOTHING, 404, no_subject.clone()),
        ("GET /subjects/s-value/versions/latest", NOTHING, 404, no_subject),
        ("GET /schemas/ids/1", NOTHING, 404, error(40403, "Schema 1 not found")),
        ("GET /schemas/ids/1/versions", NOTHING, 404, error(40403, "Schema not found")),
        // Registering.
        ("POST /subjects/s-value/versions", schema(V1), 200, json!({"id": 1})),
        ("POST /subjects/s-value/versions", schema(&spaced), 200, json!({"id": 1})),
        ("POST /subjects/s-value/versions", schema(V2), 200, json!({"id": 2})),
        ("POST /subjects/s-value/versions", schema(NO_DEFAULT), 409, error(409, &incompatible)),
        ("POST /subjects/o%2Fther%20key/versions", schema(V1), 200, json!({"id": 1})),
        (
            "POST /subjects/s-value/versions",
            json!({"schema": V1, "schemaType": "JSON"}),
            422,
            error(42201, "Invalid schema type JSON: this registry keeps AVRO only"),
        ),
        ("POST /subjects/s-value/versions", json!({"schema": ""}), 200, json!({"id": 2})),
        ("POST /subjects/new/versions", json!({"schema": ""}), 422, error(42201, "Empty schema")),
        // Reading.
        ("GET /subjects", NOTHING, 200, json!(["o/ther key", "s-value"])),
        ("GET /subjects?subjectPrefix=s-", NOTHING, 200, json!(["s-value"])),
        ("GET /subjects?offset=1&limit=1", NOTHING, 200, json!(["s-value"])),
        ("GET /subjects/s-value/versions", NOTHING, 200, json!([1, 2])),
        ("GET /subjects/s-value/versions/1", NOTHING, 200, version(1, 1, V1)),
        ("GET /subjects/s-value/versions/latest", NOTHING, 200, version(2, 2, V2)),
        ("GET /subjects/s-value/versions/-1", NOTHING, 200, version(2, 2, V2)),
        ("GET /subjects/s-value/versions/3", NOTHING, 404, error(40402, "Version 3 not found.")),
        ("GET /subjects/s-value/versions/0", NOTHING, 422, invalid_version("0")),
        ("GET /subjects/s-value/versions/first", NOTHING, 422, invalid_version("first")),
        (
            "GET /subjects/s-value/versions/1/schema",
            NOTHING,
            200,
            serde_json::from_str(V1).unwrap(),
        ),
        ("GET /subjects/s-value/versions/1/referencedby", NOTHING, 200, json!([])),
        ("POST /subjects/s-value", schema(V2), 200, version(2, 2, V2)),
        ("POST /subjects/s-value", schema(NO_DEFAULT), 404, error(40403, "Schema not found")),
        ("GET /schemas/ids/1", NOTHING, 200, json!({"schemaType": "AVRO", "schema": V1})),
        ("GET /schemas/ids/1/subjects", NOTHING, 200, json!(["o/ther key", "s-value"])),
        (
            "GET /schemas/ids/1/versions",
            NOTHING,
            200,
            json!([{"subject": "o/ther key", "version": 1}, {"subject": "s-value", "version": 1}]),
        ),
        ("GET /schemas/ids/one", NOTHING, 404, error(404, "HTTP 404 Not Found")),
        // Compatibility.
        (
            "POST /compatibility/subjects/s-value/versions/latest",
            schema(V1),
            200,
            json!({"is_compatible": true}),
        ),
        (
            "POST /compatibility/subjects/s-value/versions",
            schema(NO_DEFAULT),
            200,
            json!({"is_compatible": false}),
        ),
        (
            "POST /compatibility/subjects/s-value/versions/1?verbose=true",
            schema(NO_DEFAULT),
            200,
            json!({"is_compatible": false, "messages": messages}),
        ),
        (
            "POST /compatibility/subjects/s-value/versions/9",
            schema(V1),
            404,
            error(40402, "Version 9 not found."),
        ),
        ("POST /compatibility/subjects/s-value/versions/x", schema(V1), 422, invalid_version("x")),
        (
            "POST /compatibility/subjects/none/versions/latest?verbose=true",
            schema(V1),
            200,
            json!({"is_compatible": true, "messages": []}),
        ),
        // Levels.
        ("GET /config", NOTHING, 200, json!({"compatibilityLevel": "BACKWARD"})),
        (
            "GET /config/s-value",
            NOTHING,
            404,
            error(40408, "Subject 's-value' does not have subject-level compatibility configured"),
        ),
        (
            "GET /config/s-value?defaultToGlobal=true",
            NOTHING,
            200,
            json!({"compatibilityLevel": "BACKWARD"}),
        ),
        ("PUT /config", json!({"compatibility": "full"}), 200, json!({"compatibility": "FULL"})),
        (
            "PUT /config/s-value",
            json!({"compatibility": "NONE"}),
            200,
            json!({"compatibility": "NONE"}),
        ),
        (
            "PUT /config",
            json!({"compatibility": "SOME"}),
            422,
            error(
                42203,
                "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
            ),
        ),
        (
            "PUT /config",
            json!({"compatibility": "FULL", "alias": "x"}),
            422,
            error(42203, "This registry keeps a compatibility level only: alias is not supported"),
        ),
        ("GET /config/s-value", NOTHING, 200, json!({"compatibilityLevel": "NONE"})),
        ("POST /subjects/s-value/versions", schema(NO_DEFAULT), 200, json!({"id": 3})),
        ("DELETE /config/s-value", NOTHING, 200, json!({"compatibilityLevel": "NONE"})),
        ("DELETE /config/s-value", NOTHING, 404, error(40401, "Subject 's-value' not found.")),
        (
            "GET /config/s-value?defaultToGlobal=true",
            NOTHING,
            200,
            json!({"compatibilityLevel": "FULL"}),
        ),
        ("DELETE /config", NOTHING, 200, json!({"compatibilityLevel": "FULL"})),
        ("GET /config", NOTHING, 200, json!({"compatibilityLevel": "BACKWARD"})),
        // Modes.
        ("GET /mode", NOTHING, 200, json!({"mode": "READWRITE"})),
        (
            "GET /mode/s-value",
            NOTHING,
            404,
            error(40409, "Subject 's-value' does not have subject-level mode configured"),
        ),
        ("DELETE /mode/s-value", NOTHING, 404, error(40401, "Subject 's-value' not found.")),
        ("PUT /mode/s-value", json!({"mode": "READONLY"}), 200, json!({"mode": "READONLY"})),
        ("GET /mode/s-value", NOTHING, 200, json!({"mode": "READONLY"})),
        ("POST /subjects/s-value/versions", schema(V1), 200, json!({"id": 1})),
        (
            "POST /subjects/s-value/versions",
            schema(r#""int""#),
            422,
            error(42205, "Subject s-value in context  is in read-only mode"),
        ),
        (
            "DELETE /subjects/s-value",
            NOTHING,
            422,
            error(42205, "Subject s-value in context  is in read-only mode"),
        ),
        ("DELETE /mode/s-value", NOTHING, 200, json!({"mode": "READONLY"})),
        ("PUT /mode", json!({"mode": "readonly"}), 200, json!({"mode": "READONLY"})),
        ("GET /mode", NOTHING, 200, json!({"mode": "READONLY"})),
        (
            "PUT /config",
            json!({"compatibility": "FULL"}),
            422,
            error(42205, "Subject null in context  is in read-only mode"),
        ),
        ("DELETE /mode", NOTHING, 200, json!({"mode": "READONLY"})),
        (
            "PUT /mode",
            json!({"mode": "IMPORT"}),
            422,
            error(
                42205,
                "Mode IMPORT is not supported by this registry, only READWRITE and READONLY are",
            ),
        ),
        (
            "PUT /mode",
            json!({"mode": "OFF"}),
            422,
            error(42204, "Invalid mode. Valid values are READWRITE and READONLY."),
        ),
        ("GET /mode/s-value?defaultToGlobal=true", NOTHING, 200, json!({"mode": "READWRITE"})),
        // References.
        (
            "POST /subjects/refers/versions",
            json!({"schema": r#"{"type":"array","items":"R"}"#,
                "references": [{"name": "R", "subject": "s-value", "version": 3}]}),
            200,
            json!({"id": 4}),
        ),
        (
            "GET /schemas/ids/4",
            NOTHING,
            200,
            json!({"schemaType": "AVRO", "schema": r#"{"type":"array","items":"R"}"#,
                "references": [{"name": "R", "subject": "s-value", "version": 3}]}),
        ),
        ("GET /subjects/s-value/versions/3/referencedby", NOTHING, 200, json!([4])),
        (
            "POST /subjects/refers/versions",
            json!({"schema": r#"{"type":"array","items":"R"}"#,
                "references": [{"name": "R", "subject": "s-value", "version": 7}]}),
            422,
            error(
                42201,
                "Invalid schema of type AVRO, details: No schema reference found for subject \"s-value\" and version 7",
            ),
        ),
        (
            "DELETE /subjects/s-value/versions/3",
            NOTHING,
            422,
            error(
                42206,
                "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=s-value,version=3}.",
            ),
        ),
        ("DELETE /subjects/refers", NOTHING, 200, json!([1])),
        // Deleting.
        (
            "DELETE /subjects/s-value/versions/1?permanent=true",
            NOTHING,
            404,
            error(
                40407,
                "Subject 's-value' Version 1 was not deleted first before being permanently deleted",
            ),
        ),
        ("DELETE /subjects/s-value/versions/1", NOTHING, 200, json!(1)),
        (
            "DELETE /subjects/s-value/versions/1",
            NOTHING,
            404,
            error(
                40406,
                "Subject 's-value' Version 1 was soft deleted.Set permanent=true to delete permanently",
            ),
        ),
        ("GET /subjects/s-value/versions/1", NOTHING, 404, error(40402, "Version 1 not found.")),
        (
            "GET /subjects/s-value/versions/1?deleted=true",
            NOTHING,
            200,
            json!({"subject": "s-value", "version": 1, "id": 1, "schemaType": "AVRO", "schema": V1, "deleted": true}),
        ),
        ("GET /subjects/s-value/versions?deleted=true", NOTHING, 200, json!([1, 2, 3])),
        ("GET /schemas/ids/1/subjects", NOTHING, 200, json!(["o/ther key"])),
        (
            "DELETE /subjects/s-value?permanent=true",
            NOTHING,
            404,
            error(
                40405,
                "Subject 's-value' was not deleted first before being permanently deleted",
            ),
        ),
        ("DELETE /subjects/s-value", NOTHING, 200, json!([2, 3])),
        (
            "DELETE /subjects/s-value",
            NOTHING,
            404,
            error(
                40404,
                "Subject 's-value' was soft deleted.Set permanent=true to delete permanently",
            ),
        ),
        ("GET /subjects", NOTHING, 200, json!(["o/ther key"])),
        ("GET /subjects?deleted=true", NOTHING, 200, json!(["o/ther key", "refers", "s-value"])),
        ("DELETE /subjects/refers?permanent=true", NOTHING, 200, json!([1])),
        ("DELETE /subjects/s-value?permanent=true", NOTHING, 200, json!([1, 2, 3])),
        ("GET /schemas/ids/2", NOTHING, 404, error(40403, "Schema 2 not found")),
        ("POST /subjects/s-value/versions", schema(V2), 200, json!({"id": 5})),
        // What leads nowhere.
        ("GET /subject", NOTHING, 404, error(404, "HTTP 404 Not Found")),
        ("PUT /subjects", NOTHING, 405, error(405, "HTTP 405 Method Not Allowed")),
        ("GET /subjects/", NOTHING, 200, json!(["o/ther key", "s-value"])),
    ]
}

#[tokio::test]
async fn requests_are_answered_as_confluents_registry_answers_them() {
    let registry = Running::in_memory();
    registry.converse("", &conversation()).await;
    registry.server.stop(false).await;
}

#[tokio::test]
async fn the_same_is_served_under_apicurios_prefix() {
    let registry = Running::in_memory();
    registry.converse(PREFIX, &conversation()).await;
    let (status, _) = registry.send(&format!("GET {PREFIX}"), "").await;
    assert_eq!(status, 200);
    registry.server.stop(false).await;
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused() {
    let registry = Running::in_memory();
    let post = "POST /subjects/s/versions";
    for body in ["", "{", "[1]", r#"{"schema": 5}"#, "\u{0}"] {
        let (status, text) = registry.send(post, body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["error_code"]), (400, &json!(400)), "{body}: {text}");
    }
    let (status, text) = registry.send(post, &" ".repeat(MAX_BODY_BYTES + 1)).await;
    assert_eq!((status, text), (413, error(413, "HTTP 413 Request Entity Too Large").to_string()));
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (status, _) = registry.send(post, &schema(&nested).to_string()).await;
    assert_eq!(status, 422);
    let (status, _) = registry.send(post, &schema(V1).to_string()).await;
    assert_eq!(status, 200, "the registry goes on");
    registry.server.stop(false).await;
}

#[tokio::test]
async fn any_credentials_are_good() {
    let registry = Running::in_memory();
    let request = registry.client.get(format!("{}/subjects", registry.url));
    let response = request.basic_auth("someone", Some("secret")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    registry.server.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_durable() {
    let gate = Gate::shut();
    let registry = Arc::new(Running::start(gate.clone()));
    let send = |line: &'static str, body: String| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.send(line, &body).await })
    };
    let registering = send("POST /subjects/s/versions", schema(V1).to_string());
    gate.wait_for_commit();
    // The catalog has it, but nobody may hear of it: neither who reads it nor who registers it again.
    let reading = send("GET /schemas/ids/1", String::new());
    let again = send("POST /subjects/s/versions", schema(V1).to_string());
    // Answered at once if it did not wait, so there is something to see if it doesn't.
    registry.send("GET /no/such/path", "").await;
    assert!(!registering.is_finished() && !reading.is_finished() && !again.is_finished());

    gate.set(|state| state.passes = Some(1));
    assert_eq!(registering.await.unwrap(), (200, r#"{"id":1}"#.to_owned()));
    assert_eq!(reading.await.unwrap().0, 200);
    assert_eq!(again.await.unwrap(), (200, r#"{"id":1}"#.to_owned()));
    let written = gate.commits().concat();
    assert!(written.iter().any(|key| key == "schema/1"), "{written:?}");
    registry.server.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lost_a_change_answers_no_more() {
    let gate = Gate::shut();
    gate.set(|state| (state.fails, state.passes) = (true, None));
    let registry = Running::start(gate);
    let lost = registry.send("POST /subjects/s/versions", &schema(V1).to_string()).await;
    let later = registry.send("GET /subjects", "").await;
    for (status, text) in [lost, later] {
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["error_code"]), (500, &json!(50001)), "{text}");
    }
    registry.server.stop(false).await;
}
