//! Whether Kafka and the registry can be reached, for `/health/ready`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use avro_schemas::RegistryClient;
use kafka::probe::Probe;
use service::Dependency;

const PERIOD: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks Kafka again and again, for as long as it is polled.
pub(crate) async fn kafka(kafka: Dependency, probe: Probe, reachable: Arc<AtomicBool>) {
    let ask = || async {
        let outcome = probe.check(TIMEOUT).await;
        reachable.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    };
    kafka.watch(PERIOD, ask).await;
}

/// Asks the registry again and again, for as long as it is polled.
pub(crate) async fn registry(registry: Dependency, client: RegistryClient) {
    let ask = || async { client.reachable().await.map_err(|error| error.to_string()) };
    registry.watch(PERIOD, ask).await;
}
