//! The broker's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, as Kafka counts.
pub(crate) type Millis = i64;

/// A clock that never goes back, even if the system's clock does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    epoch: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch }
    }

    pub(crate) fn now(self) -> Millis {
        (self.epoch + self.started.elapsed()).as_millis() as Millis
    }
}
