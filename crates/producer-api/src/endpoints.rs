//! The five endpoints: from a request to its records, and to the answer once Kafka has them.
//!
//! What is wrong with a request becomes a [`Refusal`] on the way, with `?`; that type knows status and body.

use std::time::SystemTime;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use chrono::{DateTime, Utc};
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip, GenerateTrips};
use models::records::CompleteTrip;

use crate::api::Api;
use crate::atomic::{AnswerShape, CommandRequest, GenerateCommand, Written};
use crate::draw::{DrawSource, OneRecord};
use crate::headers::{NDJSON, REPLAYED, Writing, accepts_lines};
use crate::json;
use crate::paths::PATHS;
use crate::publisher::Routed;
use crate::refusal::{self, Refusal};
use crate::stream;
use crate::trace::Trace;
use crate::trip_cost::{RECORDS_PER_TRIP, TRIP_JSON_BYTES, TRIPS_PER_TURN};

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
        .default_service(web::to(async || refusal::method_not_allowed("POST")))
        .wrap(from_fn(let_in))
}

/// Lets requests pass whose clients may use the endpoints. Nothing of their bodies has been read by then.
async fn let_in(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let api = request.app_data::<Data<Api>>().expect("set with the app");
    match api.let_in(request.headers()) {
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
    one_record(&api, command, &request, &body).await
}

async fn generate_driver_earning(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let command = GenerateDriverEarning::from_body(content_type(&request), &body)?;
    one_record(&api, command, &request, &body).await
}

async fn generate_rider(
    request: HttpRequest,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let body = api.body(payload).await?;
    let command = GenerateRider::from_body(content_type(&request), &body)?;
    one_record(&api, command, &request, &body).await
}

/// Takes no body, and like FastAPI looks at none.
async fn generate_complete_trip(
    request: HttpRequest,
    api: Data<Api>,
) -> Result<HttpResponse, Refusal> {
    let writing = api.writing(&request)?;
    if writing != Writing::Plain {
        return transaction(&api, &writing, GenerateCommand::CompleteTrip, &request, b"").await;
    }
    let mut batch = api.publisher()?.batch(RECORDS_PER_TRIP, Trace::known(&request))?;
    let trip = api.generator().complete_trip(api.numbers(1), now());
    batch.send_trip(&trip)?;
    batch.delivered().await?;
    Ok(ok(json::of(&trip)))
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
    let max_trips = api.max_trips(streamed);
    let command = GenerateTrips::from_body(content_type(&request), &body, max_trips)?;
    // As at the other endpoints, what is wrong with the body is said first.
    let writing = writing?;
    let trips = command.number_of_trips;
    if streamed {
        return stream::trips(api, trips, Trace::known(&request)).await;
    }
    if writing != Writing::Plain {
        let shape = if lines { AnswerShape::Lines } else { AnswerShape::Array };
        let command = GenerateCommand::Trips { number: trips, shape };
        return transaction(&api, &writing, command, &request, &body).await;
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
        let trip: CompleteTrip = api.generator().complete_trip(first + u64::from(i), now());
        batch.send_trip(&trip)?;
        json::write(&mut json, &trip);
    }
    json.push(b']');
    batch.delivered().await?;
    Ok(ok(json))
}

/// Sends one record and answers with it once Kafka has it.
async fn one_record<C>(
    api: &Api,
    command: C,
    request: &HttpRequest,
    body: &[u8],
) -> Result<HttpResponse, Refusal>
where
    C: OneRecord<Record: Routed> + Into<GenerateCommand>,
{
    let writing = api.writing(request)?;
    if writing != Writing::Plain {
        return transaction(api, &writing, command.into(), request, body).await;
    }
    let publisher = api.publisher()?;
    let source =
        DrawSource { generator: api.generator(), first: api.numbers(1), completion: now() };
    let record = command.draw(source);
    publisher.single(&record, Trace::known(request))?.delivered().await?;
    Ok(ok(json::of(&record)))
}

fn ok(json: Vec<u8>) -> HttpResponse {
    json::answer(&mut HttpResponse::Ok(), json)
}

/// Makes and answers what is to be written in one transaction.
async fn transaction(
    api: &Api,
    writing: &Writing,
    command: GenerateCommand,
    request: &HttpRequest,
    body: &[u8],
) -> Result<HttpResponse, Refusal> {
    let publisher = api.publisher()?;
    let lines = command.answers_lines();
    let request =
        CommandRequest { command, path: request.path(), body, trace: Trace::known(request) };
    let atomic = api.atomic();
    let Written { json, replayed } = if let Writing::Once(key) = writing {
        atomic.write_once(publisher, request, key).await?
    } else {
        let first = api.numbers(request.command.numbers());
        atomic.write(publisher, request, api.generator(), first).await?
    };
    let mut answer = HttpResponse::Ok();
    if replayed {
        answer.insert_header((REPLAYED.clone(), "true"));
    }
    Ok(if lines { answer.content_type(NDJSON).body(json) } else { json::answer(&mut answer, json) })
}
