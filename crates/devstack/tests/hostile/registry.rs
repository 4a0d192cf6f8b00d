//! Arbitrary requests to the registry: it never answers with an internal error.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::scene::Scene;

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW"];
const SEGMENTS: &[&str] = &[
    "subjects",
    "subjects",
    "versions",
    "schemas",
    "ids",
    "config",
    "mode",
    "compatibility",
    "referencedby",
    "schema",
    "types",
    "contexts",
    "s",
    "t",
    "1",
    "2",
    "latest",
    "-1",
    "0",
    "99999999999",
    "%00",
    "%ff",
    "%2f",
    "",
    ".",
    "..",
    ":.ctx:s",
    "\u{1F697}",
];
const QUERIES: &[&str] = &[
    "",
    "?",
    "?deleted=true",
    "?permanent=true",
    "?normalize=true&verbose=true",
    "?offset=-1&limit=-1",
    "?offset=99999999999999999999",
    "?subjectPrefix=%ff",
    "?force=true&force=false",
    "?defaultToGlobal=true",
    "?%",
];

fn path() -> impl Strategy<Value = String> {
    let segments = vec(prop::sample::select(SEGMENTS), 0..6).prop_map(|all| all.join("/"));
    let known = prop::sample::select(vec![
        "subjects/s/versions",
        "subjects/s/versions",
        "subjects/s",
        "compatibility/subjects/s/versions/latest",
        "compatibility/subjects/s/versions",
        "config",
        "config/s",
        "mode",
        "subjects/s/versions/latest",
        "schemas/ids/1",
    ]);
    (prop_oneof![segments, known.prop_map(str::to_owned)], prop::sample::select(QUERIES))
        .prop_map(|(path, query)| format!("/{path}{query}"))
}

/// JSON that looks like a schema.
fn schema() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum",
        "array", "map", "fixed", "R", "ns.R", "", "a", "b", "1", "decimal", "date", "uuid",
        "duration", "error", "é",
    ]);
    let leaf = prop_oneof![
        4 => word.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let key = prop::sample::select(vec![
        "type",
        "type",
        "name",
        "fields",
        "items",
        "values",
        "symbols",
        "default",
        "size",
        "logicalType",
        "namespace",
        "aliases",
        "precision",
        "scale",
        "order",
        "doc",
    ]);
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let field = (prop::sample::select(vec!["a", "b", "c"]), inner.clone(), inner.clone());
        let record = vec(field, 0..4).prop_map(|fields| {
            let fields = fields.into_iter().map(|(name, kind, default)| match default {
                Value::Null => json!({"name": name, "type": kind}),
                default => json!({"name": name, "type": kind, "default": default}),
            });
            json!({"type": "record", "name": "R", "fields": fields.collect::<Vec<_>>()})
        });
        prop_oneof![
            2 => record,
            1 => vec(inner.clone(), 0..5).prop_map(Value::from),
            1 => inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            1 => inner.clone().prop_map(|values| json!({"type": "map", "values": values})),
            2 => vec((key.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn deep(depth: usize) -> String {
    let (open, close) = (r#"{"type":"array","items":"#, "}");
    format!("{}\"int\"{}", open.repeat(depth), close.repeat(depth))
}

fn submission() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        6 => schema().prop_map(|schema| schema.to_string()),
        1 => "\\PC{0,30}",
        1 => (1..400_usize).prop_map(deep),
        1 => (1..9_usize).prop_map(|depth| "[".repeat(10_usize.pow(depth as u32 % 5))),
    ];
    let reference = (prop::sample::select(vec!["R", "ns.R", ""]), prop::sample::select(vec!["s", "t"]), -2..4_i64)
        .prop_map(|(name, subject, version)| json!({"name": name, "subject": subject, "version": version}));
    let more = prop_oneof![
        4 => Just(json!({})),
        1 => vec(reference, 0..4).prop_map(|references| json!({ "references": references })),
        1 => Just(json!({"schemaType": "PROTOBUF"})),
        1 => any::<i64>().prop_map(|version| json!({ "version": version })),
        1 => schema().prop_map(|strange| json!({ "references": strange })),
    ];
    (text, more).prop_map(|(text, mut submission)| {
        submission["schema"] = text.into();
        submission
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => submission().prop_map(|submission| submission.to_string().into_bytes()),
        1 => schema().prop_map(|json| json.to_string().into_bytes()),
        1 => prop::sample::select(vec!["NONE", "FULL", "BACKWARD_TRANSITIVE", "READONLY", "IMPORT", "READWRITE", "?"])
            .prop_map(|word| json!({"compatibility": word, "mode": word}).to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..100),
        1 => (0..5_usize).prop_map(|power| vec![b'['; 10_usize.pow(power as u32)]),
    ]
}

/// The status that the registry answers with; `None` if it has closed the connection.
fn status(registry: &str, head: &[u8], body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(registry).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may answer before it has read the whole request.
    let _ = stream.write_all(head).and_then(|()| stream.write_all(body));
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while answer.len() < 12 {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(size) => answer.extend_from_slice(&part[..size]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("neither an answer nor an end: {error}"),
        }
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn registry_of(scene: &Scene) -> String {
    let url = scene.stack.registry_url();
    url.trim_start_matches("http://").split('/').next().unwrap().to_owned()
}

#[test]
fn the_registry_answers_anything_without_an_error_of_its_own() {
    let scene = Scene::open();
    let registry = registry_of(&scene);
    let cases = std::env::var("TRIPSTREAM_TEST_CASES").map_or(800, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let request = (prop::sample::select(METHODS), path(), body());
    let outcome = TestRunner::new(config).run(&request, |(method, path, body)| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let status = status(&registry, head.as_bytes(), &body);
        prop_assert!(status.is_some_and(|status| status < 500), "{status:?}");
        Ok(())
    });
    outcome.unwrap();
    scene.close();
}

#[test]
fn what_is_no_http_is_refused_by_the_registry() {
    let scene = Scene::open();
    let registry = registry_of(&scene);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\x1a\0\x12\0\x03",
        b"POST /subjects/s/versions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /subjects/s/versions HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /subjects/s/versions HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /subjects/s/versions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[0xff; 10_000],
        long.as_bytes(),
    ] {
        let status = status(&registry, bytes, b"");
        assert!(status.is_none_or(|status| status < 500), "{status:?} to {:?}", &bytes[..bytes.len().min(60)]);
    }
    let head = b"GET /subjects HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(status(&registry, head, b""), Some(200));
    scene.close();
}
