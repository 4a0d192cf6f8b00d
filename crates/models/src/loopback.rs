//! This machine's own addresses.

use std::net::IpAddr;

/// Whether `host`, as it stands in a URL, is this machine itself: `localhost`, `127.0.0.0/8` or `[::1]`. No proxy is
/// asked for it, as in Go's `net/http` (`ProxyFromEnvironment`): a proxy would look for it on its own machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|addr: IpAddr| addr.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in
            ["localhost", "LOCALHOST", "127.0.0.1", "127.3.2.1", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "localhost.example", "10.0.0.1", "[::2]", "registry", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
