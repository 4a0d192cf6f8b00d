//! A stand-in for the producer API: answers `generate-multiple-trips` as a test says, and counts what it sees.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{Data, Json, get, post};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What the API does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with that many trips more (or fewer) than asked.
    Trips { off_by: i32 },
    /// As `Trips`, after a delay.
    After(Duration),
    /// As `Trips`, once [`FakeApi::release`] lets it.
    Held,
    /// Answers with this status, `Retry-After` in seconds if any, and text.
    Status(u16, Option<u32>, &'static str),
}

/// As many trips as asked.
pub(crate) const OK: Reply = Reply::Trips { off_by: 0 };

/// What to do with request number n (from 0) for so many trips.
type Script = Box<dyn Fn(usize, i64) -> Reply + Send + Sync>;

struct State {
    script: Script,
    gate: Semaphore,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
    trip_ids: Mutex<HashSet<String>>,
    peers: Mutex<HashSet<String>>,
    authorizations: Mutex<HashSet<String>>,
    joiner: Mutex<Joiner>,
    readiness: Mutex<ReadinessScript>,
    /// How often it was asked whether it is ready.
    readiness_asked: AtomicUsize,
    /// While it is not, requests for trips get a 503.
    ready: AtomicBool,
}

/// The status to answer with when asked for the n-th time (from 0) whether it is ready.
type ReadinessScript = Box<dyn Fn(usize) -> u16 + Send + Sync>;

/// A joiner that joins all trips at once that are answered here.
#[derive(Default)]
struct Joiner {
    /// How often its count was looked at.
    looks: usize,
    /// What it showed at the last look.
    shown: usize,
    /// How many trips were joined when it last started.
    before: usize,
    /// At how many looks it joins trips of others.
    catches_up: usize,
    /// How many trips of others it has joined.
    others: usize,
}

/// A running stand-in. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct FakeApi {
    state: Arc<State>,
    /// Its address, for `client.url`.
    pub(crate) url: String,
}

impl FakeApi {
    /// Starts one on a free port; `script` says what to do with request number n (from 0).
    pub(crate) fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", script)
    }

    /// Starts one on a free port; `script` says what to do with a request for so many trips.
    pub(crate) fn start_by_trips(script: impl Fn(i64) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with("127.0.0.1:0", Box::new(move |_, trips| script(trips)))
    }

    /// Starts one at `address`.
    pub(crate) fn start_on(
        address: &str,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(address, Box::new(move |number, _| script(number)))
    }

    fn start_with(address: &str, script: Script) -> Self {
        let state = Arc::new(State {
            script,
            gate: Semaphore::new(0),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
            trip_ids: Mutex::default(),
            peers: Mutex::default(),
            authorizations: Mutex::default(),
            joiner: Mutex::default(),
            readiness: Mutex::new(Box::new(|_| 200)),
            readiness_asked: AtomicUsize::new(0),
            ready: AtomicBool::new(true),
        });
        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/api/generate-multiple-trips", post().to(answer))
                .route("/health/ready", get().to(readiness))
                .route("/metrics", get().to(metrics))
        })
        .workers(1)
        .disable_signals()
        .bind(address)
        .expect("a free port");
        let url = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { state, url }
    }

    /// Lets all held requests go, those to come included.
    pub(crate) fn release(&self) {
        self.state.gate.add_permits(1_000_000);
    }

    /// Lets it answer with the status that `script` says when asked for the n-th time (from 0) whether it is ready. It
    /// produces nothing before it has answered with something else than 503.
    pub(crate) fn be_ready_by(&self, script: impl Fn(usize) -> u16 + Send + Sync + 'static) {
        *self.state.readiness.lock().expect("no test panicked here") = Box::new(script);
        self.state.ready.store(false, SeqCst);
    }

    /// How often it was asked whether it is ready.
    pub(crate) fn readiness_asked(&self) -> usize {
        self.state.readiness_asked.load(SeqCst)
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(SeqCst)
    }

    /// How many requests it has not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.state.in_flight.load(SeqCst)
    }

    /// The most requests that were unanswered at once.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.state.max_in_flight.load(SeqCst)
    }

    /// How many trips it answered.
    pub(crate) fn trips(&self) -> usize {
        self.state.trip_ids.lock().expect("no test panicked here").len()
    }

    /// Lets its joiner join trips of others at so many looks.
    pub(crate) fn let_joiner_catch_up(&self, looks: usize) {
        self.state.joiner.lock().expect("no test panicked here").catches_up = looks;
    }

    /// Restarts its joiner, which counts from zero then.
    pub(crate) fn restart_joiner(&self) {
        let joined = self.trips();
        self.state.joiner.lock().expect("no test panicked here").before = joined;
    }

    /// How often its joiner's count was looked at.
    pub(crate) fn looks(&self) -> usize {
        self.state.joiner.lock().expect("no test panicked here").looks
    }

    /// What its joiner showed at the last look.
    pub(crate) fn shown(&self) -> usize {
        self.state.joiner.lock().expect("no test panicked here").shown
    }

    /// The values of `Authorization` that came.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        let values = self.state.authorizations.lock().expect("no test panicked here");
        values.iter().cloned().collect()
    }

    /// How many connections were used.
    pub(crate) fn connections(&self) -> usize {
        self.state.peers.lock().expect("no test panicked here").len()
    }
}

async fn readiness(state: Data<State>) -> HttpResponse {
    let number = state.readiness_asked.fetch_add(1, SeqCst);
    let status = (state.readiness.lock().expect("no test panicked here"))(number);
    state.ready.store(status != 503, SeqCst);
    let checks = json!({ "kafka": "Connection refused" });
    HttpResponse::build(status.try_into().expect("a status of HTTP"))
        .json(json!({ "status": "starting", "checks": checks }))
}

/// As of its joiner.
async fn metrics(state: Data<State>) -> String {
    let trips = state.trip_ids.lock().expect("no test panicked here").len();
    let mut joiner = state.joiner.lock().expect("no test panicked here");
    joiner.looks += 1;
    if joiner.looks <= joiner.catches_up {
        joiner.others += 1;
    }
    let joined = trips - joiner.before + joiner.others;
    joiner.shown = joined;
    format!(
        "# TYPE tripstream_joiner_joined counter\ntripstream_joiner_joined_total {joined}\n# EOF\n"
    )
}

async fn answer(
    state: Data<State>,
    request: actix_web::HttpRequest,
    body: Json<Value>,
) -> HttpResponse {
    let number = state.requests.fetch_add(1, SeqCst);
    let in_flight = state.in_flight.fetch_add(1, SeqCst) + 1;
    state.max_in_flight.fetch_max(in_flight, SeqCst);
    if let Some(peer) = request.peer_addr() {
        state.peers.lock().expect("no test panicked here").insert(peer.to_string());
    }
    let asked = body["number_of_trips"].as_i64().expect("number_of_trips");
    if let Some(value) = request.headers().get("Authorization") {
        let value = value.to_str().expect("a token is ASCII").to_owned();
        state.authorizations.lock().expect("no test panicked here").insert(value);
    }
    let reply = if state.ready.load(SeqCst) {
        (state.script)(number, asked)
    } else {
        Reply::Status(503, None, "starting")
    };
    let response = match reply {
        Reply::Trips { off_by } => trips(&state, number, asked + i64::from(off_by)),
        Reply::After(delay) => {
            sleep(delay).await;
            trips(&state, number, asked)
        }
        Reply::Held => {
            state.gate.acquire().await.expect("the gate stays").forget();
            trips(&state, number, asked)
        }
        Reply::Status(status, retry_after, text) => {
            let mut response = HttpResponse::build(status.try_into().expect("a status of HTTP"));
            if let Some(seconds) = retry_after {
                response.insert_header(("Retry-After", seconds.to_string()));
            }
            response.body(text)
        }
    };
    state.in_flight.fetch_sub(1, SeqCst);
    response
}

fn trips(state: &State, number: usize, count: i64) -> HttpResponse {
    let ids: Vec<_> = (0..count).map(|i| format!("{number}-{i}")).collect();
    let body: Vec<_> = ids.iter().map(|id| json!({ "trip_id": id, "trip_data": {} })).collect();
    state.trip_ids.lock().expect("no test panicked here").extend(ids);
    HttpResponse::Ok().json(body)
}

/// An address where nothing listens.
pub(crate) fn refused_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

/// Waits until `condition` holds; fails the test when it does not within [`DEADLINE`].
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for `future`; fails the test when it does not end within [`DEADLINE`].
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what} did not end"))
}
