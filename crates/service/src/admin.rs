//! `/health/live`, `/health/ready` and `/metrics`.

use std::net::{SocketAddr, TcpListener};

use actix_web::http::header::{ALLOW, Accept, VARY};
use actix_web::web::{Data, Header, ServiceConfig, get, head, resource, to};
use actix_web::{App, Handler, HttpResponse, HttpServer, Resource};
use serde_json::json;

use crate::{Context, text_format};

/// Mounts the three routes into an application that a service has anyway.
pub fn configure(routes: &mut ServiceConfig, ctx: Context) {
    routes
        .app_data(Data::new(ctx))
        .service(readable("/health/live", live))
        .service(readable("/health/ready", ready))
        .service(readable("/metrics", metrics));
}

/// A path that can only be read: by GET, and by HEAD, whose answer has no body (RFC 9110, 9.3.2). Other methods are
/// answered with 405 and `Allow`.
pub fn readable<H, Args>(path: &str, handler: H) -> Resource
where
    H: Handler<Args, Output = HttpResponse>,
    Args: actix_web::FromRequest + 'static,
{
    resource(path)
        .route(get().to(handler.clone()))
        .route(head().to(handler))
        .default_service(to(method_not_allowed))
}

async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, "GET, HEAD"))
        .json(json!({ "detail": "Method Not Allowed" }))
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

/// In the format that the scraper asks for.
async fn metrics(ctx: Data<Context>, accept: Option<Header<Accept>>) -> HttpResponse {
    let accepted = accept.map(|accept| accept.ranked()).unwrap_or_default();
    let accepted = accepted.iter().map(|accepted| {
        let version = accepted.get_param("version");
        (accepted.essence_str(), version.map(|version| version.as_str()))
    });
    let open_metrics = ctx.metrics.encode();
    let (content_type, body) = if text_format::prefers_open_metrics(accepted) {
        (text_format::OPEN_METRICS, open_metrics)
    } else {
        (text_format::TEXT, text_format::from_open_metrics(&open_metrics))
    };
    HttpResponse::Ok().content_type(content_type).insert_header((VARY, "Accept")).body(body)
}
