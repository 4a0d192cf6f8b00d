//! Clients that are slow, silent, too many or too large.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use devstack::DevStack;
use models::secret::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Api, DEADLINE, TRIPS, config_for, dev_stack};
use crate::process::Process;

const SHORT: Duration = Duration::from_secs(1);
/// Longer than the 5 s that actix-web waits by default, and we wait for a head.
const LONGER: Duration = Duration::from_secs(9);
const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends `begin`, then `more` a byte at a time, and gives what is answered by the time the connection is closed.
async fn trickle(addr: SocketAddr, begin: &str, more: &str) -> String {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    to.write_all(begin.as_bytes()).await.unwrap();
    let sending = async {
        let mut ticks = tokio::time::interval(SHORT / 10);
        for byte in more.bytes().cycle() {
            ticks.tick().await;
            // The other side may have had enough.
            if to.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let answered = tokio::time::timeout(DEADLINE, from.read_to_end(&mut answer));
    tokio::select! {
        ended = answered => drop(ended.expect("the connection is closed in time")),
        () = sending => {}
    }
    String::from_utf8(answer).unwrap()
}

/// As it is configured, and not the 5 s of the default. actix-web's clock is half a second late, or more on a slow machine.
fn assert_took_longer(start: Instant) {
    let took = start.elapsed();
    assert!(took >= SHORT * 6, "{took:?}");
}

/// Not the 10 s that a body may take by default.
fn assert_took_short(start: Instant) {
    let took = start.elapsed();
    assert!(took < SHORT * 8, "{took:?}");
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_a_408_and_keeps_nobody_waiting() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.header_timeout = LONGER;
    let api = Api::ready(config).await;
    let start = Instant::now();
    let slow = trickle(api.addr, "POST /api/generate-trip HTTP/1.1\r\nX-Slow: ", "x");
    let silent = trickle(api.addr, "", "");
    let others = async {
        while start.elapsed() < SHORT {
            assert_eq!(api.trips(1).await.status, 200);
        }
    };
    let (slow, silent, ()) = tokio::join!(slow, silent, others);
    assert_took_longer(start);
    for answer in [slow, silent] {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_a_408() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.body_timeout = SHORT;
    let api = Api::ready(config).await;
    let head = format!("POST {TRIPS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    let start = Instant::now();
    let answer = trickle(api.addr, &head, " ").await;
    assert!(start.elapsed() >= SHORT, "it has its time");
    assert_took_short(start);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with(r#"{"detail":"Request Timeout"}"#), "{answer}");
    let refused = r#"tripstream_api_refusals_total{reason="body_too_slow"}"#;
    assert_eq!(api.metric(refused).await, Some(1.0));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_chunked_body_without_end_holds_no_connection() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.bearer_token = Some(Secret::new("t"));
    config.producer.body_timeout = SHORT;
    config.producer.body_limit_bytes = 1_000;
    let api = Api::ready(config).await;
    let addr = api.addr;
    let (open, let_in) = ("", "Authorization: Bearer t\r\n");
    let too_much = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let cases = [
        ("GET /health/live", open, "", 200),
        ("POST /nowhere", open, "", 404),
        ("GET /api/generate-rider", let_in, "", 405),
        ("POST /api/generate-trip", open, "", 401),
        ("POST /api/generate-trip", open, &too_much, 401),
        ("POST /api/generate-complete-trip", let_in, "", 200),
        ("POST /api/generate-trip", let_in, "", 408),
        ("POST /api/generate-trip", let_in, &too_much, 413),
    ];
    let ends = cases.iter().flat_map(|(line, headers, body, status)| {
        // Neither who says nothing more nor who never ends.
        ["", "1\r\nx\r\n"].map(move |more| async move {
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}");
            let begin = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
            let start = Instant::now();
            let answer = trickle(addr, &begin, more).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begin}: {answer}");
            assert_took_short(start);
        })
    });
    futures::future::join_all(ends).await;
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_chunked_body() {
    let stack = dev_stack();
    let api = Api::ready(config_for(&stack)).await;
    let mut stream = TcpStream::connect(api.addr).await.unwrap();
    // The second one looks at no body.
    for path in [TRIPS, "/api/generate-complete-trip", TRIPS] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n\
             8\r\n{{\"number\r\nc\r\n_of_trips\":1\r\n1\r\n}}\r\n0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(b"}") && !answer.ends_with(b"}]") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{path}: it is closed");
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("an answer comes");
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{path}");
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.keep_alive = LONGER;
    let api = Api::start(config);
    let start = Instant::now();
    let answer = trickle(api.addr, LIVE, "").await;
    assert_took_longer(start);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('}'), "{answer}");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_431() {
    let stack = dev_stack();
    let api = Api::start(config_for(&stack));
    let head = |headers: &str| format!("GET /health/live HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let large = |bytes: usize| head(&format!("X: {}\r\n", "x".repeat(bytes)));
    let many = |count: usize| head(&"X: x\r\n".repeat(count));
    for (head, status) in
        [(large(100_000), 200), (many(95), 200), (large(200_000), 431), (many(96), 431)]
    {
        let mut stream = TcpStream::connect(api.addr).await.unwrap();
        // It may be answered before all is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = vec![0; 64];
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {answer}", head.len());
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_have_to_wait() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.max_connections = 1;
    let api = Api::start(config);
    let mut answer = [0; 12];
    // One for each worker.
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut served = Vec::new();
    for _ in 0..workers {
        let mut stream = TcpStream::connect(api.addr).await.unwrap();
        stream.write_all(LIVE.as_bytes()).await.unwrap();
        let read = stream.read_exact(&mut answer);
        tokio::time::timeout(DEADLINE, read).await.expect("it is served").unwrap();
        served.push(stream);
    }
    let mut waits = TcpStream::connect(api.addr).await.unwrap();
    waits.write_all(LIVE.as_bytes()).await.unwrap();
    let read = tokio::time::timeout(SHORT, waits.read_exact(&mut answer)).await;
    assert!(read.is_err(), "it is served beyond the limit");
    served.pop();
    let read = tokio::time::timeout(DEADLINE, waits.read_exact(&mut answer)).await;
    read.expect("it is served when another one has gone").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop((served, waits));
    api.stop().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_and_what_does_not_fit_is_told() {
    let stack = dev_stack();
    for (limits, told) in
        [("ulimit -Sn 300; ulimit -Hn 2000", None), ("ulimit -n 500", Some(json!(500)))]
    {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\""));
        shell.arg(env!("CARGO_BIN_EXE_producer-api"));
        let flags = ["--set", "producer.max_connections=1000"];
        let log = Process::ready_as(shell, &config_for(&stack), &flags).await.log();
        let warning = log.iter().find(|line| line["max_connections"] == 1_000);
        assert_eq!(warning.map(|line| &line["open_files"]), told.as_ref(), "{limits}: {log:#?}");
    }
}

/// Whether the kernel has a connection of this process' that is accepted on `local` and comes from `remote`.
#[cfg(target_os = "linux")]
fn is_open(local: SocketAddr, remote: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let [local, remote] = [local, remote].map(|addr| format!(":{:04X}", addr.port()));
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let mut ends_with = |port: &str| fields.next().is_some_and(|field| field.ends_with(port));
        ends_with(&local) && ends_with(&remote)
    })
}

/// Asks for trips, as a client that has little room for an answer.
#[cfg(target_os = "linux")]
async fn asked(addr: SocketAddr, accept: &str, trips: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // With less than what the server's kernel sends at once, it goes on counting the time of one pause to the next.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(addr).await.unwrap();
    let body = format!("{{\"number_of_trips\":{trips}}}");
    let request = format!(
        "POST {TRIPS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// An API whose clients may read nothing for `write_timeout` only.
#[cfg(target_os = "linux")]
async fn impatient(stack: &DevStack, write_timeout: Duration) -> Api {
    let mut config = config_for(stack);
    config.producer.max_trips_per_request = 10_000;
    config.producer.write_timeout = write_timeout;
    Api::ready(config).await
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answer_is_cut_off() {
    let stack = dev_stack();
    let api = impatient(&stack, SHORT).await;
    for accept in ["application/json", "application/x-ndjson"] {
        let mut stream = asked(api.addr, accept, 10_000).await;
        let (here, there) = (stream.local_addr().unwrap(), api.addr);
        let cut_off = async {
            while is_open(there, here) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, cut_off).await.expect("the connection is cut in time");
        // What is left lies in this client's buffer.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{accept}");
        assert!(answer.len() < 1_000_000, "{accept}: {}", answer.len());
    }
    api.stop().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_its_answer() {
    let stack = dev_stack();
    // Longer than a slow machine keeps the client from reading.
    let write_timeout = SHORT * 4;
    let api = impatient(&stack, write_timeout).await;
    let mut stream = asked(api.addr, "application/json", 4_000).await;
    let start = Instant::now();
    let mut answer = Vec::new();
    let mut some = vec![0; 32 * 1024];
    let mut ticks = tokio::time::interval(SHORT / 12);
    loop {
        ticks.tick().await;
        let read = stream.read(&mut some).await.unwrap();
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&some[..read]);
    }
    assert!(start.elapsed() > write_timeout * 2, "too fast to say anything: {:?}", start.elapsed());
    assert_eq!(answer.last(), Some(&b']'), "{}", answer.len());
    api.stop().await.unwrap();
}
