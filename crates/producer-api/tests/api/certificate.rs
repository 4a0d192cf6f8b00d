//! Certificates that a test makes for itself.

use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// A certificate and its key in a directory of their own, which is gone with this.
pub(crate) struct Files {
    dir: tempfile::TempDir,
    key: PKey<Private>,
}

impl Files {
    /// A certificate for 127.0.0.1 and localhost that vouches for itself.
    pub(crate) fn new() -> Self {
        Self::named(SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1"))
    }

    /// One for other names.
    pub(crate) fn named(names: &SubjectAlternativeName) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "tripstream test").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(rand::random()).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.append_extension(BasicConstraints::new().ca().build().unwrap()).unwrap();
        let context = builder.x509v3_context(None, None);
        builder.append_extension(names.build(&context).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();

        let files = Self { dir: tempfile::tempdir().unwrap(), key };
        files.write("api.pem", &builder.build().to_pem().unwrap());
        files.write("api.key", &files.key.private_key_to_pem_pkcs8().unwrap());
        files
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("api.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path("api.key")
    }

    /// The key in a file with a passphrase.
    pub(crate) fn encrypted_key(&self) -> PathBuf {
        let pem = self.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret");
        self.write("encrypted.key", &pem.unwrap())
    }

    /// Another file beside them.
    pub(crate) fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}
