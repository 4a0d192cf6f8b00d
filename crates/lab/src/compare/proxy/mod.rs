//! What lies between a scheduler and the API, so that the API can seem slow, broken or absent without a switch of its
//! own for that.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::connection::{Connection, post};

/// How long it waits before it tries again to listen, should its port not be free at once.
const RELISTEN: Duration = Duration::from_millis(20);
/// Longer than any scheduler waits.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);
/// More than a scheduler's request has.
const BODY_LIMIT: usize = 64 * 1024;

type Answer = Response<Full<Bytes>>;
/// Why there is no answer.
type Cause = Box<dyn Error + Send + Sync>;

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
    upstream: SocketAddr,
    behaviour: watch::Receiver<Behaviour>,
    load: Arc<Load>,
    /// The one place at an API that is limited. Fair: first come, first served.
    place: Arc<Mutex<()>>,
}

impl Proxy {
    /// Listens on a free port of this machine for requests to the API at `upstream`.
    ///
    /// # Errors
    ///
    /// The system's, if none can be had.
    pub(super) async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (behaviour, watched) = watch::channel(Behaviour::Undisturbed);
        let load = Arc::new(Load::default());
        let way =
            Way { upstream, behaviour: watched, load: Arc::clone(&load), place: Arc::default() };
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
async fn serve(stream: TcpStream, way: Way) {
    // A client that waits for an answer must not wait for more to send with it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, &way));
    let mut connection =
        std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let mut behaviour = way.behaviour.clone();
    let refused = async {
        // If nobody can change it any more, this task is about to be aborted.
        let _ = behaviour.wait_for(|behaviour| *behaviour == Behaviour::Refused).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = refused => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = &error as &dyn Error, "a connection has ended");
    }
}

/// Answers one request. An error breaks the connection, as the API's would without a proxy.
async fn answer(request: Request<Incoming>, way: &Way) -> Result<Answer, Cause> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await?.to_bytes();
    // Until here, which is before the client has the answer and may send the next request.
    let _counted = Counted::new(&way.load);
    let behaviour = *way.behaviour.borrow();
    treat(&Request::from_parts(head, body), behaviour, way).await
}

async fn treat(request: &Request<Bytes>, behaviour: Behaviour, way: &Way) -> Result<Answer, Cause> {
    let came = Instant::now();
    match behaviour {
        Behaviour::Answers(status) => Ok(injected(status)),
        Behaviour::Undisturbed | Behaviour::Refused => hand_on(request, way).await,
        Behaviour::Delayed(delay) => {
            let answer = hand_on(request, way).await;
            sleep_until(came + delay).await;
            answer
        }
        Behaviour::Limited { trips_per_s } => {
            let _place = way.place.lock().await;
            let served = Instant::now() + Duration::from_secs(trips(request.body())) / trips_per_s;
            let answer = hand_on(request, way).await;
            sleep_until(served).await;
            answer
        }
    }
}

/// How many trips a request asks for; 0 if that isn't in it.
fn trips(body: &[u8]) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["number_of_trips"].as_u64().unwrap_or_default()
}

/// An answer that says no more than its status; 503 asks to come again in a second, as the API's own does.
fn injected(status: u16) -> Answer {
    let body = format!("{{\"detail\":\"an injected {status}\"}}");
    let mut answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    if status == 503 {
        answer = answer.header(RETRY_AFTER, 1);
    }
    answer.body(Full::new(body.into())).expect("scenarios have valid statuses")
}

/// The API's answer. A connection for each request: one that is kept would not survive the API's restart.
async fn hand_on(request: &Request<Bytes>, way: &Way) -> Result<Answer, Cause> {
    let mut body = Vec::new();
    let exchange = async {
        let mut connection = Connection::open(way.upstream).await?;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let mut handed_on = post(target, way.upstream, request.body().clone());
        *handed_on.method_mut() = request.method().clone();
        connection.ask(handed_on, &mut body).await
    };
    let head = timeout(UPSTREAM_TIMEOUT, exchange).await??;
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = head.status;
    let kept = [CONTENT_TYPE, RETRY_AFTER];
    let kept = kept.into_iter().filter_map(|name| Some((name.clone(), head.headers.get(name)?)));
    answer.headers_mut().extend(kept.map(|(name, value)| (name, value.clone())));
    Ok(answer)
}

#[cfg(test)]
mod tests;
