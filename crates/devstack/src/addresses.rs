//! Where tests find Kafka.

use crate::DevStack;

/// The environment variable that names a broker, `host:port`.
const BOOTSTRAP: &str = "TRIPSTREAM_TEST_BOOTSTRAP";
/// The environment variable that names a registry by its URL.
const REGISTRY: &str = "TRIPSTREAM_TEST_REGISTRY";

/// A broker and a registry that tests run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `host:port` of the broker.
    pub bootstrap_servers: String,
    /// Base URL of the registry's Confluent API.
    pub registry_url: String,
}

impl Addresses {
    /// Those that `TRIPSTREAM_TEST_BOOTSTRAP` and `TRIPSTREAM_TEST_REGISTRY` name, as for a run against Apache Kafka;
    /// else those of the dev stack that all tests of the process share.
    pub fn for_tests() -> Self {
        let or = |name, of_stack: fn(&DevStack) -> String| {
            std::env::var(name).unwrap_or_else(|_| of_stack(DevStack::shared()))
        };
        Self {
            bootstrap_servers: or(BOOTSTRAP, DevStack::bootstrap_servers),
            registry_url: or(REGISTRY, DevStack::registry_url),
        }
    }
}
