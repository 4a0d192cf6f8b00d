//! What the clients of a run share: names, progress, when to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;

use crate::waiting::within;

/// The deadline for anything that must happen eventually.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What all clients of a run share.
pub struct Run {
    pub bootstrap: String,
    /// Written by the writers, and read by nobody else.
    pub plain: String,
    /// Written by the writers and read by the pipelines, which copy it to `output`.
    pub input: String,
    pub output: String,
    pub group: String,
    /// Records acknowledged and transactions committed so far.
    pub progress: AtomicU64,
    pub writers_stop: AtomicBool,
    pub pipelines_stop: AtomicBool,
}

impl Run {
    pub fn new(bootstrap: String) -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let name = |what: &str| format!("killed-{:x}-{what}", nanos.as_nanos());
        Self {
            bootstrap,
            plain: name("plain"),
            input: name("input"),
            output: name("output"),
            group: name("group"),
            progress: AtomicU64::new(0),
            writers_stop: AtomicBool::new(false),
            pipelines_stop: AtomicBool::new(false),
        }
    }

    pub fn client(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        // Clients should reconnect at once.
        config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }

    /// Returns when the clients get answers again.
    pub fn goes_on(&self) {
        let before = self.progress.load(Ordering::Relaxed);
        eventually("the clients go on", || {
            (self.progress.load(Ordering::Relaxed) > before + 200).then_some(())
        });
    }
}

/// Repeats a question until there is an answer.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, ask)
}
