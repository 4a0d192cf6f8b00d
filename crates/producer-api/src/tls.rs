//! HTTPS: the server's certificate and key, and what they need to be.

use std::fmt;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslMethod};
use openssl::x509::X509;
use service::ConfigError;

const CERTIFICATE: &str = "tls_certificate";
const KEY: &str = "tls_key";

/// What connections are encrypted with: TLS 1.2 or 1.3, as Mozilla's "intermediate" configuration recommends.
pub(crate) struct Tls(pub(crate) SslAcceptorBuilder);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the two PEM files; `None` if neither is named, which means plain HTTP.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key and the file.
    pub(crate) fn load(
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Result<Option<Self>, ConfigError> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(invalid(KEY, "must be set with tls_certificate")),
            (None, Some(_)) => return Err(invalid(CERTIFICATE, "must be set with tls_key")),
        };
        let unusable = |name, path: &Path, error: &ErrorStack| {
            invalid(name, format!("{}: {}", path.display(), words(error)))
        };
        let chain = chain(certificate)?;
        let private = private_key(key)?;
        let (own, above) = chain.split_first().expect("a chain has a certificate");
        let matches = own.public_key().is_ok_and(|public| public.public_eq(&private));
        if !matches {
            let (key, certificate) = (key.display(), certificate.display());
            let reason = format!("{key} is not the key of the first certificate in {certificate}");
            return Err(invalid(KEY, reason));
        }
        let build = || -> Result<SslAcceptorBuilder, ErrorStack> {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
            acceptor.set_certificate(own)?;
            for certificate in above {
                acceptor.add_extra_chain_cert(certificate.clone())?;
            }
            acceptor.set_private_key(&private)?;
            Ok(acceptor)
        };
        let acceptor = build().map_err(|error| unusable(CERTIFICATE, certificate, &error))?;
        Ok(Some(Self(acceptor)))
    }
}

fn chain(path: &Path) -> Result<Vec<X509>, ConfigError> {
    let pem = read(CERTIFICATE, path)?;
    let chain = X509::stack_from_pem(&pem).unwrap_or_default();
    if chain.is_empty() {
        let reason = format!("{} holds no certificate in PEM form", path.display());
        return Err(invalid(CERTIFICATE, reason));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PKey<Private>, ConfigError> {
    let pem = read(KEY, path)?;
    // With a callback, OpenSSL doesn't ask for a passphrase on the terminal.
    PKey::private_key_from_pem_callback(&pem, |_| Ok(0)).map_err(|_| {
        let path = path.display();
        invalid(KEY, format!("{path} holds no private key in PEM form without a passphrase"))
    })
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path)
        .map_err(|error| invalid(key, format!("cannot read {}: {error}", path.display())))
}

fn invalid(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key: format!("producer.{key}"), reason: reason.into() }
}

/// OpenSSL's reasons, without its function names and line numbers.
fn words(errors: &ErrorStack) -> String {
    let reasons: Vec<_> =
        errors.errors().iter().filter_map(openssl::error::Error::reason).collect();
    if reasons.is_empty() { "OpenSSL refuses it".to_owned() } else { reasons.join(", ") }
}
