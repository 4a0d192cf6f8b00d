//! Records as JSON, and answers that consist of it.

use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use crate::trip_cost::TRIP_JSON_BYTES;

/// One record or trip.
pub(crate) fn of(record: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(TRIP_JSON_BYTES);
    write(&mut json, record);
    json
}

/// Appends a record or trip. Non-finite numbers become `null`, as pydantic writes them.
pub(crate) fn write(json: &mut Vec<u8>, record: &impl Serialize) {
    serde_json::to_writer(json, record).expect("records have no map with odd keys");
}

/// An answer whose body is JSON already.
pub(crate) fn answer(response: &mut HttpResponseBuilder, body: impl Into<Bytes>) -> HttpResponse {
    response.content_type("application/json").body(body.into())
}
