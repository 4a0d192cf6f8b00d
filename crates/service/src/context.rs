//! What a service is handed besides its configuration.

use crate::{Health, Metrics, Shutdown};

/// The three things through which a service meets the process it runs in. Clones share them.
#[derive(Debug, Clone)]
pub struct Context {
    /// When to stop.
    pub shutdown: Shutdown,
    /// Whether the service can do its work.
    pub health: Health,
    /// What it counts.
    pub metrics: Metrics,
}

impl Context {
    /// A context of its own, as [`crate::main`] makes one a process and a test makes one a service.
    pub fn new(service: &str) -> Self {
        Self { shutdown: Shutdown::new(), health: Health::new(), metrics: Metrics::new(service) }
    }
}
