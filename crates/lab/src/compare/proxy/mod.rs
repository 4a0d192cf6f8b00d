//! What lies between a scheduler and the API, so that the API can seem slow, broken or absent without a switch of its
//! own for that.

mod http;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use http::{Answer, Request};

/// How long it waits before it tries again to listen, should its port not be free at once.
const RELISTEN: Duration = Duration::from_millis(20);
/// Longer than any scheduler waits.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Hands it on.
    Undisturbed,
    /// Hands it on, and holds the answer back until so long after the request.
    Delayed(Duration),
    /// Answers with this status itself.
    Answers(u16),
    /// Does not listen; what is under way is finished, and its connection closed.
    Refused,
    /// Hands it on when those before it have been served, as long as it takes to serve them at this rate.
    Limited {
        /// Trips served in a second.
        trips_per_s: u32,
    },
}

/// One way to the API. Ends when dropped, with all that is under way.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    load: Arc<Load>,
    task: JoinHandle<()>,
}

/// How many requests there are.
#[derive(Debug, Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A request under way.
struct Counted<'a>(&'a Load);

impl<'a> Counted<'a> {
    fn new(load: &'a Load) -> Self {
        let now = load.now.fetch_add(1, Relaxed) + 1;
        load.most.fetch_max(now, Relaxed);
        Self(load)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

/// What all connections share.
#[derive(Clone)]
struct Way {
    client: reqwest::Client,
    upstream: String,
    behaviour: watch::Receiver<Behaviour>,
    load: Arc<Load>,
    /// The one place at an API that is limited. Fair: first come, first served.
    place: Arc<Mutex<()>>,
}

impl Proxy {
    /// Listens on a free port of this machine for requests to the API at `upstream`, such as `http://127.0.0.1:8001`.
    ///
    /// # Errors
    ///
    /// The system's, if none can be had.
    pub(super) async fn start(upstream: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (behaviour, watched) = watch::channel(Behaviour::Undisturbed);
        let load = Arc::new(Load::default());
        // A connection for each request: one that is kept would not survive the API's restart.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(UPSTREAM_TIMEOUT)
            .build()
            .expect("a client without TLS settings can be made");
        let way = Way {
            client,
            upstream,
            behaviour: watched,
            load: Arc::clone(&load),
            place: Arc::default(),
        };
        let task = tokio::spawn(listen(listener, address, way));
        Ok(Self { address, behaviour, load, task })
    }

    /// The URL to give to a client.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of requests from now on.
    pub(super) fn set(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// The most requests there were at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.load.most.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens unless it is to refuse. Never ends by itself.
async fn listen(first: TcpListener, address: SocketAddr, way: Way) {
    let mut behaviour = way.behaviour.clone();
    let mut listener = Some(first);
    let mut connections = JoinSet::new();
    loop {
        let refuses = *behaviour.borrow_and_update() == Behaviour::Refused;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen_again(address).await);
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = behaviour.changed() => if changed.is_err() { return },
            accepted = accepted => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, way.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn listen_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => debug!(%address, %error, "can't listen yet"),
        }
        sleep(RELISTEN).await;
    }
}

/// Serves a connection until the client closes it, or connections are refused.
async fn serve(mut stream: TcpStream, way: Way) {
    let mut behaviour = way.behaviour.clone();
    // A client that waits for an answer must not wait for more to send with it.
    let _ = stream.set_nodelay(true);
    loop {
        let request = tokio::select! {
            request = http::read(&mut stream) => request,
            _ = behaviour.wait_for(|behaviour| *behaviour == Behaviour::Refused) => return,
        };
        let Ok(Some(request)) = request else { return };
        let counted = Counted::new(&way.load);
        let now = *behaviour.borrow();
        // Without an answer from the API there is none to the client: its connection breaks, as without a proxy.
        let Some(answer) = treat(&request, now, &way).await else { return };
        // Before the client has the answer and may send the next one.
        drop(counted);
        if http::write(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}

async fn treat(request: &Request, behaviour: Behaviour, way: &Way) -> Option<Answer> {
    let came = Instant::now();
    match behaviour {
        Behaviour::Answers(status) => Some(Answer::of_status(status)),
        Behaviour::Undisturbed | Behaviour::Refused => hand_on(request, way).await,
        Behaviour::Delayed(delay) => {
            let answer = hand_on(request, way).await;
            sleep_until(came + delay).await;
            answer
        }
        Behaviour::Limited { trips_per_s } => {
            let _place = way.place.lock().await;
            let served = Instant::now() + Duration::from_secs(request.trips()) / trips_per_s;
            let answer = hand_on(request, way).await;
            sleep_until(served).await;
            answer
        }
    }
}

async fn hand_on(request: &Request, way: &Way) -> Option<Answer> {
    let url = format!("{}{}", way.upstream, request.target);
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).ok()?;
    let sent = way
        .client
        .request(method, url)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(request.body.clone())
        .send()
        .await;
    let response = sent.inspect_err(|error| debug!(%error, "no answer from the API")).ok()?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(Answer { status, retry_after, body: response.bytes().await.ok()?.to_vec() })
}

#[cfg(test)]
mod tests;
