//! Chunked bodies that nobody reads to their end. Their connections are closed, as actix-web does it if it knows how long
//! a body is.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures::Stream;

/// The body of a request, once more.
///
/// When a chunked body is dropped before its end, actix-web goes on reading what comes of it, without any time-out, and
/// closes the connection in no case: whoever sends one without an end could hold a connection for ever. A body that is
/// still there when the answer has been written makes it close the connection, a second later.
#[derive(Clone)]
pub(crate) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// Keeps the body of `request`, which can be read all the same; `None` if it isn't chunked.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.chunked().unwrap_or(false) {
            return None;
        }
        let body = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
        Some(body)
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer that has its request's body with it until it is written.
pub(crate) struct WithUnread {
    answer: BoxBody,
    _unread: Unread,
}

impl MessageBody for WithUnread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(cx)
    }
}

/// Gives `response` what its request had [`Unread`].
pub(crate) fn attach<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    unread: Option<Unread>,
) -> ServiceResponse<EitherBody<B, WithUnread>> {
    let Some(unread) = unread else { return response.map_into_left_body() };
    response
        .map_body(|_, body| EitherBody::right(WithUnread { answer: body.boxed(), _unread: unread }))
}
