//! A joiner that stands still says so, and starts over.
//!
//! An assigned partition that delivers nothing holds the watermark, and in time everything. Whatever the reason (a
//! connection that swallows requests, a fetcher that waits for what doesn't come), a new session is the one way back.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::environment::Environment;
use crate::group::Feed;
use crate::log_ends::LogEnds;
use crate::session::SessionError;

/// How often it is looked after.
const INTERVAL: Duration = Duration::from_millis(100);
/// The name of the health check.
const CHECK: &str = "reading";

/// Looks after the silent partitions of one session.
pub(crate) struct Silence {
    log_ends: watch::Receiver<LogEnds>,
    looked: Instant,
}

impl Silence {
    pub(crate) fn new(env: &Environment) -> Self {
        env.ctx.health.set(CHECK, Ok(()));
        env.metrics.forget_lag();
        Self { log_ends: env.log_ends.clone(), looked: Instant::now() }
    }

    /// Warns of a partition that says nothing though there is something to read.
    ///
    /// # Errors
    ///
    /// [`SessionError::Stalled`] if that lasts for `joiner.stall_timeout` while Kafka does say where the partition ends.
    /// As long as it doesn't, a new session would learn no more.
    pub(crate) fn look(
        &mut self,
        feeds: &mut [Feed],
        env: &Environment,
    ) -> Result<(), SessionError> {
        let now = Instant::now();
        let since = now - self.looked;
        if since < INTERVAL {
            return Ok(());
        }
        self.looked = now;
        let timeout = env.config.joiner.stall_timeout;
        // Nobody has read for a while, or nobody could.
        let nothing_could_come = since > timeout / 4 || !env.kafka_is_reachable();
        for feed in feeds.iter_mut() {
            if nothing_could_come || feed.waits || feed.held.is_some() {
                feed.pulse.excuse(now);
            }
        }
        if self.log_ends.has_changed().unwrap_or(false) {
            let log_ends = self.log_ends.borrow_and_update();
            for feed in feeds.iter_mut() {
                let Some(&end) = log_ends.ends.get(&feed.source) else { continue };
                feed.pulse.log_ends_at(end, log_ends.asked, now);
                // Behind an end that was told there are only markers of transactions.
                let lag = if feed.pulse.due_since().is_some() { end - feed.next } else { 0 };
                env.metrics.lag(&feed.topic, feed.partition, lag.max(0));
            }
        }
        let Some(feed) = feeds.iter().max_by_key(|feed| feed.pulse.silence(now)) else {
            return Ok(());
        };
        let (topic, partition, after) = (&feed.topic, feed.partition, feed.pulse.silence(now));
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
        if after >= timeout && feed.pulse.due_since().is_some_and(|since| asked > since) {
            return Err(SessionError::Stalled { topic: topic.clone(), partition, after });
        }
        Ok(())
    }

    /// Nothing is read at the moment.
    pub(crate) fn excuse(feeds: &mut [Feed]) {
        let now = Instant::now();
        for feed in feeds {
            feed.pulse.excuse(now);
        }
    }

    /// The partitions were given back.
    pub(crate) fn forget(env: &Environment) {
        env.ctx.health.set(CHECK, Ok(()));
        env.metrics.forget_lag();
    }
}
