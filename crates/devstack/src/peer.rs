//! Who a request came from.

use std::net::SocketAddr;

/// Who a request came from, as far as the APIs care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) addr: SocketAddr,
    /// The address at which it reached us, which is the one that it is told.
    pub(crate) reached_at: SocketAddr,
}
