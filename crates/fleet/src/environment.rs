//! The tool's settings as the environment of a service. Secrets go the same way: a command line is for all to see.

use std::ffi::OsString;
use std::process::Command;

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use models::secret::Secret;
use serde_json::Value as Json;
use service::CommonArgs;

use verify::settings::Settings;

/// What the names of environment variables that set a key begin with, in small letters.
const PREFIX: &str = "tripstream__";
/// What guards an API that others are to reach. One that the tool starts is there for the tool alone, on this machine and
/// without encryption.
const UNGUARDED: [&str; 4] = ["bearer_token", "tls_certificate", "tls_key", "cors_origins"];
/// The sections that the tool knows all of.
const SECTIONS: [&str; 5] = ["joiner", "kafka", "log", "registry", "topics"];

/// Lets a service find the same files as we did, and `settings` above them; and, above all, `keys`, such as
/// `producer.listen`, with their values.
pub fn inherit(
    command: &mut Command,
    settings: &Settings,
    common: &CommonArgs,
    keys: &[(&str, String)],
) {
    let keys = keys.iter().map(|(key, value)| (variable(&key.replace('.', "__")), value.clone()));
    let mut set = variables(settings);
    set.extend(keys);
    for (name, _) in std::env::vars_os() {
        // A name counts in any case, and the tool's own has none but capitals.
        let lower = name.to_string_lossy().to_lowercase();
        let section = lower.strip_prefix(PREFIX).and_then(|key| key.split("__").next());
        let known = section.is_some_and(|section| SECTIONS.contains(&section));
        if known || set.iter().any(|(name, _)| name.to_lowercase() == lower) {
            command.env_remove(name);
        }
    }
    command.envs(set);
    let files: [(_, Option<OsString>); 3] = [
        ("TRIPSTREAM_CONFIG_DIR", common.config_dir.as_ref().map(Into::into)),
        ("TRIPSTREAM_PROFILE", common.profile.as_ref().map(Into::into)),
        ("TRIPSTREAM_ENV_FILE", common.env_file.as_ref().map(Into::into)),
    ];
    command.envs(files.into_iter().filter_map(|(name, value)| Some((name, value?))));
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{key}").to_uppercase()
}

/// Names and values that make a service's sections the same as those of `settings`. A text that isn't set is there and
/// empty, so that a file can't set it.
fn variables(settings: &Settings) -> Vec<(String, String)> {
    let Settings { kafka, registry, topics, joiner, log, shutdown: _ } = settings;
    let mut keys = Vec::new();
    push_kafka(kafka, &mut keys);
    push_registry(registry, &mut keys);
    let topics = serde_json::to_value(topics).expect("names and numbers have a JSON form");
    flatten("topics", &topics, &mut keys);
    for (key, value) in joiner {
        flatten(&format!("joiner__{key}"), value, &mut keys);
    }
    keys.extend(UNGUARDED.map(|key| (format!("producer__{key}"), String::new())));
    keys.push(("log__level".to_owned(), log.level.clone()));
    keys.push(("log__format".to_owned(), "text".to_owned()));
    keys.into_iter().map(|(key, value)| (variable(&key), value)).collect()
}

fn push_kafka(config: &KafkaConfig, keys: &mut Vec<(String, String)>) {
    let KafkaConfig {
        bootstrap_servers,
        security_protocol,
        sasl_mechanisms,
        sasl_username,
        sasl_password,
        ssl_ca_location,
        client_id,
        properties,
    } = config;
    let set = [
        ("bootstrap_servers", bootstrap_servers.as_str()),
        ("security_protocol", security_protocol),
        ("sasl_mechanisms", sasl_mechanisms.as_deref().unwrap_or_default()),
        ("sasl_username", sasl_username.as_deref().unwrap_or_default()),
        ("sasl_password", sasl_password.as_ref().map(Secret::expose).unwrap_or_default()),
        ("ssl_ca_location", ssl_ca_location.as_deref().unwrap_or_default()),
        ("client_id", client_id),
    ];
    let set = set.into_iter().map(|(key, value)| (key.to_owned(), value));
    let raw = properties.iter().map(|(name, value)| (format!("properties__{name}"), value));
    keys.extend(set.chain(raw).map(|(key, value)| (format!("kafka__{key}"), value.to_owned())));
}

fn push_registry(config: &RegistryConfig, keys: &mut Vec<(String, String)>) {
    let RegistryConfig { url, basic_auth, timeout, retries, backoff, backoff_max } = config;
    let time = |time| humantime::format_duration(time).to_string();
    let set = [
        ("url", url.clone()),
        ("basic_auth", basic_auth.as_ref().map(Secret::expose).unwrap_or_default().to_owned()),
        ("timeout", time(*timeout)),
        ("retries", retries.to_string()),
        ("backoff", time(*backoff)),
        ("backoff_max", time(*backoff_max)),
    ];
    keys.extend(set.into_iter().map(|(key, value)| (format!("registry__{key}"), value)));
}

/// The leaves below `key`; one that isn't set has no text form.
fn flatten(key: &str, value: &Json, keys: &mut Vec<(String, String)>) {
    match value {
        Json::Null => {}
        Json::Object(children) => {
            for (name, child) in children {
                flatten(&format!("{key}__{name}"), child, keys);
            }
        }
        Json::String(text) => keys.push((key.to_owned(), text.clone())),
        other => keys.push((key.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_that_the_tool_knows_is_there_secrets_as_they_are() {
        let mut settings = Settings::default();
        settings.kafka.sasl_password = Some(Secret::new("hunter2"));
        settings.kafka.properties = [("broker.address.family", "v4")].into_iter().collect();
        settings.registry.basic_auth = Some(Secret::new("user:word"));
        settings.joiner.insert("window".to_owned(), "90s".into());
        settings.joiner.insert("max_state_bytes".to_owned(), 1_000_000.into());
        settings.joiner.insert("max_skew".to_owned(), Json::Null);
        let variables: BTreeMap<_, _> = variables(&settings).into_iter().collect();
        let expected = [
            ("KAFKA__BOOTSTRAP_SERVERS", Some("localhost:9092")),
            ("KAFKA__SASL_PASSWORD", Some("hunter2")),
            ("KAFKA__SASL_USERNAME", Some("")),
            ("KAFKA__PROPERTIES__BROKER.ADDRESS.FAMILY", Some("v4")),
            ("REGISTRY__BASIC_AUTH", Some("user:word")),
            ("REGISTRY__TIMEOUT", Some("5s")),
            ("REGISTRY__RETRIES", Some("3")),
            ("TOPICS__JOINED_STREAMS__NAME", Some("hw.fake.joinedstreams")),
            ("TOPICS__TRIPS__REPLICAS", Some("-1")),
            ("JOINER__WINDOW", Some("90s")),
            ("JOINER__MAX_STATE_BYTES", Some("1000000")),
            ("JOINER__MAX_SKEW", None),
            ("PRODUCER__BEARER_TOKEN", Some("")),
            ("PRODUCER__TLS_KEY", Some("")),
        ];
        for (name, value) in expected {
            let found = variables.get(&format!("TRIPSTREAM__{name}")).map(String::as_str);
            assert_eq!(found, value, "{name}");
        }
    }
}
