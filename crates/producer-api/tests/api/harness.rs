//! One API on a free port, and what it is asked with.

use std::net::SocketAddr;
use std::time::Duration;

use avro_schemas::RegistryConfig;
use devstack::{DevStack, Options};
use kafka::KafkaConfig;
use producer_api::{Error, ProducerApiConfig, ProducerConfig, Server};
use reqwest::header::{ALLOW, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};
use service::Context;
use tokio::task::JoinHandle;

/// Nothing in these tests takes this long, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const JSON: &str = "application/json";
pub(crate) const TRIPS: &str = "/api/generate-multiple-trips";

/// A Kafka and a registry of the test's own, with which things may go wrong.
pub(crate) fn dev_stack() -> DevStack {
    DevStack::start(Options::default()).unwrap()
}

/// Settings for `stack`, with 1,000 trips a request and time for a delivery that does not run out in a test.
pub(crate) fn config_for(stack: &DevStack) -> ProducerApiConfig {
    ProducerApiConfig {
        kafka: KafkaConfig {
            bootstrap_servers: stack.bootstrap_servers(),
            ..KafkaConfig::default()
        },
        registry: RegistryConfig { url: stack.registry_url(), ..RegistryConfig::default() },
        producer: ProducerConfig {
            max_trips_per_request: 1_000,
            delivery_timeout: DEADLINE,
            ..ProducerConfig::default()
        },
        ..ProducerApiConfig::default()
    }
}

/// The same with so little time for a delivery that a test can wait for its end.
pub(crate) fn hasty(stack: &DevStack) -> ProducerApiConfig {
    let mut config = config_for(stack);
    config.producer.delivery_timeout = Duration::from_secs(3);
    config
}

/// What is answered at last, if time may run out before anything is produced: it does on a machine that is slow just then.
pub(crate) async fn in_time(ask: impl AsyncFn() -> Answer) -> Answer {
    let asking = async {
        loop {
            let answer = ask().await;
            if answer.status != 504 || answer.json()["produced"] != false {
                return answer;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("there is time enough once")
}

/// A producer API that runs until it is told to stop.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) addr: SocketAddr,
    client: Client,
    pub(crate) ctx: Context,
    running: JoinHandle<Result<(), Error>>,
}

/// The parts of an answer that are looked at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) allow: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) is_replayed: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Api {
    /// Starts an API on a free port. It may not be ready yet. Its certificate is trusted, if it has one.
    pub(crate) fn start(mut config: ProducerApiConfig) -> Self {
        config.producer.listen.set_port(0);
        let ctx = Context::new("test");
        let mut client =
            Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none());
        let mut scheme = "http";
        if let Some(path) = &config.producer.tls_certificate {
            let pem = std::fs::read(path).unwrap();
            client = client.tls_certs_merge([Certificate::from_pem(&pem).unwrap()]);
            scheme = "https";
        }
        let server = Server::bind(config, ctx.clone()).unwrap();
        let addr = server.addr();
        let client = client.build().unwrap();
        let running = tokio::spawn(server.run());
        Self { url: format!("{scheme}://{addr}"), addr, client, ctx, running }
    }

    /// Starts an API and waits until it is ready.
    pub(crate) async fn ready(config: ProducerApiConfig) -> Self {
        let api = Self::start(config);
        api.wait_for("/health/ready", 200).await;
        api
    }

    /// Asks `path` until it answers `status`.
    pub(crate) async fn wait_for(&self, path: &str, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.ask("GET", path, None, "").await;
                if answer.status == status {
                    return answer;
                }
                assert!(!self.running.is_finished(), "the service ended: {answer:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the status comes in time")
    }

    /// Asks for readiness until the answer gives `reason`.
    pub(crate) async fn wait_for_reason(&self, reason: &str) -> Answer {
        let asking = async {
            loop {
                let answer = self.ask("GET", "/health/ready", None, "").await;
                if answer.text.contains(reason) {
                    return answer;
                }
                assert!(!self.running.is_finished(), "the service ended: {answer:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the reason comes in time")
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url)).body(body);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        Self::answer(request.send().await.unwrap()).await
    }

    async fn answer(response: Response) -> Answer {
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Answer {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER),
            allow: header(ALLOW),
            location: header(LOCATION),
            request_id: header("x-request-id".parse().unwrap()),
            is_replayed: header("idempotent-replayed".parse().unwrap()).is_some(),
            content_type: header(CONTENT_TYPE).unwrap_or_default(),
            text: response.text().await.unwrap(),
        }
    }

    /// Posts JSON with headers; the body is to be read yet.
    pub(crate) async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).body(body.to_string());
        let request = request.header(CONTENT_TYPE, JSON);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    /// Posts JSON with headers.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        Self::answer(self.send(path, headers, body).await).await
    }

    /// Asks for `number` trips in one transaction.
    pub(crate) async fn atomic_trips(&self, number: u32) -> Answer {
        self.post_with(
            TRIPS,
            &[("Tripstream-Atomic", "true")],
            &json!({ "number_of_trips": number }),
        )
        .await
    }

    /// Asks for `number` trips that are made once for `key`.
    pub(crate) async fn trips_once(&self, key: &str, number: u32) -> Answer {
        self.post_with(TRIPS, &[("Idempotency-Key", key)], &json!({ "number_of_trips": number }))
            .await
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(JSON), body.to_string()).await
    }

    /// Asks for `number` trips.
    pub(crate) async fn trips(&self, number: u32) -> Answer {
        self.post(TRIPS, &json!({ "number_of_trips": number })).await
    }

    /// The value of the metric whose line starts with `line`.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let metrics = self.ask("GET", "/metrics", None, "").await.text;
        metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// Asks for the metric until it has `value`.
    pub(crate) async fn wait_for_metric(&self, line: &str, value: f64) {
        let asking = async {
            while self.metric(line).await != Some(value) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the value comes in time");
    }

    /// Waits until the API has come to its end.
    pub(crate) async fn end(self) -> Result<(), Error> {
        tokio::time::timeout(DEADLINE, self.running).await.expect("it ends").expect("no panic")
    }

    /// Asks the API to stop and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.ctx.shutdown.trigger();
        self.end().await
    }
}
