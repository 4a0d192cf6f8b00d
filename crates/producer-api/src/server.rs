//! The life of the service: listen, connect, serve, drain.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::header::LOCATION;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use generator::Generator;
use service::Context;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::api::Api;
use crate::config::{ProducerApiConfig, ProducerConfig};
use crate::error::Error;
use crate::failures::FailureLog;
use crate::metrics::ApiMetrics;
use crate::observe::{Observer, observe};
use crate::paths::PATHS;
use crate::tls::Tls;
use crate::{access, connect, cors, descriptors, docs, endpoints, refusal};

/// How long connections may take to read answers that are written already, once all requests are done.
const LINGERING_SECONDS: u64 = 2;
/// Kept of the shutdown's time for what comes after the flush.
const RESERVE: Duration = Duration::from_secs(1);

/// The producer API, bound to its address but not running yet.
#[derive(Debug)]
pub struct Server {
    config: ProducerApiConfig,
    ctx: Context,
    tls: Option<Tls>,
    listener: TcpListener,
    addr: SocketAddr,
}

impl Server {
    /// Takes the address of `config.producer.listen`; port 0 takes a free one. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] if the address can't be taken, [`Error::Config`] if the certificate can't be used.
    pub fn bind(config: ProducerApiConfig, ctx: Context) -> Result<Self, Error> {
        let tls = config.producer.tls()?;
        let listener = service::admin::bind(config.producer.listen).map_err(Error::Bind)?;
        let addr = listener.local_addr().map_err(Error::Bind)?;
        limit_stalls(&listener, config.producer.write_timeout);
        Ok(Self { config, ctx, tls, listener, addr })
    }

    /// The address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until shutdown is asked for, then finishes the requests it has and sees their records through.
    ///
    /// Until Kafka and the registry are reached, the endpoints answer 503 and `/health/ready` says what is missing.
    ///
    /// # Errors
    ///
    /// [`Error`] if the service can't start, can't go on, or has to leave records undecided.
    pub async fn run(self) -> Result<(), Error> {
        let Self { config, ctx, tls, listener, addr } = self;
        ctx.listens_on(addr).map_err(Error::Bind)?;
        let metrics = ApiMetrics::register(&ctx.metrics, &config.topics);
        connect::announce(&config, &ctx.health);
        let seed = config.producer.seed.unwrap_or_else(rand::random);
        let scheme = if tls.is_some() { "https" } else { "http" };
        info!("producer API on {scheme}://{addr}, documentation on {scheme}://{addr}/docs");
        let with_token = config.producer.bearer_token.is_some();
        if let Some(exposure) = access::exposure(addr, with_token, tls.is_some()) {
            warn!("{exposure}");
        }
        info!(seed, "set producer.seed to this to get the same trips again");
        let api = Data::new(Api::new(
            config.producer.clone(),
            ctx.clone(),
            metrics.clone(),
            Generator::new(seed),
        ));
        let requests = TaskTracker::new();
        let observer = Data::new(Observer {
            metrics: metrics.clone(),
            requests: requests.clone(),
            failures: FailureLog::default(),
            record_headers: config.producer.record_headers,
            ctx: ctx.clone(),
        });

        let server =
            http_server(listener, tls, &api, &observer, &config.producer).map_err(Error::Serve)?;
        let handle = server.handle();
        let mut server = tokio::spawn(server);
        let outcome = tokio::select! {
            ended = &mut server => Err(Error::Serve(ended_by_itself(ended))),
            failure = upkeep(&config, addr.port(), &api, &observer) => failure.map(|never| match never {}),
            () = ctx.shutdown.wait() => Ok(()),
        };
        // Whatever it was that ended: requests that still come are to hear of it.
        ctx.shutdown.trigger();
        let deadline = Instant::now() + config.shutdown.timeout.saturating_sub(RESERVE);
        drain(&handle, &requests, deadline).await;
        let undecided = flush(&api, deadline).await;
        metrics.log_line();
        observer.failures.conclude();
        let (delivered, failed) = metrics.totals();
        info!(delivered, failed, undecided, "stopped");
        match outcome {
            Ok(()) if undecided > 0 => Err(Error::Undecided(undecided)),
            outcome => outcome,
        }
    }
}

/// Has the kernel cut a connection whose client takes nothing of what waits for it, for so long. actix-web has no such
/// limit, and an answer of several megabytes would wait for ever. Connections inherit it from `listener`.
#[cfg(target_os = "linux")]
fn limit_stalls(listener: &TcpListener, time: Duration) {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(listener, millis) {
        warn!(%error, "producer.write_timeout has no effect here: clients that don't read are not cut off");
    }
}

#[cfg(not(target_os = "linux"))]
const fn limit_stalls(_: &TcpListener, _: Duration) {}

fn http_server(
    listener: TcpListener,
    tls: Option<Tls>,
    api: &Data<Api>,
    observer: &Data<Observer>,
    config: &ProducerConfig,
) -> std::io::Result<actix_web::dev::Server> {
    let api = api.clone();
    let observer = observer.clone();
    let origins = config.cors_origins.clone();
    let documented = docs::Documented {
        max_trips: config.max_trips_per_request,
        with_token: config.bearer_token.is_some(),
    };
    let app = move || {
        App::new()
            .app_data(api.clone())
            .app_data(observer.clone())
            .wrap(Condition::new(!origins.is_empty(), cors::middleware(&origins)))
            // The last one is the first to see a request.
            .wrap(from_fn(observe))
            .configure(endpoints::configure)
            .configure(|routes| docs::configure(routes, documented))
            .configure(|routes| service::admin::configure(routes, observer.ctx.clone()))
            .default_service(web::to(unknown_path))
    };
    let workers = std::thread::available_parallelism().map_or(2, NonZeroUsize::get).min(512);
    let connections = descriptors::connections(config.max_connections, workers).div_ceil(workers);
    let server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(LINGERING_SECONDS)
        .workers(workers)
        .max_connections(connections)
        // Handshakes are connections, too, and slow ones must not keep others from theirs.
        .max_connection_rate(connections)
        .client_request_timeout(config.header_timeout)
        .tls_handshake_timeout(config.header_timeout)
        .keep_alive(config.keep_alive);
    let server = match tls {
        Some(Tls(acceptor)) => server.listen_openssl(listener, acceptor)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

/// Connects, then keeps health, metrics and log current. Ends only with an error.
async fn upkeep(
    config: &ProducerApiConfig,
    port: u16,
    api: &Api,
    observer: &Observer,
) -> Result<std::convert::Infallible, Error> {
    let Observer { metrics, failures, ctx, .. } = observer;
    let publisher = connect::publisher(config, ctx, metrics.clone()).await?;
    let atomic = connect::atomic(config, port, ctx, metrics.clone()).await?;
    let publisher = api.connected(publisher, atomic);
    connect::serving(&ctx.health);
    let each_second = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            api.report_in_flight();
            metrics.log_line();
            failures.tell();
            if let Some(reason) = publisher.failure() {
                return Err(Error::ProducerFailed(reason));
            }
            if api.transactions_ended() {
                return Err(Error::WriterEnded);
            }
        }
    };
    tokio::select! {
        failure = each_second => failure,
        failure = connect::watch(config, &ctx.health) => failure,
    }
}

/// Takes no more connections, waits for the requests that run, and lets their answers out.
async fn drain(handle: &ServerHandle, requests: &TaskTracker, deadline: Instant) {
    handle.pause().await;
    requests.close();
    if !requests.is_empty() {
        info!(requests = requests.len(), "finishing requests");
    }
    let _ = tokio::time::timeout_at(deadline.into(), requests.wait()).await;
    handle.stop(true).await;
}

/// Waits for the records whose requests were given up by their clients; says how many are left at the deadline.
async fn flush(api: &Data<Api>, deadline: Instant) -> u64 {
    let api = api.clone();
    let left = deadline.saturating_duration_since(Instant::now());
    let flush = tokio::task::spawn_blocking(move || api.flush(left));
    flush.await.expect("flushing doesn't panic")
}

fn ended_by_itself(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> std::io::Error {
    match ended {
        Ok(Ok(())) => std::io::Error::other("the HTTP server ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => std::io::Error::other(error),
    }
}

/// 404, or like Starlette the way to the same path without its trailing slash.
async fn unknown_path(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed == path || !PATHS.iter().chain(&docs::DOC_PATHS).any(|known| *known == trimmed) {
        return refusal::not_found();
    }
    let query = request.query_string();
    let separator = if query.is_empty() { "" } else { "?" };
    HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, format!("{trimmed}{separator}{query}")))
        .finish()
}
