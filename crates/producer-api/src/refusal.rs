//! Every answer that is not the records asked for, in FastAPI's shape: `{"detail": ...}`.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use avro_schemas::EncodeError;
use models::validation::Rejection;
use serde::Serialize;

use crate::access::Denied;
use crate::atomic::{NotWritten, TransactionFailure};
use crate::capacity::Full;
use crate::headers::InvalidHeader;
use crate::idempotency::KeyConflict;
use crate::json;
use crate::publisher::SendError;
use crate::undelivered::{FailedRecord, Undelivered};

/// When a refused client should come again, in seconds.
const RETRY_SECONDS: &str = "1";

/// Why a request did not get its records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Denied(#[from] Denied),
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// The body ended early or is no HTTP body.
    #[error("There was an error parsing the body")]
    BrokenBody,
    #[error("Content Too Large")]
    BodyTooLarge,
    #[error("Request Timeout")]
    BodyTooSlow,
    #[error("not ready yet, nothing was produced: {0}")]
    NotReady(String),
    #[error("stopping, nothing was produced")]
    Stopping,
    #[error("too busy, nothing was produced: {0}")]
    Full(#[from] Full),
    #[error("{} of {} records were not acknowledged by Kafka", .0.failed, .0.failed + .0.delivered)]
    Undelivered(Undelivered),
    #[error("Internal Server Error")]
    Encode(#[from] EncodeError),
    #[error("{0}")]
    Header(#[from] InvalidHeader),
    #[error("{}", NotWritten::NoKeys)]
    NoKeys,
    #[error("{0}")]
    Conflict(#[from] KeyConflict),
    #[error("{0}")]
    Transaction(TransactionFailure),
}

impl From<Undelivered> for Refusal {
    fn from(undelivered: Undelivered) -> Self {
        Self::Undelivered(undelivered)
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full(full) => Self::Full(full),
            SendError::Encode(error) => Self::Encode(error),
        }
    }
}

impl From<NotWritten> for Refusal {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::Full(full) => Self::Full(full),
            NotWritten::Encode(error) => Self::Encode(error),
            NotWritten::NoKeys => Self::NoKeys,
            NotWritten::Conflict(conflict) => Self::Conflict(conflict),
            NotWritten::Failed(failure) => Self::Transaction(failure),
        }
    }
}

impl Refusal {
    /// The word under which it is counted.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(Denied::NoToken) => "no_token",
            Self::Denied(Denied::WrongToken) => "wrong_token",
            Self::Rejected(_) => "invalid_body",
            Self::BrokenBody => "broken_body",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::NotReady(_) => "not_ready",
            Self::Stopping => "stopping",
            Self::Full(_) => "queue_full",
            Self::Undelivered(undelivered) if undelivered.timed_out => "delivery_timeout",
            Self::Undelivered(_) => "delivery_failed",
            Self::Encode(_) => "internal",
            Self::Header(_) => "invalid_header",
            Self::NoKeys => "no_keys",
            Self::Conflict(KeyConflict::OtherRequest) => "key_reused",
            Self::Conflict(KeyConflict::InUse) => "key_in_use",
            Self::Transaction(TransactionFailure::Refused(_)) => "transaction_refused",
            Self::Transaction(TransactionFailure::TimedOut(_)) => "transaction_timeout",
            Self::Transaction(
                TransactionFailure::Unknown(_) | TransactionFailure::UnknownUntilSentAgain(_),
            ) => "transaction_unknown",
        }
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

/// `produced` is null if nobody knows.
#[derive(Serialize)]
struct UnwrittenDetail<'a> {
    detail: &'a str,
    produced: Option<bool>,
}

#[derive(Serialize)]
struct UndeliveredDetail<'a> {
    detail: &'a str,
    delivered: u64,
    failed: u64,
    records: &'a [FailedRecord],
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Denied(_) => StatusCode::UNAUTHORIZED,
            Self::Rejected(rejection) => {
                StatusCode::from_u16(rejection.status()).expect("400 or 422")
            }
            Self::BrokenBody | Self::Header(_) | Self::NoKeys => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotReady(_) | Self::Stopping | Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Undelivered(undelivered) if undelivered.timed_out => StatusCode::GATEWAY_TIMEOUT,
            Self::Undelivered(_) | Self::Transaction(TransactionFailure::Refused(_)) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Transaction(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Encode(_) => StatusCode::INTERNAL_SERVER_ERROR,
            // draft-ietf-httpapi-idempotency-key-header, 2.7
            Self::Conflict(KeyConflict::OtherRequest) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(KeyConflict::InUse) => StatusCode::CONFLICT,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT) {
            response.insert_header((RETRY_AFTER, RETRY_SECONDS));
        }
        if let Self::Denied(denied) = self {
            response.insert_header((WWW_AUTHENTICATE, denied.challenge()));
        }
        match self {
            Self::Rejected(rejection) => json::answer(&mut response, rejection.to_json()),
            Self::Undelivered(undelivered) => response.json(UndeliveredDetail {
                detail: &self.to_string(),
                delivered: undelivered.delivered,
                failed: undelivered.failed,
                records: &undelivered.records,
            }),
            Self::Transaction(failure) => response
                .json(UnwrittenDetail { detail: &self.to_string(), produced: failure.produced() }),
            // What is left of the body is not worth reading.
            Self::BodyTooLarge | Self::BodyTooSlow | Self::BrokenBody => {
                response.insert_header((CONNECTION, "close")).force_close();
                response.json(Detail { detail: &self.to_string() })
            }
            _ => response.json(Detail { detail: &self.to_string() }),
        }
    }
}

/// 404, as FastAPI says it.
pub(crate) fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(Detail { detail: "Not Found" })
}

/// 405, as FastAPI says it; `allow` lists the methods that would do.
pub(crate) fn method_not_allowed(allow: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, allow))
        .json(Detail { detail: "Method Not Allowed" })
}
