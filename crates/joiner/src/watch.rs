//! Whether Kafka and the registry can be reached, for `/health/ready`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use avro_schemas::RegistryClient;
use kafka::probe::Probe;
use service::Context;
use tracing::{info, warn};

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks Kafka again and again, for as long as it is polled.
pub(crate) async fn kafka(probe: Probe, reachable: Arc<AtomicBool>, ctx: Context) {
    loop {
        let outcome = probe.check(TIMEOUT).await;
        reachable.store(outcome.is_ok(), Ordering::Relaxed);
        note(&ctx, "kafka", outcome);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks the registry again and again, for as long as it is polled.
pub(crate) async fn registry(client: RegistryClient, ctx: Context) {
    loop {
        note(&ctx, "registry", client.reachable().await.map_err(|error| error.to_string()));
        tokio::time::sleep(INTERVAL).await;
    }
}

fn note(ctx: &Context, check: &'static str, outcome: Result<(), String>) {
    let why = outcome.clone().err();
    if ctx.health.set(check, outcome) {
        if let Some(why) = why {
            warn!(check, "{why}");
        } else {
            info!(check, "reachable");
        }
    }
}
