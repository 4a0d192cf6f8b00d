//! Whether the idempotent producer has the id that Kafka gives it (InitProducerId, KIP-98).
//!
//! librdkafka asks for it by itself, about half a second to a second after it was started, and holds all records back
//! until it has it. It tells so only in its statistics.

use serde::Deserialize;
use tokio::sync::watch;

/// How often the statistics are looked at, in milliseconds: `statistics.interval.ms`.
pub(super) const LOOK_MS: &str = "100";
/// `idemp_state` of a producer that has its id (`rd_kafka_idemp_state2str`).
const ASSIGNED: &str = "Assigned";

/// Becomes known once, and stays so: a producer that loses its id gets another one by itself.
#[derive(Debug, Default)]
pub(super) struct Identity(watch::Sender<bool>);

/// The part of the statistics that matters here.
#[derive(Deserialize)]
struct Statistics<'a> {
    #[serde(borrow)]
    eos: Option<Eos<'a>>,
}

#[derive(Deserialize)]
struct Eos<'a> {
    idemp_state: &'a str,
}

impl Identity {
    /// Reads librdkafka's statistics, which are JSON.
    pub(super) fn look(&self, statistics: &[u8]) {
        if *self.0.borrow() {
            return;
        }
        let found = serde_json::from_slice::<Statistics<'_>>(statistics);
        if found.is_ok_and(|found| found.eos.is_some_and(|eos| eos.idemp_state == ASSIGNED)) {
            self.0.send_replace(true);
        }
    }

    /// Waits until the producer has its id.
    pub(super) async fn assigned(&self) {
        let known = self.0.subscribe().wait_for(|assigned| *assigned).await.is_ok();
        debug_assert!(known, "the sender is ours");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_assigned_is_an_id_and_it_stays() {
        let identity = Identity::default();
        let known = || *identity.0.borrow();
        for other in [
            "{}",
            "no JSON",
            r#"{"name":"Assigned","eos":{"idemp_state":"WaitPID","txn_state":"Assigned"}}"#,
        ] {
            identity.look(other.as_bytes());
            assert!(!known(), "{other}");
        }
        identity.look(br#"{"brokers":{},"eos":{"idemp_state":"Assigned","producer_id":7}}"#);
        assert!(known());
        identity.look(br#"{"eos":{"idemp_state":"RequestPID"}}"#);
        assert!(known());
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let identity = Identity::default();
        let waiting = identity.assigned();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        identity.look(br#"{"eos":{"idemp_state":"Assigned"}}"#);
        waiting.await;
        identity.assigned().await;
    }
}
