//! Who may use the endpoints: those who know the token (RFC 6750), if there is one.

use std::net::SocketAddr;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use models::secret::Secret;
use openssl::memcmp;
use openssl::sha::sha256;

/// What clients have to know. Holds the token's digest only.
#[derive(Debug, Clone)]
pub(crate) struct Access(Option<[u8; 32]>);

/// A request for an endpoint that its client may not use. The texts are those of FastAPI's `HTTPBearer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// No token came with it.
    #[error("Not authenticated")]
    NoToken,
    /// Another token did.
    #[error("Invalid authentication credentials")]
    WrongToken,
}

impl Denied {
    /// The value of `WWW-Authenticate`. RFC 6750, 3.1: who sent no token is told of no error.
    pub(crate) const fn challenge(self) -> &'static str {
        match self {
            Self::NoToken => "Bearer",
            Self::WrongToken => "Bearer error=\"invalid_token\"",
        }
    }
}

impl Access {
    /// Without a token everybody is let in.
    pub(crate) fn new(token: Option<&Secret>) -> Self {
        Self(token.map(|token| sha256(token.expose().as_bytes())))
    }

    /// Whether a request with these headers may be served.
    ///
    /// Digests are compared, in constant time: how long it takes tells neither how much of a token is right nor how
    /// long the right one is.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let Some(expected) = &self.0 else { return Ok(()) };
        let given = token(headers)?;
        if memcmp::eq(&sha256(given), expected) { Ok(()) } else { Err(Denied::WrongToken) }
    }
}

/// The token of `Authorization: Bearer <token>`.
fn token(headers: &HeaderMap) -> Result<&[u8], Denied> {
    let mut values = headers.get_all(AUTHORIZATION);
    let value = values.next().ok_or(Denied::NoToken)?.as_bytes().trim_ascii();
    if values.next().is_some() {
        return Err(Denied::WrongToken);
    }
    let mut parts = value.splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    let token = parts.next().unwrap_or_default().trim_ascii_start();
    if scheme.eq_ignore_ascii_case(b"Bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Denied::NoToken)
    }
}

/// What is open to others than this machine, if the API is served at `addr`.
pub(crate) fn exposure(addr: SocketAddr, token: bool, tls: bool) -> Option<&'static str> {
    if addr.ip().to_canonical().is_loopback() {
        None
    } else if !token {
        Some("everybody who reaches this address may use the API: producer.bearer_token is not set")
    } else if !tls {
        Some(
            "unless a proxy encrypts it, the token can be read on its way: producer.tls_certificate is not set",
        )
    } else {
        None
    }
}

/// Why no client could ever send this token, if so.
pub(crate) fn flaw(token: &Secret) -> Option<&'static str> {
    let token = token.expose();
    if token.is_empty() {
        Some("must not be empty; leave it out to let everybody in")
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("must be of visible ASCII characters, without spaces")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(access: &Access, values: &[&str]) -> Result<(), Denied> {
        let request = values.iter().fold(TestRequest::post(), |request, value| {
            request.append_header((AUTHORIZATION, *value))
        });
        access.check(request.to_http_request().headers())
    }

    #[test]
    fn only_the_token_opens() {
        let access = Access::new(Some(&Secret::new("s3cret")));
        for (values, expected) in [
            (&["Bearer s3cret"][..], Ok(())),
            (&["bearer  s3cret "], Ok(())),
            (&[], Err(Denied::NoToken)),
            (&["Bearer"], Err(Denied::NoToken)),
            (&["Bearer "], Err(Denied::NoToken)),
            (&["Basic s3cret"], Err(Denied::NoToken)),
            (&["s3cret"], Err(Denied::NoToken)),
            (&["Bearer s3cre"], Err(Denied::WrongToken)),
            (&["Bearer s3cret2"], Err(Denied::WrongToken)),
            (&["Bearer S3cret"], Err(Denied::WrongToken)),
            (&["Bearer s3cret x"], Err(Denied::WrongToken)),
            (&["Bearer s3cret", "Bearer s3cret"], Err(Denied::WrongToken)),
        ] {
            assert_eq!(check(&access, values), expected, "{values:?}");
        }
        assert_eq!(check(&Access::new(None), &["Bearer x"]), Ok(()));
    }

    #[test]
    fn what_others_can_reach_and_read_is_told() {
        for (addr, token, tls, expected) in [
            ("127.0.0.1:8001", false, false, None),
            ("127.9.9.9:8001", true, false, None),
            ("[::1]:8001", false, false, None),
            ("[::ffff:127.0.0.1]:8001", false, false, None),
            ("0.0.0.0:8001", false, false, Some("bearer_token")),
            ("[::]:8001", false, true, Some("bearer_token")),
            ("192.0.2.7:8001", true, false, Some("tls_certificate")),
            ("192.0.2.7:8001", true, true, None),
        ] {
            let told = exposure(addr.parse().unwrap(), token, tls);
            let names = told.is_some_and(|told| told.contains(expected.unwrap_or("")));
            assert!(names == expected.is_some(), "{addr} {token} {tls}: {told:?}");
        }
    }

    #[test]
    fn a_token_must_be_one_that_can_be_sent() {
        for token in ["", " ", "a b", "a\n", "ä"] {
            assert!(flaw(&Secret::new(token)).is_some(), "{token:?}");
        }
        assert_eq!(flaw(&Secret::new("mF_9.B5f-4.1JqM+/~==")), None);
    }
}
