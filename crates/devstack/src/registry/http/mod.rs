//! The registry's HTTP API: Confluent's paths, at `/` and under Apicurio's prefix.

mod schemas;
mod settings;
mod subjects;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::middleware::NormalizePath;
use actix_web::web::{self, Data, PathConfig, Payload, Query, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Resource, ResponseError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Registry;
use super::canonical::Form;
use super::catalog::Deleted;
use super::error::RegistryError;

/// Apicurio Registry serves Confluent's API under this path.
const PREFIX: &str = "/apis/ccompat/v7";
/// The content type of all answers.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The largest body of a request.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A client must send its body within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// When the server stops, clients have this long to read their answers.
const LINGERING_SECONDS: u64 = 1;

/// Serves `registry` on `listeners` while the server is polled. Credentials are ignored.
///
/// # Errors
///
/// The operating system's, if the listener can't be used.
pub(crate) fn server(
    listeners: Vec<TcpListener>,
    registry: Registry,
) -> std::io::Result<actix_web::dev::Server> {
    let registry = Data::new(registry);
    let app = move || {
        App::new()
            .app_data(registry.clone())
            .app_data(PathConfig::default().error_handler(|_, _| RegistryError::UnknownPath.into()))
            .wrap(NormalizePath::trim())
            .service(web::scope(PREFIX).configure(routes))
            .configure(routes)
            .default_service(web::to(async || Err::<HttpResponse, _>(RegistryError::UnknownPath)))
    };
    let mut server = HttpServer::new(app).workers(1).disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.shutdown_timeout(LINGERING_SECONDS).run())
}

fn routes(config: &mut ServiceConfig) {
    config.configure(subjects::routes).configure(schemas::routes).configure(settings::routes);
    // Inside the prefix, the root path is empty.
    for root in ["", "/"] {
        config.service(resource(root).get(nothing).post(nothing).end());
    }
}

/// Some clients check with the root path whether the registry runs.
async fn nothing() -> HttpResponse {
    answer(&serde_json::Map::new())
}

/// A path with its methods. Other methods are answered with 405.
struct Methods {
    resource: Resource,
    allowed: Vec<&'static str>,
}

fn resource(path: &str) -> Methods {
    Methods { resource: web::resource(path), allowed: Vec::new() }
}

macro_rules! methods {
    ($($method:ident $name:literal),+) => {
        impl Methods {
            $(
                fn $method<F, Args>(mut self, handler: F) -> Self
                where
                    F: actix_web::Handler<Args>,
                    Args: actix_web::FromRequest + 'static,
                    F::Output: actix_web::Responder + 'static,
                {
                    self.allowed.push($name);
                    self.resource = self.resource.route(web::$method().to(handler));
                    self
                }
            )+
        }
    };
}

methods!(get "GET", post "POST", put "PUT", delete "DELETE");

impl Methods {
    fn end(self) -> Resource {
        let allowed = self.allowed.join(", ");
        self.resource.default_service(web::to(move || {
            let mut refusal = RegistryError::MethodNotAllowed.error_response();
            let allowed = allowed.parse().expect("names of methods are text for a header");
            refusal.headers_mut().insert(ALLOW, allowed);
            std::future::ready(refusal)
        }))
    }
}

type HttpAnswer = Result<HttpResponse, RegistryError>;

fn answer(value: &impl Serialize) -> HttpResponse {
    with_status(StatusCode::OK, value)
}

fn with_status(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    let json = serde_json::to_vec(value).expect("answers are plain data with text keys");
    HttpResponse::build(status).insert_header((CONTENT_TYPE, MEDIA_TYPE)).body(json)
}

/// An answer with a schema as the whole body.
fn text(schema: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, MEDIA_TYPE)).body(schema)
}

impl ResponseError for RegistryError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).expect("our codes begin with an HTTP status")
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::json!({ "error_code": self.code(), "message": self.to_string() });
        with_status(self.status_code(), &body)
    }
}

/// Reads a JSON body. The content type is ignored, because many clients send none or a wrong one.
async fn body<T: DeserializeOwned>(payload: Payload) -> Result<T, RegistryError> {
    let read = payload.to_bytes_limited(MAX_BODY_BYTES);
    let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Err(_) => return Err(RegistryError::BodyTooSlow),
        Ok(Err(_)) => return Err(RegistryError::BodyTooLarge),
        Ok(Ok(body)) => body.map_err(|error| RegistryError::BadRequest(error.to_string()))?,
    };
    serde_json::from_slice(&body)
        .map_err(|error| RegistryError::BadRequest(format!("Malformed JSON: {error}")))
}

/// The query parameters of a request.
struct QueryOptions(HashMap<String, String>);

impl QueryOptions {
    fn of(request: &HttpRequest) -> Result<Self, RegistryError> {
        let options = Query::<HashMap<_, _>>::from_query(request.query_string())
            .map_err(|error| RegistryError::BadRequest(error.to_string()))?;
        Ok(Self(options.into_inner()))
    }

    /// Whether a parameter is `true`. Any other value is false, as in Confluent's registry.
    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn form(&self) -> Form {
        if self.flag("normalize") { Form::Normalized } else { Form::Plain }
    }

    fn deleted(&self) -> Deleted {
        if self.flag("deleted") { Deleted::Included } else { Deleted::Hidden }
    }

    /// The part of `all` that `offset` and `limit` select. A negative limit means no limit.
    fn page<T>(&self, all: Vec<T>) -> Result<Vec<T>, RegistryError> {
        let number = |name, default| match self.0.get(name) {
            Some(text) => text.parse::<i64>().map_err(|_| RegistryError::UnknownPath),
            None => Ok(default),
        };
        let offset = usize::try_from(number("offset", 0)?).unwrap_or(0);
        let limit = usize::try_from(number("limit", -1)?).unwrap_or(usize::MAX);
        Ok(all.into_iter().skip(offset).take(limit).collect())
    }
}
