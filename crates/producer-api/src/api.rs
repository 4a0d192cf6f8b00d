//! The five endpoints.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use chrono::{DateTime, Utc};
use generator::Generator;
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip, GenerateTrips};
use models::records::CompleteTrip;
use serde::Serialize;
use service::Context;

use crate::access::Access;
use crate::answer::{self, Refusal};
use crate::atomic::{Atomic, Command, Request, Shape};
use crate::config::{ProducerConfig, RECORDS_PER_TRIP};
use crate::filled;
use crate::metrics::Metrics;
use crate::publisher::{Publisher, Routed};
use crate::stream;
use crate::trace::Trace;
use crate::wishes::{Writing, accepts_lines, writing};

/// The paths that this module answers.
pub(crate) const PATHS: [&str; 5] = [
    "/api/generate-trip",
    "/api/generate-driver-earning",
    "/api/generate-rider",
    "/api/generate-complete-trip",
    "/api/generate-multiple-trips",
];

/// Trips that are made before other requests of the same worker get a turn: about half a millisecond's work.
pub(crate) const TRIPS_PER_TURN: u32 = 64;
/// A trip as JSON takes about this much.
pub(crate) const TRIP_JSON_BYTES: usize = 1024;

/// What all workers share.
pub(crate) struct Api {
    config: ProducerConfig,
    access: Access,
    ctx: Context,
    metrics: Metrics,
    generator: Generator,
    /// The number of the next record or trip.
    next: AtomicU64,
    /// There once Kafka and the registry are.
    publisher: OnceLock<Publisher>,
    /// There before the publisher is.
    atomic: OnceLock<Atomic>,
}

impl Api {
    pub(crate) fn new(
        config: ProducerConfig,
        ctx: Context,
        metrics: Metrics,
        generator: Generator,
    ) -> Self {
        Self {
            access: Access::new(config.bearer_token.as_ref()),
            config,
            ctx,
            metrics,
            generator,
            next: AtomicU64::new(0),
            publisher: OnceLock::new(),
            atomic: OnceLock::new(),
        }
    }

    /// Makes the endpoints work.
    pub(crate) fn connected(&self, publisher: Publisher, atomic: Atomic) -> &Publisher {
        self.atomic.get_or_init(|| atomic);
        self.publisher.get_or_init(|| publisher)
    }

    /// Whether no transaction can be written any more, by a mistake of ours.
    pub(crate) fn transactions_ended(&self) -> bool {
        self.atomic.get().is_some_and(Atomic::has_ended)
    }

    /// Shows how many records are on their way.
    pub(crate) fn report_in_flight(&self) {
        self.publisher.get().inspect(|publisher| publisher.report_in_flight());
        self.atomic.get().inspect(|atomic| atomic.report_in_flight());
    }

    /// Waits until every record has its report, and says how many have none by then. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) -> u64 {
        self.publisher.get().map_or(0, |publisher| publisher.flush(timeout))
    }

    /// The publisher, if there is one and it may be used.
    pub(crate) fn publisher(&self) -> Result<&Publisher, Refusal> {
        if self.ctx.shutdown.requested() {
            return Err(Refusal::Stopping);
        }
        self.publisher.get().ok_or_else(|| Refusal::NotReady(self.waiting_for()))
    }

    fn waiting_for(&self) -> String {
        let failing = self.ctx.health.checks().into_values().filter_map(Result::err);
        let failing: Vec<_> = failing.collect();
        if failing.is_empty() { "starting".to_owned() } else { failing.join("; ") }
    }

    /// Takes `count` numbers in a row and gives the first.
    pub(crate) fn numbers(&self, count: u32) -> u64 {
        self.next.fetch_add(count.into(), Ordering::Relaxed)
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) const fn generator(&self) -> Generator {
        self.generator
    }

    /// How the records of `request` are to be written.
    fn writing(&self, request: &HttpRequest) -> Result<Writing, Refusal> {
        Ok(writing(request, self.config.atomic)?)
    }

    /// Makes and answers what is to be written in one transaction.
    async fn transaction(
        &self,
        writing: &Writing,
        command: Command,
        request: &HttpRequest,
        body: &[u8],
    ) -> Result<HttpResponse, Refusal> {
        let publisher = self.publisher()?;
        let request = Request { command, path: request.path(), body, trace: Trace::known(request) };
        let atomic = self.atomic.get().expect("there before the publisher is");
        if let Writing::Once(key) = writing {
            return atomic.write_once(publisher, request, key).await;
        }
        let first = self.numbers(request.command.numbers());
        atomic.write(publisher, request, self.generator, first).await
    }

    async fn body(&self, payload: Payload) -> Result<Bytes, Refusal> {
        let read = payload.to_bytes_limited(self.config.body_limit_bytes);
        match tokio::time::timeout(self.config.body_timeout, read).await {
            Err(_) => Err(Refusal::BodyTooSlow),
            Ok(Err(_)) => Err(Refusal::BodyTooLarge),
            Ok(Ok(Err(_))) => Err(Refusal::BrokenBody),
            Ok(Ok(Ok(body))) => Ok(body),
        }
    }
}

/// Mounts the endpoints.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    let [trip, driver_earning, rider, complete_trip, multiple_trips] = PATHS.map(post_only);
    routes
        .service(trip.route(web::post().to(generate_trip)))
        .service(driver_earning.route(web::post().to(generate_driver_earning)))
        .service(rider.route(web::post().to(generate_rider)))
        .service(complete_trip.route(web::post().to(generate_complete_trip)))
        .service(multiple_trips.route(web::post().to(generate_multiple_trips)));
}

fn post_only(
    path: &str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    web::resource(path)
        .default_service(web::to(async || answer::method_not_allowed("POST")))
        .wrap(from_fn(let_in))
}

/// Lets requests pass whose clients may use the endpoints. Nothing of their bodies has been read by then.
async fn let_in(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let api = request.app_data::<Data<Api>>().expect("set with the app");
    match api.access.check(request.headers()) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(denied) => Ok(request.error_response(Refusal::from(denied)).map_into_right_body()),
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn content_type(request: &HttpRequest) -> Option<&str> {
    request.headers().get(CONTENT_TYPE)?.to_str().ok()
}

async fn generate_trip(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let command = GenerateTrip::from_body(content_type(&request), &body)?;
    let writing = api.writing(&request)?;
    if writing != Writing::Plain {
        return api.transaction(&writing, Command::Trip(command), &request, &body).await;
    }
    let publisher = api.publisher()?;
    let completion = now();
    let drawn = api.generator.trip(api.numbers(1), completion);
    produce(publisher, &filled::trip(drawn, command, completion), &request).await
}

async fn generate_driver_earning(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let command = GenerateDriverEarning::from_body(content_type(&request), &body)?;
    let writing = api.writing(&request)?;
    if writing != Writing::Plain {
        return api.transaction(&writing, Command::DriverEarning(command), &request, &body).await;
    }
    let publisher = api.publisher()?;
    let drawn = api.generator.driver_earning(api.numbers(1));
    produce(publisher, &filled::driver_earning(drawn, command), &request).await
}

async fn generate_rider(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let command = GenerateRider::from_body(content_type(&request), &body)?;
    let writing = api.writing(&request)?;
    if writing != Writing::Plain {
        return api.transaction(&writing, Command::Rider(command), &request, &body).await;
    }
    let publisher = api.publisher()?;
    let drawn = api.generator.rider(api.numbers(1));
    produce(publisher, &filled::rider(drawn, command), &request).await
}

/// Takes no body, and like FastAPI looks at none.
async fn generate_complete_trip(
    request: HttpRequest,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let writing = api.writing(&request)?;
    if writing != Writing::Plain {
        return api.transaction(&writing, Command::CompleteTrip, &request, b"").await;
    }
    let mut batch = api.publisher()?.batch(RECORDS_PER_TRIP, Trace::known(&request))?;
    let trip = api.generator.complete_trip(api.numbers(1), now());
    batch.send_trip(&trip)?;
    batch.delivered().await?;
    Ok(ok(json_of(&trip)))
}

async fn generate_multiple_trips(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let writing = api.writing(&request);
    let lines = accepts_lines(&request);
    // What belongs into one transaction is held in memory until that is committed.
    let streamed = lines && matches!(writing, Ok(Writing::Plain));
    let max_trips =
        if streamed { api.config.max_trips_streamed } else { api.config.max_trips_per_request };
    let command = GenerateTrips::from_body(content_type(&request), &body, max_trips)?;
    // As at the other endpoints, what is wrong with the body is said first.
    let writing = writing?;
    let trips = command.number_of_trips;
    if streamed {
        return stream::trips(api, trips, Trace::known(&request)).await;
    }
    if writing != Writing::Plain {
        let shape = if lines { Shape::Lines } else { Shape::Array };
        let command = Command::Trips { number: trips, shape };
        return api.transaction(&writing, command, &request, &body).await;
    }
    let mut batch = api.publisher()?.batch(trips * RECORDS_PER_TRIP, Trace::known(&request))?;
    let first = api.numbers(trips);
    // Written while the first records are on their way already.
    let mut json = Vec::with_capacity(2 + trips as usize * TRIP_JSON_BYTES);
    json.push(b'[');
    for i in 0..trips {
        if i > 0 {
            json.push(b',');
            if i % TRIPS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        let trip: CompleteTrip = api.generator.complete_trip(first + u64::from(i), now());
        batch.send_trip(&trip)?;
        write_json(&mut json, &trip);
    }
    json.push(b']');
    batch.delivered().await?;
    Ok(ok(json))
}

/// Sends one record and answers with it once Kafka has it.
async fn produce<T: Routed>(
    publisher: &Publisher,
    record: &T,
    request: &HttpRequest,
) -> Result<HttpResponse, Refusal> {
    publisher.single(record, Trace::known(request))?.delivered().await?;
    Ok(ok(json_of(record)))
}

fn ok(json: Vec<u8>) -> HttpResponse {
    answer::json(&mut HttpResponse::Ok(), json)
}

fn json_of(record: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(TRIP_JSON_BYTES);
    write_json(&mut json, record);
    json
}

/// Non-finite numbers become `null`, as pydantic writes them.
pub(crate) fn write_json(json: &mut Vec<u8>, record: &impl Serialize) {
    serde_json::to_writer(json, record).expect("records have no map with odd keys");
}
