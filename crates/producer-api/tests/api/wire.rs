//! Requests and answers as they are on the connection, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::DEADLINE;

/// An answer as it came over the connection.
#[derive(Debug)]
pub(crate) struct WireAnswer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// What came after the head, still chunked if it is.
    pub(crate) body: Vec<u8>,
}

impl WireAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names of the headers, sorted.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

/// A connection on which requests follow each other.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), unread: Vec::new() }
    }

    /// Sends `request` and reads its answer: as much as its head says, or up to the end of the connection.
    pub(crate) async fn ask(&mut self, request: &str) -> WireAnswer {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let answer = self.answer(request.starts_with("HEAD "));
        let answer = tokio::time::timeout(DEADLINE, answer).await;
        answer.unwrap_or_else(|_| panic!("no answer to {request}"))
    }

    async fn answer(&mut self, to_head: bool) -> WireAnswer {
        let end = loop {
            match self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.read().await, "{}", String::from_utf8_lossy(&self.unread)),
            }
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = str::from_utf8(&head[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5));
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let mut answer = WireAnswer {
            status: status.unwrap_or_else(|| panic!("no status: {head}")).parse().unwrap(),
            headers: headers.collect(),
            body: Vec::new(),
        };
        let length = answer.header("content-length").map(|length| length.parse().unwrap());
        if to_head {
            return answer;
        }
        while length.is_none_or(|length: usize| self.unread.len() < length) && self.read().await {}
        let length = length.unwrap_or(self.unread.len());
        assert!(length <= self.unread.len(), "the body is cut off: {head}");
        answer.body = self.unread.drain(..length).collect();
        answer
    }

    /// Reads some more; false at the end of the connection.
    async fn read(&mut self) -> bool {
        self.stream.read_buf(&mut self.unread).await.unwrap() > 0
    }

    /// Waits until the server closes the connection, and gives what else came.
    pub(crate) async fn ended(mut self) -> Vec<u8> {
        let reading = async { while self.read().await {} };
        tokio::time::timeout(DEADLINE, reading).await.expect("the connection is closed in time");
        self.unread
    }
}
