//! `/health/live`, `/health/ready` and `/metrics`.

use std::net::{SocketAddr, TcpListener};

use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::json;

use crate::Context;

/// Mounts the three routes into an application that a service has anyway.
pub fn configure(routes: &mut ServiceConfig, ctx: Context) {
    routes
        .app_data(Data::new(ctx))
        .route("/health/live", get().to(live))
        .route("/health/ready", get().to(ready))
        .route("/metrics", get().to(metrics));
}

/// Takes the address at once, so that a port in use is found before anything else starts. Port 0 takes a free one.
///
/// # Errors
///
/// The operating system's, with the address in its text.
pub fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(addr)
        .map_err(|err| std::io::Error::new(err.kind(), format!("cannot listen on {addr}: {err}")))
}

/// Serves the three routes on `listener`, with one worker, until shutdown is asked for and the drain is over: the
/// returned future ends only when dropped or when the server fails.
///
/// # Errors
///
/// When the server can't be started on the listener or stops by itself.
pub async fn serve(listener: TcpListener, ctx: Context) -> std::io::Result<()> {
    let app = move || {
        let ctx = ctx.clone();
        App::new().configure(|routes| configure(routes, ctx))
    };
    HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run()
        .await
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(ctx: Data<Context>) -> HttpResponse {
    let checks: serde_json::Map<_, _> = ctx
        .health
        .checks()
        .into_iter()
        .map(|(name, outcome)| {
            (name.to_owned(), outcome.err().unwrap_or_else(|| "ok".into()).into())
        })
        .collect();
    let (mut response, status) = if ctx.shutdown.requested() {
        (HttpResponse::ServiceUnavailable(), "stopping")
    } else if ctx.health.is_ready() {
        (HttpResponse::Ok(), "ready")
    } else if checks.is_empty() {
        (HttpResponse::ServiceUnavailable(), "starting")
    } else {
        (HttpResponse::ServiceUnavailable(), "not ready")
    };
    response.json(json!({ "status": status, "checks": checks }))
}

async fn metrics(ctx: Data<Context>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(ctx.metrics.encode())
}
