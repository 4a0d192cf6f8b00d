//! How the consumer is configured.

use kafka::KafkaConfig;
use rdkafka::ClientConfig;

use crate::config::JoinerSection;

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
        // The same partition numbers of all topics together.
        ("partition.assignment.strategy", "range"),
        // The end of a partition is what idleness counts from.
        ("enable.partition.eof", "true"),
    ];
    for (name, value) in fixed {
        client.set(name, value);
    }
    let tuned = [
        // The default, a second, makes a backlog of several topics stall.
        ("fetch.queue.backoff.ms", "5"),
        // One request asks for all partitions that are not full. If those that have something are full at the moment, it
        // asks for the rest alone, which have nothing, and waits; and until it is answered nothing else is asked for.
        ("fetch.wait.max.ms", "10"),
        // Per partition, of which there are many.
        ("queued.max.messages.kbytes", "512"),
        ("max.partition.fetch.bytes", "262144"),
        // After a crash the partitions are free again in 10 s instead of 45 s.
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
