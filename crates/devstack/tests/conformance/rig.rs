//! The broker's address, unique names, and clients.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;

use crate::waiting::within;
use crate::wire::Wire;

/// The deadline for anything that must happen eventually.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// `host:port` of the broker under test.
pub fn bootstrap() -> String {
    devstack::Addresses::for_tests().bootstrap_servers
}

/// A name that no other test and no earlier run uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    format!("{prefix}-{nanos:x}-{}-{count}", std::process::id())
}

/// A new topic that is ready for use.
pub fn topic(partitions: i32) -> String {
    topic_with(partitions, &[])
}

/// A new topic with a configuration of its own.
pub fn topic_with(partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = unique("topic");
    let mut wire = Wire::connect();
    wire.create_topic(&name, partitions, 1, configs).unwrap();
    wire.await_topic(&name, partitions);
    name
}

/// The name of a new group whose coordinator answers.
pub fn group() -> String {
    let name = unique("group");
    Wire::connect().await_coordinator(&name, 0);
    name
}

/// A new transactional id whose coordinator answers.
pub fn transactional_id() -> String {
    let name = unique("transactional");
    Wire::connect().await_coordinator(&name, 1);
    name
}

/// Repeats a question until there is an answer.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, ask)
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// librdkafka's configuration, `settings` on top.
pub fn client(settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap());
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}
