//! A joiner that stands still says so, and starts over.
//!
//! An assigned partition that delivers nothing stops the watermark, and in time every task. Whatever the reason is (a
//! connection that swallows requests, a fetcher that waits for nothing), only a new session helps.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::environment::Environment;
use super::error::SessionError;
use crate::group::AssignedPartition;
use crate::log_ends::LogEnds;

/// How often the partitions are checked.
const INTERVAL: Duration = Duration::from_millis(100);
/// The name of the health check.
const CHECK: &str = "reading";

/// Checks whether the partitions of one session deliver what they have.
pub(super) struct StallCheck {
    log_ends: watch::Receiver<LogEnds>,
    last_look: Instant,
}

impl StallCheck {
    pub(super) fn new(env: &Environment) -> Self {
        forget(env);
        Self { log_ends: env.log_ends.clone(), last_look: Instant::now() }
    }

    /// Warns of a partition that delivers nothing though there is something to read.
    ///
    /// # Errors
    ///
    /// [`SessionError::Stalled`] if that lasts for `joiner.stall_timeout` while Kafka does say where the partition
    /// ends. As long as it doesn't, a new session would learn no more.
    pub(super) fn look(
        &mut self,
        partitions: &mut [AssignedPartition],
        env: &Environment,
    ) -> Result<(), SessionError> {
        let now = Instant::now();
        let since = now - self.last_look;
        if since < INTERVAL {
            return Ok(());
        }
        self.last_look = now;
        let timeout = env.config.joiner.stall_timeout;
        // Nobody has read for a while, or nobody could.
        let nothing_could_come = since > timeout / 4 || !env.kafka_is_reachable();
        for assigned in partitions.iter_mut() {
            if nothing_could_come || assigned.is_paused || assigned.awaits_schema.is_some() {
                assigned.stall_timer.excuse(now);
            }
        }
        if self.log_ends.has_changed().unwrap_or(false) {
            let log_ends = self.log_ends.borrow_and_update();
            for assigned in partitions.iter_mut() {
                let Some(&end) = log_ends.ends.get(&assigned.source) else { continue };
                assigned.stall_timer.log_ends_at(end, log_ends.asked, now);
                // At the end of a partition, only markers of transactions can lie between the next offset and the
                // log's end.
                let lag = match assigned.stall_timer.due_since() {
                    Some(_) => end - assigned.next_offset,
                    None => 0,
                };
                env.metrics.lag(&assigned.topic, assigned.partition, lag.max(0));
            }
        }
        let silence = |assigned: &AssignedPartition| assigned.stall_timer.elapsed(now);
        let Some(assigned) = partitions.iter().max_by_key(|assigned| silence(assigned)) else {
            return Ok(());
        };
        let (topic, partition, after) = (&assigned.topic, assigned.partition, silence(assigned));
        let outcome = if after < timeout / 3 {
            Ok(())
        } else {
            Err(format!("{topic}/{partition} delivers nothing, though there is more to read"))
        };
        let is_fine = outcome.is_ok();
        if env.ctx.health.set(CHECK, outcome) {
            if is_fine {
                info!("all partitions are read again");
            } else {
                warn!(
                    topic,
                    partition,
                    ?after,
                    "a partition delivers nothing, though there is more to read"
                );
            }
        }
        let asked = self.log_ends.borrow().asked;
        if after >= timeout && assigned.stall_timer.due_since().is_some_and(|since| asked > since) {
            return Err(SessionError::Stalled { topic: topic.clone(), partition, after });
        }
        Ok(())
    }
}

/// Nothing is read at the moment, so nothing is due.
pub(super) fn excuse(partitions: &mut [AssignedPartition]) {
    let now = Instant::now();
    for assigned in partitions {
        assigned.stall_timer.excuse(now);
    }
}

/// The partitions were given back.
pub(super) fn forget(env: &Environment) {
    env.ctx.health.set(CHECK, Ok(()));
    env.metrics.forget_lag();
}
