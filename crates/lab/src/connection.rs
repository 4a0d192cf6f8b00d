//! One HTTP connection, as lean as hyper's: no pool, and no task beside the one that asks.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::http::response;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A connection that is kept open.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What moves the bytes, while somebody asks. None once the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Sends `request` and waits for all of its answer, whose body comes in place of what `body` holds.
    ///
    /// # Errors
    ///
    /// Those of the connection; it is of no use afterwards.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        body: &mut Vec<u8>,
    ) -> io::Result<response::Parts> {
        let Self { sender, driver } = self;
        let exchange = async {
            // The connection may have to be told first that the last answer was read.
            sender.ready().await?;
            let (head, mut incoming) = sender.send_request(request).await?.into_parts();
            body.clear();
            while let Some(frame) = incoming.frame().await {
                if let Ok(data) = frame?.into_data() {
                    body.extend_from_slice(&data);
                }
            }
            Ok::<_, hyper::Error>(head)
        };
        tokio::select! {
            biased;
            never = drive(driver) => match never {},
            head = exchange => head.map_err(io::Error::other),
        }
    }
}

/// Moves bytes as long as there is a connection. Never ends: what its end means, those who use it find.
async fn drive(driver: &mut Option<Pin<Box<Driver>>>) -> Infallible {
    if let Some(connection) = driver {
        let _ = connection.await;
        *driver = None;
    }
    pending().await
}

/// A request for `target`, which is a path with its query, with a JSON body.
pub(crate) fn post(target: &str, host: SocketAddr, json: Bytes) -> Request<Full<Bytes>> {
    Request::post(target)
        .header(HOST, host.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(json))
        .expect("the target is a path")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request with the parts of an answer, and closes the connection after the last one.
    async fn server(answers: &'static [&'static [&'static str]]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            for parts in answers {
                let mut request = Vec::new();
                while !request.ends_with(b"{}") {
                    stream.read_buf(&mut request).await.expect("a request");
                }
                for part in *parts {
                    stream.write_all(part.as_bytes()).await.expect("a reader");
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_are_read_whole_however_they_come() {
        let address = server(&[
            &["HTTP/1.1 200 OK\r\nContent-", "Length: 4\r\n\r\nab", "cd"],
            &["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "0\r\n\r\n"],
        ])
        .await;
        let mut connection = Connection::open(address).await.expect("a server");
        let mut body = Vec::new();
        let request = post("/trips", address, Bytes::from_static(b"{}"));
        for (status, text) in [(200, "abcd"), (503, ""), (200, "a")] {
            let head = connection.ask(request.clone(), &mut body).await.expect("an answer");
            assert_eq!((head.status.as_u16(), &*body), (status, text.as_bytes()));
        }
        for _ in 0..2 {
            connection.ask(request.clone(), &mut body).await.expect_err("it is gone");
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error() {
        let address = server(&[&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"]]).await;
        let mut connection = Connection::open(address).await.expect("a server");
        let request = post("/trips", address, Bytes::from_static(b"{}"));
        connection.ask(request, &mut Vec::new()).await.expect_err("half an answer");
    }
}
