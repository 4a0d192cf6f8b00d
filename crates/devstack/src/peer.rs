//! Who a request came from.

use std::net::SocketAddr;

/// The addresses of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) addr: SocketAddr,
    /// Our address that the client connected to. Answers name it as the broker's address.
    pub(crate) reached_at: SocketAddr,
}
