//! Any number of trips, a line each, written as Kafka acknowledges them: `application/x-ndjson`.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::web::{Bytes, Data};
use futures::{FutureExt, Stream, StreamExt, future, stream};
use models::records::CompleteTrip;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::api::Api;
use crate::headers::NDJSON;
use crate::json;
use crate::refusal::Refusal;
use crate::trace::Trace;
use crate::trip_cost::{RECORDS_PER_TRIP, TRIP_JSON_BYTES, TRIPS_PER_TURN};

/// Trips that are sent, acknowledged and answered together.
const TRIPS_PER_CHUNK: u32 = 256;
/// Chunks that are under way at once: one is read by the client while others are acknowledged.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Answers with `number` trips. Nothing is made that the client doesn't come to read: when its connection takes no
/// more, or is gone, no further chunk is begun.
///
/// What goes wrong with the first trips is answered with its own status. After that the status is sent already, and
/// the last line says what went wrong.
pub(crate) async fn trips(
    api: Data<Api>,
    number: u32,
    trace: Arc<Trace>,
) -> Result<HttpResponse, Refusal> {
    let first = api.numbers(number);
    let metrics = api.metrics().clone();
    let mut chunks = Box::pin(chunks(api, first, number, trace));
    let begun = chunks.next().await.transpose()?;
    let rest = chunks.map(move |chunk| {
        chunk.unwrap_or_else(|refusal| {
            metrics.refusal(refusal.reason());
            last_line(&refusal)
        })
    });
    let lines = stream::iter(begun).chain(rest).map(Ok::<_, std::convert::Infallible>);
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(lines))
}

/// The lines, chunk by chunk in their order, up to the first that fails.
fn chunks(
    api: Data<Api>,
    first: u64,
    number: u32,
    trace: Arc<Trace>,
) -> impl Stream<Item = Result<Bytes, Refusal>> {
    let span = tracing::Span::current();
    let starts = (0..number).step_by(TRIPS_PER_CHUNK as usize);
    let chunks = stream::iter(starts).map(move |start| {
        let trips = TRIPS_PER_CHUNK.min(number - start);
        // As a task, for it has room that others wait for: when the client stops reading, nobody polls this stream, and
        // the chunks that are begun have to come to their end all the same.
        let chunk = chunk(api.clone(), first + u64::from(start), trips, Arc::clone(&trace));
        let chunk = tokio::spawn(chunk.instrument(span.clone()));
        AbortOnDropHandle::new(chunk)
            .map(|made| made.expect("making trips doesn't panic, and only a drop ends it"))
    });
    let mut failed = false;
    chunks.buffered(CHUNKS_IN_FLIGHT).take_while(move |chunk| {
        let is_over = std::mem::replace(&mut failed, chunk.is_err());
        future::ready(!is_over)
    })
}

async fn chunk(
    api: Data<Api>,
    first: u64,
    trips: u32,
    trace: Arc<Trace>,
) -> Result<Bytes, Refusal> {
    let mut batch = api.publisher()?.batch_when_free(trips * RECORDS_PER_TRIP, trace).await;
    let mut lines = Vec::with_capacity(trips as usize * TRIP_JSON_BYTES);
    for i in 0..trips {
        if i > 0 && i % TRIPS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
        let completion = SystemTime::now().into();
        let trip: CompleteTrip = api.generator().complete_trip(first + u64::from(i), completion);
        batch.send_trip(&trip)?;
        json::write(&mut lines, &trip);
        lines.push(b'\n');
    }
    batch.delivered().await?;
    Ok(lines.into())
}

/// The answer that the refusal would have got by itself, as a line.
fn last_line(refusal: &Refusal) -> Bytes {
    if matches!(refusal, Refusal::Stopping) {
        return Bytes::from_static(b"{\"detail\":\"stopping before all trips were produced\"}\n");
    }
    let body = refusal.error_response().into_body();
    let body = body.try_into_bytes().expect("a refusal's body is in memory");
    [&body[..], b"\n"].concat().into()
}
