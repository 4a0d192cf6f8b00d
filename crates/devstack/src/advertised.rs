//! An address that a broker tells its clients.

use std::fmt;
use std::str::FromStr;

/// A host and a port by which clients reach the broker, if it is not where it listens: through a forwarded port, a
/// container or a proxy.
///
/// ```
/// let address: devstack::HostPort = "kafka.example.com:19092".parse()?;
/// assert_eq!(address.to_string(), "kafka.example.com:19092");
/// # Ok::<(), devstack::InvalidHostPort>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A text that is no host with a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not HOST:PORT: give the host and the port by which clients reach the broker, such as \
     kafka.example.com:9092 or [::1]:9092"
)]
pub struct InvalidHostPort(String);

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let invalid = || InvalidHostPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = if let Some(address) = bracketed {
            address.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.chars().all(is_part)
        };
        if !is_host {
            return Err(invalid());
        }
        Ok(Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_an_address_with_a_port_is_read() {
        for text in ["localhost:9092", "kafka.example.com:1", "10.0.0.1:65535", "[::1]:9092"] {
            let address: HostPort = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_give() {
        for text in [
            "",
            "kafka",
            "kafka:",
            ":9092",
            "kafka:0",
            "kafka:65536",
            "::1:9092",
            "[::1]",
            "[kafka]:9092",
            "http://kafka:9092",
            "a kafka:9092",
            "a:9092,b:9092",
        ] {
            let error = text.parse::<HostPort>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("{text:?} is not HOST:PORT")), "{error}");
        }
    }
}
