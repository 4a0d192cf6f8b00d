//! Notes what the group decides, until the session's loop answers it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use kafka::LogContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tracing::debug;

/// A change of the assignment. Nothing is read before it is answered.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// Answer with [`Group::assign`].
    Assigned(TopicPartitionList),
    /// Answer with [`Group::unassign`].
    Revoked,
}

/// Notes rebalances for the loop, which answers them outside of librdkafka's callback: it has a transaction to
/// commit before, and a state to restore after.
#[derive(Default)]
pub(crate) struct GroupContext {
    log: LogContext,
    pub(super) rebalances: Mutex<VecDeque<Rebalance>>,
    /// Nobody listens any more.
    pub(super) closing: AtomicBool,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                debug!(%error, "giving up the partitions while closing");
            }
            return;
        }
        let rebalance = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Rebalance::Assigned(partitions.clone())
            }
            _ => Rebalance::Revoked,
        };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}
