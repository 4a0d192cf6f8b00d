//! The configuration of the consumer.

use kafka::KafkaConfig;
use rdkafka::ClientConfig;

use crate::config::JoinerSection;

/// What the joiner depends on, and what it tunes unless `[kafka.properties]` does.
pub(super) fn consumer_config(kafka: &KafkaConfig, section: &JoinerSection) -> ClientConfig {
    let mut client = kafka.client().expect("validated with the configuration");
    client.set("group.id", &section.group_id);
    if let Some(instance) = section.instance() {
        client.set("group.instance.id", format!("{}-{instance}", section.group_id));
    }
    let fixed = [
        // Offsets go with the transactions.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "earliest"),
        // One member gets the partitions with the same number of all topics.
        ("partition.assignment.strategy", "range"),
        // The idle time of a partition counts from its end.
        ("enable.partition.eof", "true"),
    ];
    for (name, value) in fixed {
        client.set(name, value);
    }
    let tuned = [
        // The default, a second, makes a backlog of several topics stall.
        ("fetch.queue.backoff.ms", "5"),
        // A fetch request names all partitions whose queues are not full. If only partitions with nothing new are left,
        // the broker waits for so long before it answers, and until then librdkafka sends it no other fetch request.
        ("fetch.wait.max.ms", "10"),
        // These two count for each partition, and there are many.
        ("queued.max.messages.kbytes", "512"),
        ("max.partition.fetch.bytes", "262144"),
        // After a crash, the group assigns the partitions again in 10 s instead of 45 s.
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "3000"),
    ];
    for (name, value) in tuned {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
}
