//! Requests as bytes on a connection, for what no client library would ask.

pub mod admin;
pub mod batch;
pub mod group;
pub mod log;
pub mod transaction;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
pub use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::rig::{DEADLINE, bootstrap};

pub use group::Member;
pub use log::Fetch;
pub use transaction::Producer;

/// What a broker answers: something, or an error code by its name.
pub type Answer<T> = Result<T, ResponseError>;

/// `Ok` for error code 0.
pub fn outcome(code: i16) -> Answer<()> {
    ResponseError::try_from_code(code).map_or(Ok(()), Err)
}

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A connection to the broker.
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    pub fn connect() -> Self {
        let stream = TcpStream::connect(bootstrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { stream, correlation_id: 0 }
    }

    /// Sends a request and waits for its answer.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    /// Sends a request whose answer is taken later, or never comes.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        let mut frame = BytesMut::new();
        self.header(R::KEY, version).encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame);
    }

    /// The header of the next request.
    pub fn header(&mut self, api_key: i16, version: i16) -> RequestHeader {
        self.correlation_id += 1;
        RequestHeader::default()
            .with_request_api_key(api_key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("conformance")))
    }

    /// The answer to the oldest request that has none. Its correlation id is checked by the caller if there are several.
    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut frame = self.receive_frame().expect("the broker answers");
        let header_version = R::Response::header_version(version);
        ResponseHeader::decode(&mut frame, header_version).unwrap();
        let answer = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "bytes behind an answer to API {}", R::KEY);
        answer
    }

    pub fn send_frame(&mut self, frame: &[u8]) {
        let size = i32::try_from(frame.len()).unwrap();
        self.stream.write_all(&size.to_be_bytes()).unwrap();
        self.stream.write_all(frame).unwrap();
    }

    /// Bytes that may be no frame at all.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame, `None` if the broker has closed the connection.
    pub fn receive_frame(&mut self) -> Option<Bytes> {
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => (),
            Err(error) if is_closed(&error) => return None,
            Err(error) => panic!("no answer within {DEADLINE:?}: {error}"),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Asks again while the broker answers that it isn't ready: as all clients do.
pub fn settled<T>(mut ask: impl FnMut() -> Answer<T>) -> Answer<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        match ask() {
            Err(
                ResponseError::CoordinatorLoadInProgress
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::NotCoordinator
                | ResponseError::ConcurrentTransactions,
            ) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            answer => return answer,
        }
    }
}
