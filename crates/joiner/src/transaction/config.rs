//! The configuration of the producer.

use rdkafka::ClientConfig;

use crate::config::JoinerConfig;

/// The producer's configuration, but for its transactional id.
pub(crate) fn producer_config(config: &JoinerConfig) -> ClientConfig {
    let mut client = config.kafka.client().expect("validated with the configuration");
    let timeout_ms = config.transaction_timeout().as_millis().to_string();
    let tuned = [
        ("transaction.timeout.ms", timeout_ms.as_str()),
        ("linger.ms", "1"),
        // A step of a transaction is refused while the broker is still ending the one before, for a few
        // milliseconds. The default, 100 ms, would be as long as a whole transaction.
        ("retry.backoff.ms", "10"),
        // The topics are created to take 4 MiB; a batch adds to its records.
        ("message.max.bytes", "4190208"),
        ("queue.buffering.max.messages", "500000"),
        ("queue.buffering.max.kbytes", "262144"),
    ];
    for (name, value) in tuned {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
}
