//! What librdkafka has to say, in our log.

use std::sync::Mutex;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tracing::{debug, error, trace, warn};

/// The target under which librdkafka's lines are logged.
pub(crate) const TARGET: &str = "librdkafka";

/// A client context that sends librdkafka's log to [`tracing`], and keeps why a record was not delivered.
///
/// librdkafka retries by itself, so what it calls an error (a connection refused, all brokers down) is a
/// warning here: the caller decides what it means.
#[derive(Debug, Default)]
pub struct LogContext {
    delivery_error: Mutex<Option<KafkaError>>,
}

impl LogContext {
    /// Takes the first error of a delivery since the last call, if there was one.
    pub fn take_delivery_error(&self) -> Option<KafkaError> {
        self.delivery_error.lock().expect("no holder of this lock panics").take()
    }
}

/// How much librdkafka should hand over at all, so that it doesn't format lines that nobody reads.
pub(crate) fn level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Warning
    }
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(target: TARGET, facility, "{line}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                warn!(target: TARGET, facility, "{line}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                debug!(target: TARGET, facility, "{line}");
            }
            RDKafkaLogLevel::Debug => trace!(target: TARGET, facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The same trouble has come by log() already; the ends of partitions come here too.
        debug!(target: TARGET, %error, "{reason}");
    }
}

impl ConsumerContext for LogContext {}

impl ProducerContext for LogContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.delivery_error.lock().expect("no holder of this lock panics");
            first.get_or_insert_with(|| error.clone());
        }
    }
}
