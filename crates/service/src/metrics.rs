//! The metrics of one service, in the text format that Prometheus scrapes.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The commit that this was built from, if whoever built it says so. What isn't said isn't looked for: the same sources
/// make the same binary.
const COMMIT: Option<&str> = option_env!("TRIPSTREAM_COMMIT");

/// The registry of one service's metrics; names get the prefix `tripstream_`. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// A registry that holds only `build_info`: what this binary was built from, and how.
    pub fn new(service: &str) -> Self {
        let mut registry = Registry::with_prefix("tripstream");
        let labels = vec![
            ("service", service.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("commit", COMMIT.unwrap_or("unknown").to_owned()),
            ("rustc", env!("TRIPSTREAM_RUSTC").to_owned()),
            ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
        ];
        registry.register(
            "build",
            "Which service this is, and how it was built",
            Info::new(labels),
        );
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Lets a service register its metrics; it keeps the handles that it counts with.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a String does not fail");
        text
    }
}
