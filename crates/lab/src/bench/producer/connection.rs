//! One HTTP connection that is kept open. Client and API share the cores of one machine, so this does as little as can be
//! done: the request is a constant, and of an answer's head only the status and the length are read (RFC 9112).

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer's head may be.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection, with the last answer in it.
pub(super) struct Connection {
    stream: TcpStream,
    /// Head and body; kept from answer to answer.
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Of the head itself, up to the body.
    bytes: usize,
    content_length: usize,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends `request`, which is a whole one, and reads its answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(invalid("a head that does not end"));
            }
        };
        let end = head.bytes + head.content_length;
        self.buffer.reserve(end.saturating_sub(self.buffer.len()));
        while self.buffer.len() < end {
            self.read().await?;
        }
        if self.buffer.len() > end {
            return Err(invalid("more than its Content-Length says"));
        }
        Ok(Answer { status: head.status, body: &self.buffer[head.bytes..] })
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A whole request for `path` with a JSON body.
pub(super) fn post(path: &str, host: SocketAddr, json: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}

/// The head that `bytes` begin with, if all of it is there.
fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(bytes, HEAD_END) else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("a head that is no text"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .ok_or_else(|| invalid("no status line of HTTP/1.1"))?;
    let content_length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| invalid("no Content-Length"))?;
    Ok(Some(Head { status, bytes: end + HEAD_END.len(), content_length }))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer has {what}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_has_a_status_and_a_length_or_is_refused() {
        let found = |text: &str| head(text.as_bytes()).map_err(|error| error.to_string());
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: x\r\n\r\n[]";
        let expected = Head { status: 200, bytes: whole.len() - 2, content_length: 2 };
        assert_eq!(found(whole), Ok(Some(expected)));
        for length in 0..whole.len() - 2 {
            assert_eq!(found(&whole[..length]), Ok(None), "{length}");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for wrong in [chunked, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "SSH-2.0\r\n\r\n"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn answers_are_read_whole_however_they_come() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let request = post("/trips", address, "{}");
        let asked = request.len();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            for parts in [
                &["HTTP/1.1 200 OK\r\nContent-", "Length: 4\r\n\r\nab", "cd"][..],
                &["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"],
            ] {
                let mut request = vec![0; asked];
                stream.read_exact(&mut request).await.expect("a request");
                for part in parts {
                    stream.write_all(part.as_bytes()).await.expect("a reader");
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut connection = Connection::open(address).await.expect("a server");
        let answer = connection.ask(&request).await.expect("an answer");
        assert_eq!(answer, Answer { status: 200, body: b"abcd" });
        let answer = connection.ask(&request).await.expect("an answer");
        assert_eq!(answer, Answer { status: 503, body: b"" });
        server.await.expect("no panic");
        let error = connection.ask(&request).await.expect_err("it is gone");
        assert!(
            [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&error.kind()),
            "{error}"
        );
    }
}
