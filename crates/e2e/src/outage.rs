//! A wire that can be cut: a TCP proxy in front of a registry or an API.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a target as long as it is whole. While cut it closes all there are, and new ones at once.
#[derive(Debug)]
pub struct Wire {
    addr: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Wire {
    /// A whole wire to `target` (`host:port`), on a free port.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (whole, state) = watch::channel(true);
        tokio::spawn(accept(listener, target.to_owned(), state));
        Self { addr, whole }
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Makes it whole again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn accept(listener: TcpListener, target: String, state: watch::Receiver<bool>) {
    while let Ok((connection, _)) = listener.accept().await {
        if *state.borrow() {
            tokio::spawn(forward(connection, target.clone(), state.clone()));
        }
    }
}

async fn forward(mut client: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = state.wait_for(|whole| !whole) => {}
    }
}
