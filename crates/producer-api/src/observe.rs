//! What every request is seen by: it gets its id and its span, and is counted.

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::web::Data;
use service::Context;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error_span};

use crate::failures::FailureLog;
use crate::metrics::{ApiMetrics, Route};
use crate::paths::PATHS;
use crate::refusal::Refusal;
use crate::trace::{self, Trace};
use crate::unread::{self, Unread};

/// The route of paths that none has.
const NO_ROUTE: &str = "none";

/// What all workers share.
pub(crate) struct Observer {
    pub(crate) metrics: ApiMetrics,
    /// Requests that run.
    pub(crate) requests: TaskTracker,
    pub(crate) failures: FailureLog,
    /// Whether records carry what their request is known by.
    pub(crate) record_headers: bool,
    pub(crate) ctx: Context,
}

/// The outermost layer of the application.
pub(crate) async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let observer = request.app_data::<Data<Observer>>().cloned().expect("set with the app");
    let _running = observer.requests.token();
    let start = Instant::now();
    let trace = Trace::of(request.headers()).on_records(observer.record_headers);
    let trace = Arc::new(trace);
    request.extensions_mut().insert(Arc::clone(&trace));
    let route = route(&request);
    let unread = Unread::of(&mut request);
    // Of the highest level, lest it be missing in the lines of any: the level of a line counts, not that of its span.
    let span = error_span!(
        "request",
        request_id = trace.id_text(),
        method = request.method().as_str(),
        route = route.as_ref(),
        trace_id = trace.trace_id(),
    );
    let mut response = next.call(request).instrument(span.clone()).await?;
    let status = response.status().as_u16();
    let took = start.elapsed();
    debug!(parent: &span, status, took_ms = took.as_micros() as f64 / 1e3, "answered");
    observer.metrics.request(route, status, took);
    let error = response.response().error();
    if let Some(refusal) = error.and_then(|error| error.as_error::<Refusal>()) {
        observer.metrics.refusal(refusal.reason());
        // While the service starts it is no failure, and each client asks again and again.
        if status >= 500 && !matches!(refusal, Refusal::NotReady(_)) {
            observer.failures.note(&span, status, refusal);
        }
    }
    // RFC 9112, 6.1: chunks are for clients that know HTTP/1.1. For others the body ends where the connection does.
    let is_unchunked = response.request().version() < Version::HTTP_11
        && response.response().body().size() == BodySize::Stream;
    let head = response.response_mut().head_mut();
    head.headers_mut().insert(trace::REQUEST_ID.clone(), trace.id().clone());
    if is_unchunked {
        head.no_chunking(true);
    }
    if is_unchunked || observer.ctx.shutdown.requested() {
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(unread::attach(response, unread))
}

/// The pattern that the path matches.
fn route(request: &ServiceRequest) -> Route {
    // These have no variable parts, and most requests are for them.
    let path = request.path();
    if let Some(known) = PATHS.into_iter().find(|known| *known == path) {
        return known.into();
    }
    request.match_pattern().map_or(NO_ROUTE.into(), Route::from)
}
