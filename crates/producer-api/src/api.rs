//! What all workers share: the parts that the endpoints work with, some of which are there only once Kafka is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Bytes, Payload};
use generator::Generator;
use service::Context;

use crate::access::{Access, Denied};
use crate::atomic::Atomic;
use crate::config::ProducerConfig;
use crate::headers::{Writing, writing};
use crate::metrics::ApiMetrics;
use crate::publisher::Publisher;
use crate::refusal::Refusal;

/// What all workers share.
pub(crate) struct Api {
    config: ProducerConfig,
    access: Access,
    ctx: Context,
    metrics: ApiMetrics,
    generator: Generator,
    /// The number of the next record or trip.
    next: AtomicU64,
    /// There once Kafka and the registry are.
    publisher: OnceLock<Publisher>,
    /// There before the publisher is.
    atomic: OnceLock<Atomic>,
}

impl Api {
    pub(crate) fn new(
        config: ProducerConfig,
        ctx: Context,
        metrics: ApiMetrics,
        generator: Generator,
    ) -> Self {
        Self {
            access: Access::new(config.bearer_token.as_ref()),
            config,
            ctx,
            metrics,
            generator,
            next: AtomicU64::new(0),
            publisher: OnceLock::new(),
            atomic: OnceLock::new(),
        }
    }

    /// Makes the endpoints work.
    pub(crate) fn connected(&self, publisher: Publisher, atomic: Atomic) -> &Publisher {
        self.atomic.get_or_init(|| atomic);
        self.publisher.get_or_init(|| publisher)
    }

    /// Whether no transaction can be written any more, by a mistake of ours.
    pub(crate) fn transactions_ended(&self) -> bool {
        self.atomic.get().is_some_and(Atomic::has_ended)
    }

    /// Shows how many records are on their way.
    pub(crate) fn report_in_flight(&self) {
        self.publisher.get().inspect(|publisher| publisher.report_in_flight());
        self.atomic.get().inspect(|atomic| atomic.report_in_flight());
    }

    /// Waits until every record has its report, and says how many have none by then. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) -> u64 {
        self.publisher.get().map_or(0, |publisher| publisher.flush(timeout))
    }

    /// The publisher, if there is one and it may be used.
    pub(crate) fn publisher(&self) -> Result<&Publisher, Refusal> {
        if self.ctx.shutdown.requested() {
            return Err(Refusal::Stopping);
        }
        self.publisher.get().ok_or_else(|| Refusal::NotReady(self.waiting_for()))
    }

    fn waiting_for(&self) -> String {
        let failing = self.ctx.health.checks().into_values().filter_map(Result::err);
        let failing: Vec<_> = failing.collect();
        if failing.is_empty() { "starting".to_owned() } else { failing.join("; ") }
    }

    /// Takes `count` numbers in a row and gives the first.
    pub(crate) fn numbers(&self, count: u32) -> u64 {
        self.next.fetch_add(count.into(), Ordering::Relaxed)
    }

    pub(crate) const fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    pub(crate) const fn generator(&self) -> Generator {
        self.generator
    }

    /// What writes transactions. There whenever a [publisher](Api::publisher) is.
    pub(crate) fn atomic(&self) -> &Atomic {
        self.atomic.get().expect("there before the publisher is")
    }

    /// Whether a request with these headers may use the endpoints.
    pub(crate) fn let_in(&self, headers: &HeaderMap) -> Result<(), Denied> {
        self.access.check(headers)
    }

    /// The largest `number_of_trips`; `streamed`: of an answer that is written line by line.
    pub(crate) const fn max_trips(&self, streamed: bool) -> u32 {
        let ProducerConfig { max_trips_streamed, max_trips_per_request, .. } = self.config;
        if streamed { max_trips_streamed } else { max_trips_per_request }
    }

    /// How the records of `request` are to be written.
    pub(crate) fn writing(&self, request: &HttpRequest) -> Result<Writing, Refusal> {
        Ok(writing(request, self.config.atomic)?)
    }

    /// Reads the body of a request, within the limits of size and time.
    pub(crate) async fn body(&self, payload: Payload) -> Result<Bytes, Refusal> {
        let read = payload.to_bytes_limited(self.config.body_limit_bytes);
        match tokio::time::timeout(self.config.body_timeout, read).await {
            Err(_) => Err(Refusal::BodyTooSlow),
            Ok(Err(_)) => Err(Refusal::BodyTooLarge),
            Ok(Ok(Err(_))) => Err(Refusal::BrokenBody),
            Ok(Ok(Ok(body))) => Ok(body),
        }
    }
}
