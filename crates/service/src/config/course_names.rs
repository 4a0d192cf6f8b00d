//! The names that users of the course already have in their `.env`.

/// The key that a name of the course sets. Names are taken in any case; `basic_auth.user_info` may also be written
/// with an underscore, because a shell can't export a name with a dot.
pub(super) fn course_key(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('.', "_");
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}

const NAMES: [(&str, &str); 19] = [
    ("bootstrap_servers", "kafka.bootstrap_servers"),
    ("security_protocol", "kafka.security_protocol"),
    ("sasl_mechanisms", "kafka.sasl_mechanisms"),
    ("sasl_username", "kafka.sasl_username"),
    ("sasl_password", "kafka.sasl_password"),
    ("schema_registry_url", "registry.url"),
    ("basic_auth_user_info", "registry.basic_auth"),
    ("topics_trips", "topics.trips.name"),
    ("topics_trips_partitions", "topics.trips.partitions"),
    ("topics_trips_replicas", "topics.trips.replicas"),
    ("topics_riders", "topics.riders.name"),
    ("topics_riders_partitions", "topics.riders.partitions"),
    ("topics_riders_replicas", "topics.riders.replicas"),
    ("topics_drivers", "topics.drivers.name"),
    ("topics_drivers_partitions", "topics.drivers.partitions"),
    ("topics_drivers_replicas", "topics.drivers.replicas"),
    ("topics_joined_streams", "topics.joined_streams.name"),
    ("topics_joined_streams_partitions", "topics.joined_streams.partitions"),
    ("topics_joined_streams_replicas", "topics.joined_streams.replicas"),
];
