//! Addresses for servers that don't tell which port they got.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

/// Below the ports that systems give to outgoing connections, which would otherwise take one between our look at it and
/// the server's start.
const PORTS: Range<u16> = 12_000..31_000;
const TRIES: usize = 1_000;

/// Addresses on this machine, all different, that nobody listens on now.
///
/// # Errors
///
/// The system's, if no port can be had.
pub fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut held = Vec::with_capacity(N);
    let mut refusal = None;
    for _ in 0..TRIES {
        if held.len() == N {
            break;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS))) {
            Ok(listener) => held.push(listener),
            Err(error) => refusal = Some(error),
        }
    }
    let addresses = held.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    addresses.try_into().map_err(|_| {
        refusal.unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_are_different_and_can_be_listened_on() {
        let addresses: [SocketAddr; 8] = free_addresses().expect("ports");
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 8, "{addresses:?}");
        for address in addresses {
            TcpListener::bind(address).expect("free");
        }
    }
}
