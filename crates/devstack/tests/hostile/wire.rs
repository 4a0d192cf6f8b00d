//! Bytes to and from the broker, without a client library.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, RequestHeader, RequestKind, ResponseHeader, ResponseKind,
};
use kafka_protocol::protocol::{Decodable, Encodable};

pub(crate) const CORRELATION_ID: i32 = 77;
/// The deadline for an answer, or for the end of a connection.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client(TcpStream);

/// What the broker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A whole frame, without its length.
    Answer(Bytes),
    /// The broker has closed the connection.
    Closed,
}

impl Client {
    pub(crate) fn connect(broker: &str) -> Self {
        let stream = TcpStream::connect(broker).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes. It is no error if the broker has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.0.write_all(bytes) {
            assert!(is_closed(error.kind()), "sending: {error}");
        }
    }

    /// Sends a frame: its length first.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        self.send(&[&(frame.len() as i32).to_be_bytes(), frame].concat());
    }

    /// Ends the sending direction.
    pub(crate) fn end(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }

    /// The next answer, or the end.
    pub(crate) fn reply(&mut self) -> Reply {
        let mut length = [0; 4];
        if !self.read(&mut length) {
            return Reply::Closed;
        }
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        if self.read(&mut frame) { Reply::Answer(frame.into()) } else { Reply::Closed }
    }

    fn read(&mut self, bytes: &mut [u8]) -> bool {
        match self.0.read_exact(bytes) {
            Ok(()) => true,
            Err(error) => {
                assert!(is_closed(error.kind()), "neither an answer nor an end: {error}");
                false
            }
        }
    }

    pub(crate) fn ask(&mut self, version: i16, body: &RequestKind, api: ApiKey) -> ResponseKind {
        self.send_frame(&request(api, version, body));
        match self.reply() {
            Reply::Answer(answer) => decode(api, version, answer),
            Reply::Closed => panic!("{api:?} in version {version} closed the connection"),
        }
    }

    /// Each API with the versions that the broker reports.
    pub(crate) fn served(&mut self) -> Vec<(ApiKey, i16)> {
        let body = RequestKind::ApiVersions(ApiVersionsRequest::default());
        let answer = self.ask(0, &body, ApiKey::ApiVersions);
        let ResponseKind::ApiVersions(answer) = answer else { panic!("{answer:?}") };
        let versions = answer.api_keys.iter().flat_map(|api| {
            let key = ApiKey::try_from(api.api_key).unwrap();
            (api.min_version..=api.max_version).map(move |version| (key, version))
        });
        versions.collect()
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
    )
}

/// The start of a frame, up to the body.
pub(crate) fn header(api: ApiKey, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some("hostile".into()))
        .encode(&mut frame, api.request_header_version(version))
        .unwrap();
    frame
}

pub(crate) fn request(api: ApiKey, version: i16, body: &RequestKind) -> Bytes {
    let mut frame = header(api, version);
    body.encode(&mut frame, version).unwrap();
    frame.freeze()
}

pub(crate) fn decode(api: ApiKey, version: i16, mut frame: Bytes) -> ResponseKind {
    let header = ResponseHeader::decode(&mut frame, api.response_header_version(version)).unwrap();
    assert_eq!(header.correlation_id, CORRELATION_ID);
    ResponseKind::decode(api, &mut frame, version).unwrap()
}
