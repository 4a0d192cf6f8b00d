//! HTTPS, and what is said of certificates and keys that can't serve it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use models::secret::Secret;
use openssl::x509::extension::SubjectAlternativeName;
use producer_api::{ProducerApiConfig, ProducerConfig, Server};
use reqwest::Version;
use service::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use trip_client::{
    ClientConfig, Due, Job, Overrun, RunPlan, RunReport, Schedule, Tick, TripClient, drive,
};

use crate::certificate::Files;
use crate::harness::{Api, DEADLINE, config_for, dev_stack};

fn with_files(mut config: ProducerApiConfig, files: &Files) -> ProducerApiConfig {
    config.producer.tls_certificate = Some(files.certificate());
    config.producer.tls_key = Some(files.key());
    config
}

#[tokio::test]
async fn who_trusts_the_certificate_gets_trips_over_https() {
    let stack = dev_stack();
    let files = Files::new();
    let api = Api::ready(with_files(config_for(&stack), &files)).await;
    assert!(api.url.starts_with("https://"));
    let answer = api.send("/api/generate-complete-trip", &[], &serde_json::Value::Null).await;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_11));
    let error = reqwest::get(format!("{}/health/live", api.url)).await.unwrap_err();
    assert!(error.is_connect(), "a stranger's certificate is not trusted: {error}");
    api.stop().await.unwrap();
}

#[tokio::test]
async fn plain_http_is_not_served_there_and_does_not_hang() {
    let stack = dev_stack();
    let files = Files::new();
    let mut config = with_files(config_for(&stack), &files);
    // Longer than what actix-web waits by default.
    config.producer.header_timeout = Duration::from_secs(4);
    let api = Api::start(config);
    let start = Instant::now();
    for request in ["GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", ""] {
        let mut client = TcpStream::connect(api.addr).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(DEADLINE, client.read_to_end(&mut answer)).await;
        // Closed or reset, it is over.
        let _ = ended.unwrap_or_else(|_| panic!("{request:?} keeps the connection"));
        assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    }
    assert!(start.elapsed() >= Duration::from_secs(4), "a handshake has its time");
    assert_eq!(api.ask("GET", "/health/live", None, "").await.status, 200);
    api.stop().await.unwrap();
}

/// As many ticks, all due at once.
struct Burst(usize);

impl Schedule for Burst {
    async fn next(&mut self) -> Option<Due> {
        self.0 = self.0.checked_sub(1)?;
        Some(Due::Now(Tick { due: Instant::now(), trips: 2, job: 0 }))
    }
}

/// What the driver of the schedulers makes of five requests.
async fn driven(config: &ClientConfig) -> RunReport {
    let job = Job {
        name: "test".to_owned(),
        schedule: String::new(),
        overrun: Overrun::Overlap,
        queue_limit: 1,
    };
    let shutdown = service::ShutdownConfig::default();
    let plan = RunPlan::new("test", String::new(), vec![job], config, &shutdown);
    let client = TripClient::new(config).unwrap();
    drive(&client, &mut Burst(5), plan, &Context::new("test")).await.unwrap()
}

#[tokio::test]
async fn the_schedulers_client_speaks_to_it_with_token_and_certificate() {
    let stack = dev_stack();
    let files = Files::new();
    let mut config = with_files(config_for(&stack), &files);
    config.producer.bearer_token = Some(Secret::new("s3cret"));
    let api = Api::ready(config).await;
    let complete = ClientConfig {
        url: api.url.clone(),
        bearer_token: Some(Secret::new("s3cret")),
        ca_location: Some(files.certificate()),
        retries: 0,
        ..ClientConfig::default()
    };
    let report = driven(&complete).await;
    assert_eq!(report.counts.succeeded, 5, "{:?}", report.last_failure);
    for (config, named) in [
        (ClientConfig { bearer_token: None, ..complete.clone() }, "set client.bearer_token"),
        (
            ClientConfig { ca_location: None, ..complete },
            "certificate verify failed (self-signed certificate); set client.ca_location",
        ),
    ] {
        let report = driven(&config).await;
        assert_eq!(report.counts.succeeded, 0);
        let failure = report.last_failure.unwrap();
        assert!(failure.contains(named), "{failure}");
    }
    api.stop().await.unwrap();
}

#[tokio::test]
async fn the_schedulers_client_says_which_name_the_certificate_lacks() {
    let stack = dev_stack();
    let files = Files::named(SubjectAlternativeName::new().dns("api.example"));
    let api = Api::start(with_files(config_for(&stack), &files));
    let config = ClientConfig {
        url: api.url.clone(),
        ca_location: Some(files.certificate()),
        retries: 0,
        ..ClientConfig::default()
    };
    let failure = driven(&config).await.last_failure.unwrap();
    let named = "(IP address mismatch); it is not for 127.0.0.1, which client.url names";
    assert!(failure.contains(named), "{failure}");
    api.stop().await.unwrap();
}

#[test]
fn what_cannot_be_used_is_named_with_its_key_and_file() {
    let [files, others] = [Files::new(), Files::new()];
    let (certificate, key) = (files.certificate(), files.key());
    let text = files.write("text.pem", b"no PEM");
    let missing = certificate.with_file_name("missing.pem");
    let cases: [(&PathBuf, &PathBuf, &str, &PathBuf, &str); 7] = [
        (&missing, &key, "tls_certificate", &missing, "cannot read"),
        (&certificate, &missing, "tls_key", &missing, "cannot read"),
        (&text, &key, "tls_certificate", &text, "no certificate in PEM form"),
        (&key, &key, "tls_certificate", &key, "no certificate in PEM form"),
        (&certificate, &text, "tls_key", &text, "no private key in PEM form"),
        (&certificate, &files.encrypted_key(), "tls_key", &files.encrypted_key(), "passphrase"),
        (&certificate, &others.key(), "tls_key", &others.key(), "is not the key of"),
    ];
    for (certificate, key, named, file, reason) in cases {
        let producer = ProducerConfig {
            tls_certificate: Some(certificate.clone()),
            tls_key: Some(key.clone()),
            ..ProducerConfig::default()
        };
        let config = ProducerApiConfig { producer, ..ProducerApiConfig::default() };
        let error = Server::bind(config, Context::new("test")).unwrap_err().to_string();
        for part in [&format!("producer.{named}"), &file.display().to_string(), reason] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
}

#[test]
fn a_key_that_does_not_fit_ends_the_process_with_the_status_of_a_configuration_error() {
    let [files, others] = [Files::new(), Files::new()];
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer-api"));
    // Out of reach of this repository's configuration.
    command.current_dir(std::env::temp_dir());
    for (key, path) in [("tls_certificate", files.certificate()), ("tls_key", others.key())] {
        command.arg("--set").arg(format!("producer.{key}={}", path.display()));
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("producer.tls_key") && text.contains("api.key"), "{text}");
}
