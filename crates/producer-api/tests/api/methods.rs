//! Every path with every method, as HTTP says (RFC 9110), in both versions, with and without a body.

use std::net::SocketAddr;

use futures::future::join_all;
use serde_json::Value;

use crate::harness::{Api, JSON, config_for, dev_stack};
use crate::wire::{Connection, WireAnswer};

/// Those of RFC 9110 and RFC 5789, one that nobody knows, and one that is not written as it has to be.
const METHODS: [&str; 11] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW", "get"];
/// What is there to be read, and its status.
const READABLE: [(&str, u16); 7] = [
    ("/openapi.json", 200),
    ("/docs", 200),
    ("/docs/swagger-ui.css", 200),
    ("/redoc", 307),
    ("/health/live", 200),
    ("/health/ready", 200),
    ("/metrics", 200),
];
/// Every endpoint can be asked with it.
const BODY: &str = r#"{"number_of_trips":1}"#;

#[derive(Debug, Clone, Copy)]
enum Resource {
    Readable(u16),
    Endpoint { takes_body: bool },
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Neither a body nor its length.
    Nothing,
    Empty,
    Body,
}

#[derive(Debug, Clone, Copy)]
struct Case<'a> {
    path: &'a str,
    resource: Resource,
    method: &'static str,
    version: &'static str,
    sent: Sent,
    /// Whether the client wants to go on with the connection.
    keeps: bool,
}

impl Case<'_> {
    fn request(self) -> String {
        let Self { path, method, version, sent, keeps, .. } = self;
        let connection = match (version, keeps) {
            ("1.0", true) => "Connection: keep-alive\r\n",
            ("1.1", false) => "Connection: close\r\n",
            _ => "",
        };
        let head = format!("{method} {path} HTTP/{version}\r\nHost: x\r\n{connection}");
        match sent {
            Sent::Nothing => format!("{head}\r\n"),
            Sent::Empty => format!("{head}Content-Length: 0\r\n\r\n"),
            Sent::Body => format!(
                "{head}Content-Type: {JSON}\r\nContent-Length: {}\r\n\r\n{BODY}",
                BODY.len()
            ),
        }
    }

    /// RFC 1945, 7.2.2: such a request is a bad one.
    fn lacks_length(self) -> bool {
        (self.version, self.method, self.sent) == ("1.0", "POST", Sent::Nothing)
    }

    /// The status, and what `Allow` says.
    fn expected(self) -> (u16, Option<&'static str>) {
        match (self.resource, self.method) {
            _ if self.lacks_length() => (400, None),
            (Resource::Unknown, _) => (404, None),
            (Resource::Readable(status), "GET" | "HEAD") => (status, None),
            (Resource::Readable(_), _) => (405, Some("GET, HEAD")),
            (Resource::Endpoint { takes_body: true }, "POST") if self.sent != Sent::Body => {
                (422, None)
            }
            (Resource::Endpoint { .. }, "POST") => (200, None),
            (Resource::Endpoint { .. }, _) => (405, Some("POST")),
        }
    }

    /// Whether the connection must be open afterwards. A server may close it after a body that it hasn't read; what
    /// follows CONNECT is no request; a bad one has no known end.
    fn must_persist(self) -> bool {
        self.keeps && self.sent != Sent::Body && self.method != "CONNECT" && !self.lacks_length()
    }

    /// Asks, and looks at all that doesn't depend on another answer.
    async fn answer(self, addr: SocketAddr) -> WireAnswer {
        let mut connection = Connection::open(addr).await;
        let answer = connection.ask(&self.request()).await;
        let allow = answer.header("allow");
        assert_eq!((answer.status, allow), self.expected(), "{self:?}: {answer:?}");
        assert!(answer.header("date").is_some(), "{self:?}: {answer:?}");
        assert!(answer.header("content-length").is_some(), "{self:?}: {answer:?}");
        if matches!(answer.status, 404 | 405) && self.method != "HEAD" {
            assert_eq!(answer.header("content-type"), Some(JSON), "{self:?}: {answer:?}");
        }
        // RFC 9112, 9.3: the default differs between the versions.
        let told = answer.header("connection").unwrap_or_default();
        let persists = if self.version == "1.0" { told == "keep-alive" } else { told != "close" };
        assert!(!persists || self.keeps, "{self:?}: {answer:?}");
        assert!(persists || !self.must_persist(), "{self:?}: {answer:?}");
        if persists {
            let next = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            assert_eq!(connection.ask(next).await.status, 200, "after {self:?}");
        }
        let rest = connection.ended().await;
        assert!(rest.is_empty(), "{self:?}: {}", String::from_utf8_lossy(&rest));
        answer
    }
}

/// All cases of a path.
fn cases(path: &str, resource: Resource) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for version in ["1.0", "1.1"] {
        for sent in [Sent::Nothing, Sent::Empty, Sent::Body] {
            for keeps in [true, false] {
                cases.extend(METHODS.map(|method| Case {
                    path,
                    resource,
                    method,
                    version,
                    sent,
                    keeps,
                }));
            }
        }
    }
    cases
}

#[tokio::test]
async fn every_path_answers_every_method_as_http_says() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    let document = api.ask("GET", "/openapi.json", None, "").await.json();
    let operations = document["paths"].as_object().unwrap();
    let endpoints = operations.iter().map(|(path, operations): (_, &Value)| {
        let takes_body = operations["post"].get("requestBody").is_some();
        (path.as_str(), Resource::Endpoint { takes_body })
    });
    let readable = READABLE.map(|(path, status)| (path, Resource::Readable(status)));
    let unknown = ["/", "/nowhere", "/api"].map(|path| (path, Resource::Unknown));
    for (path, resource) in endpoints.chain(readable).chain(unknown) {
        let cases = cases(path, resource);
        let answers = join_all(cases.iter().map(|case| case.answer(api.addr))).await;
        // RFC 9110, 9.3.2: as GET, but for the body.
        for pair in 0..cases.len() / METHODS.len() {
            let [get, head] = [0, 1].map(|method| &answers[pair * METHODS.len() + method]);
            let case = &cases[pair * METHODS.len()];
            assert_eq!(get.status, head.status, "{case:?}");
            assert_eq!(get.header_names(), head.header_names(), "{case:?}");
            // The metrics count these requests, too.
            if path != "/metrics" {
                let length =
                    |answer: &WireAnswer| answer.header("content-length").map(str::to_owned);
                assert_eq!(length(get), length(head), "{case:?}");
            }
        }
    }
    api.stop().await.unwrap();
}
