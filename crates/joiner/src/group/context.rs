//! Notes rebalances in librdkafka's callback, for the session's loop to answer.

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

/// A change of the assignment. librdkafka delivers no record before it is answered.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// To be answered with [`GroupMember::assign`](super::GroupMember::assign).
    Assigned(TopicPartitionList),
    /// To be answered with [`GroupMember::unassign`](super::GroupMember::unassign).
    Revoked,
}

/// Notes rebalances. The loop answers them outside of the callback, because an answer takes long: before a revocation a
/// transaction must be committed, and after an assignment the state must be restored.
#[derive(Default)]
pub(crate) struct GroupContext {
    log: LogContext,
    pub(super) rebalances: Mutex<VecDeque<Rebalance>>,
    /// Set when the group is left: the callback then answers by itself.
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
