//! The three routes, over HTTP.

use std::net::SocketAddr;

use service::{Context, admin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[actix_web::test]
async fn health_and_metrics_tell_the_state_of_the_service() {
    let ctx = Context::new("sample");
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = actix_web::rt::spawn(admin::serve(listener, ctx.clone()));

    let get = async |path: &str| {
        let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let text = |status: u16, text: &str| (status, text.to_owned());

    assert_eq!(get("/health/live").await, text(200, r#"{"status":"live"}"#));
    assert_eq!(get("/health/ready").await, text(503, r#"{"status":"starting","checks":{}}"#));

    ctx.health.set("kafka", Ok(()));
    ctx.health.set("registry", Err("connection refused".to_owned()));
    let failing =
        r#"{"status":"not ready","checks":{"kafka":"ok","registry":"connection refused"}}"#;
    assert_eq!(get("/health/ready").await, text(503, failing));

    ctx.health.set("registry", Ok(()));
    let ready = r#"{"status":"ready","checks":{"kafka":"ok","registry":"ok"}}"#;
    assert_eq!(get("/health/ready").await, text(200, ready));

    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains(r#"tripstream_build_info{service="sample""#), "{metrics}");
    let build = metrics.lines().find(|line| line.starts_with("tripstream_build_info{")).unwrap();
    for label in ["version", "commit", "rustc", "profile"] {
        let empty = format!("{label}=\"\"");
        assert!(build.contains(&format!("{label}=\"")) && !build.contains(&empty), "{build}");
    }

    ctx.shutdown.trigger();
    assert_eq!(get("/health/ready").await.0, 503);
    assert_eq!(get("/health/live").await.0, 200);
    server.abort();
}

#[actix_web::test]
async fn every_method_is_answered_as_http_says() {
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = actix_web::rt::spawn(admin::serve(listener, Context::new("sample")));
    for version in ["1.0", "1.1"] {
        for path in ["/health/live", "/health/ready", "/metrics"] {
            let status = if path == "/health/ready" { 503 } else { 200 };
            let get = exchange(address, "GET", path, version).await;
            assert_eq!(get.status, status, "GET {path} HTTP/{version}");
            assert!(get.header("content-type").is_some() && !get.body.is_empty(), "{get:?}");

            let head = exchange(address, "HEAD", path, version).await;
            assert_eq!(
                (head.status, head.body.as_str()),
                (status, ""),
                "HEAD {path} HTTP/{version}"
            );
            for name in ["content-type", "content-length"] {
                assert_eq!(
                    head.header(name),
                    get.header(name),
                    "{name} of HEAD {path} HTTP/{version}"
                );
            }
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
                let answer = exchange(address, method, path, version).await;
                assert_eq!(answer.status, 405, "{method} {path} HTTP/{version}");
                assert_eq!(
                    answer.header("allow"),
                    Some("GET, HEAD"),
                    "{method} {path} HTTP/{version}"
                );
            }
        }
        assert_eq!(exchange(address, "GET", "/health", version).await.status, 404);
    }
    server.abort();
}

#[actix_web::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let server = actix_web::rt::spawn(admin::serve(listener, Context::new("sample")));
    let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, content_type) in [
        (prometheus_2, OPEN_METRICS),
        ("application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text; version=0.0.1", OPEN_METRICS),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("text/plain; version=0.0.4", TEXT),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.1", TEXT),
        ("text/html, */*", TEXT),
        ("nonsense", TEXT),
        ("", TEXT),
    ] {
        let request = reqwest::Client::new().get(&url).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], content_type, "{accept}");
        let is_open_metrics = answer.text().await.unwrap().ends_with("# EOF\n");
        assert_eq!(is_open_metrics, content_type == OPEN_METRICS, "{accept}");
    }
    server.abort();
}

/// An answer as it came over the connection.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request on a connection of its own, and reads until the server closes it.
async fn exchange(address: SocketAddr, method: &str, path: &str, version: &str) -> Answer {
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    // Without a length, a POST of HTTP/1.0 is a bad request (RFC 1945, 7.2.2).
    let length = if matches!(method, "GET" | "HEAD") { "" } else { "Content-Length: 0\r\n" };
    let head = format!("{method} {path} HTTP/{version}\r\nHost: localhost\r\n{length}");
    let request = format!("{head}Connection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("it reads");
    let mut text = String::new();
    connection.read_to_string(&mut text).await.expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.parse().expect("a number"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = admin::bind(addr).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {addr}: ")), "{error}");
}
