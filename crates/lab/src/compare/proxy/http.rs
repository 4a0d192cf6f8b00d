//! HTTP/1.1 as far as our schedulers speak it: requests with a Content-Length, one after the other on a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// More than a scheduler's request has.
const HEAD_LIMIT: usize = 16 * 1024;
const BODY_LIMIT: usize = 64 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// How many trips it asks for; 0 if that isn't in it.
    pub(super) fn trips(&self) -> u64 {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["number_of_trips"].as_u64().unwrap_or_default()
    }
}

impl Answer {
    /// One that says no more than its status; 503 asks to come again in a second, as the API's own does.
    pub(super) fn of_status(status: u16) -> Self {
        let body = format!("{{\"detail\":\"an injected {status}\"}}").into_bytes();
        Self { status, retry_after: (status == 503).then(|| "1".to_owned()), body }
    }
}

/// Reads a request; none if the client has closed the connection before one.
///
/// # Errors
///
/// What the connection says, or that this is no request that we understand.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut buffer = Vec::new();
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > HEAD_LIMIT {
            return Err(invalid("a head without end"));
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(invalid("half a head")) };
        }
    };
    let mut body = buffer.split_off(head + 4);
    let head = std::str::from_utf8(&buffer).map_err(|_| invalid("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (first.next(), first.next()) else {
        return Err(invalid("no request line"));
    };
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse())
    });
    let length = length.unwrap_or(Ok(0)).map_err(|_| invalid("a length that is no number"))?;
    if length > BODY_LIMIT || body.len() > length {
        return Err(invalid("more than was announced, or than is allowed"));
    }
    let there = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[there..]).await?;
    Ok(Some(Request { method: method.to_owned(), target: target.to_owned(), body }))
}

/// Writes an answer.
///
/// # Errors
///
/// What the connection says.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
) -> io::Result<()> {
    let Answer { status, retry_after, body } = answer;
    let retry_after = match retry_after {
        Some(seconds) => format!("retry-after: {seconds}\r\n"),
        None => String::new(),
    };
    let mut bytes = format!(
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\n{retry_after}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_read_however_they_come_and_others_refused() {
        let post = "POST /api/x?y=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 23\r\n\r\n{\"number_of_trips\": 30}";
        // (what comes, method and target and trips of the request, or none for an error)
        let cases = [
            (post.to_owned(), Some(("POST".to_owned(), "/api/x?y=1".to_owned(), 30))),
            (post.replace("23", "24"), None),
            (post.replace("23", "99999"), None),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Some(("GET".to_owned(), "/".to_owned(), 0))),
            ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), None),
            ("GET / HTTP/1.1\r\nHo".to_owned(), None),
            ("GET\r\n\r\n".to_owned(), None),
            ("x".repeat(HEAD_LIMIT + 1), None),
        ];
        for (text, expected) in cases {
            let (mut client, mut server) = tokio::io::duplex(7);
            let sender = async move {
                let _ = client.write_all(text.as_bytes()).await;
                text
            };
            let (text, request) = tokio::join!(sender, async {
                let request = read(&mut server).await;
                drop(server);
                request
            });
            let found = request.ok().flatten().map(|request| {
                let trips = request.trips();
                (request.method, request.target, trips)
            });
            assert_eq!(found, expected, "{text}");
        }
        let none = read(&mut tokio::io::empty()).await.expect("a closed connection");
        assert_eq!(none, None);
    }
}
