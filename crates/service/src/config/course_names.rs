//! The names that users of the course already have in their `.env`, and those that are nearly so.

/// What a variable's name means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is one of the course: it sets this key.
    Course(&'static str),
    /// Other programs call it so, and the meaning is plain: it sets this key unless a name of the course does.
    Alias(&'static str),
    /// It looks like a mistake for this name of the course.
    NearMiss(&'static str),
    /// It is another program's.
    Foreign,
}

/// What `name` means. Names are taken in any case; a dot or a hyphen may be written as an underscore, because a shell
/// can't export a name with one.
pub(super) fn meaning(name: &str) -> Meaning {
    let name = name.to_lowercase().replace(['.', '-'], "_");
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
    };
    let course = COURSE.iter().find(|(known, _)| normalised(known) == name);
    if let Some((_, key)) = course {
        return Meaning::Course(key);
    }
    if let Some(key) = find(&ALIASES) {
        return Meaning::Alias(key);
    }
    find(&NEAR_MISSES).or_else(|| misspelt(&name)).map_or(Meaning::Foreign, Meaning::NearMiss)
}

fn normalised(name: &str) -> String {
    name.to_lowercase().replace('.', "_")
}

/// The name of the course from which `name` is a slip of one or two letters away.
fn misspelt(name: &str) -> Option<&'static str> {
    let slips = |known: &str| strsim::osa_distance(&normalised(known), name);
    let known = COURSE.iter().map(|(known, _)| *known);
    // `TOPICS_TRIPS` and `TOPICS_RIDERS` are names of their own, so short ones must be nearer.
    known
        .filter(|known| slips(known) <= if known.len() < 15 { 1 } else { 2 })
        .min_by_key(|known| slips(known))
}

/// The course's names and the keys that they set.
const COURSE: [(&str, &str); 19] = [
    ("BOOTSTRAP_SERVERS", "kafka.bootstrap_servers"),
    ("SECURITY_PROTOCOL", "kafka.security_protocol"),
    ("SASL_MECHANISMS", "kafka.sasl_mechanisms"),
    ("SASL_USERNAME", "kafka.sasl_username"),
    ("SASL_PASSWORD", "kafka.sasl_password"),
    ("schema_registry_url", "registry.url"),
    ("basic_auth.user_info", "registry.basic_auth"),
    ("TOPICS_TRIPS", "topics.trips.name"),
    ("TOPICS_TRIPS_PARTITIONS", "topics.trips.partitions"),
    ("TOPICS_TRIPS_REPLICAS", "topics.trips.replicas"),
    ("TOPICS_RIDERS", "topics.riders.name"),
    ("TOPICS_RIDERS_PARTITIONS", "topics.riders.partitions"),
    ("TOPICS_RIDERS_REPLICAS", "topics.riders.replicas"),
    ("TOPICS_DRIVERS", "topics.drivers.name"),
    ("TOPICS_DRIVERS_PARTITIONS", "topics.drivers.partitions"),
    ("TOPICS_DRIVERS_REPLICAS", "topics.drivers.replicas"),
    ("TOPICS_JOINED_STREAMS", "topics.joined_streams.name"),
    ("TOPICS_JOINED_STREAMS_PARTITIONS", "topics.joined_streams.partitions"),
    ("TOPICS_JOINED_STREAMS_REPLICAS", "topics.joined_streams.replicas"),
];

/// Names of librdkafka's properties, of Confluent's configuration files and of containers, with a plain meaning.
const ALIASES: [(&str, &str); 17] = [
    ("bootstrap_server", "kafka.bootstrap_servers"),
    ("kafka_bootstrap_server", "kafka.bootstrap_servers"),
    ("kafka_bootstrap_servers", "kafka.bootstrap_servers"),
    ("kafka_security_protocol", "kafka.security_protocol"),
    ("sasl_mechanism", "kafka.sasl_mechanisms"),
    ("kafka_sasl_mechanism", "kafka.sasl_mechanisms"),
    ("kafka_sasl_mechanisms", "kafka.sasl_mechanisms"),
    ("kafka_sasl_username", "kafka.sasl_username"),
    ("kafka_sasl_password", "kafka.sasl_password"),
    ("ssl_ca_location", "kafka.ssl_ca_location"),
    ("kafka_ssl_ca_location", "kafka.ssl_ca_location"),
    ("kafka_schema_registry_url", "registry.url"),
    ("schema_registry_basic_auth_user_info", "registry.basic_auth"),
    ("schema_registry_basic_auth_credentials", "registry.basic_auth"),
    ("kafka_schema_registry_basic_auth_user_info", "registry.basic_auth"),
    ("topics_joined", "topics.joined_streams.name"),
    ("topics_joinedstreams", "topics.joined_streams.name"),
];

/// Names whose meaning can be guessed but not known, and the name of the course that may be meant.
const NEAR_MISSES: [(&str, &str); 16] = [
    ("kafka_broker", "BOOTSTRAP_SERVERS"),
    ("kafka_brokers", "BOOTSTRAP_SERVERS"),
    ("bootstrap", "BOOTSTRAP_SERVERS"),
    ("sasl_user", "SASL_USERNAME"),
    ("sasl_pass", "SASL_PASSWORD"),
    ("kafka_username", "SASL_USERNAME"),
    ("kafka_password", "SASL_PASSWORD"),
    ("kafka_api_key", "SASL_USERNAME"),
    ("kafka_api_secret", "SASL_PASSWORD"),
    ("schema_registry", "schema_registry_url"),
    ("schema_registry_api_key", "basic_auth.user_info"),
    ("schema_registry_api_secret", "basic_auth.user_info"),
    ("schema_registry_user_info", "basic_auth.user_info"),
    ("basic_auth", "basic_auth.user_info"),
    ("topic_trips", "TOPICS_TRIPS"),
    ("topic_joined_streams", "TOPICS_JOINED_STREAMS"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_their_users_mean() {
        use Meaning::{Alias, Course, Foreign, NearMiss};
        for (name, expected) in [
            ("BOOTSTRAP_SERVERS", Course("kafka.bootstrap_servers")),
            ("bootstrap.servers", Course("kafka.bootstrap_servers")),
            ("SCHEMA_REGISTRY_URL", Course("registry.url")),
            ("schema-registry.url", Course("registry.url")),
            ("BASIC_AUTH_USER_INFO", Course("registry.basic_auth")),
            ("basic.auth.user.info", Course("registry.basic_auth")),
            ("SASL_MECHANISM", Alias("kafka.sasl_mechanisms")),
            ("sasl.mechanism", Alias("kafka.sasl_mechanisms")),
            ("SSL_CA_LOCATION", Alias("kafka.ssl_ca_location")),
            ("KAFKA_BOOTSTRAP_SERVERS", Alias("kafka.bootstrap_servers")),
            ("schema.registry.basic.auth.user.info", Alias("registry.basic_auth")),
            ("BOOTSTRAP_SERVRS", NearMiss("BOOTSTRAP_SERVERS")),
            ("SASL_PASWORD", NearMiss("SASL_PASSWORD")),
            ("TOPIC_RIDERS", NearMiss("TOPICS_RIDERS")),
            ("SASL_USER", NearMiss("SASL_USERNAME")),
            ("PATH", Foreign),
            ("KAFKA_HEAP_OPTS", Foreign),
            ("APP_NAME", Foreign),
            ("TOPICS_PAYMENTS", Foreign),
            ("TOPICS_UNMATCHED", Foreign),
        ] {
            assert_eq!(meaning(name), expected, "{name}");
        }
    }
}
