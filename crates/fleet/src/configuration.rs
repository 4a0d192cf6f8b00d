//! What a program is told: a whole configuration, so that nothing of the user's is read besides.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use avro_schemas::RegistryConfig;
use kafka::KafkaConfig;
use models::secret::Secret;
use serde_json::{Map, Value as Json, json};
use tracing::warn;
use verify::settings::Settings;

/// What guards an API that others are to reach, and what a client needs for that. An API of a fleet is there for the
/// fleet alone, on this machine and without encryption.
const GUARDS: [&str; 6] = [
    "producer.bearer_token",
    "producer.tls_certificate",
    "producer.tls_key",
    "producer.cors_origins",
    "client.bearer_token",
    "client.ca_location",
];

/// One level below a program's directory: a `.env` counts that lies beside the directory of the configuration.
const CONFIG_DIR: &str = "config";

/// The configuration of one program: its `default.toml`. Secrets stand in it as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration(Map<String, Json>);

impl Configuration {
    /// The defaults, and logs as text.
    pub fn new() -> Self {
        let mut configuration = Self::default();
        configuration.set("log.format", "text");
        configuration
    }

    /// All that `settings` say, but for what guards an API from others.
    pub fn of(settings: &Settings) -> Self {
        let Settings {
            kafka,
            registry,
            topics,
            joiner,
            producer,
            client,
            scheduler_cron,
            scheduler_loop,
            log,
            shutdown,
        } = settings;
        let mut configuration = Self::new();
        let section = |section: &std::collections::BTreeMap<String, Json>| -> Json {
            section.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        for (name, value) in [
            ("kafka", kafka_section(kafka)),
            ("registry", registry_section(registry)),
            ("topics", serde_json::to_value(topics).expect("names and numbers have a JSON form")),
            ("joiner", section(joiner)),
            ("producer", section(producer)),
            ("client", section(client)),
            ("scheduler_cron", section(scheduler_cron)),
            ("scheduler_loop", section(scheduler_loop)),
        ] {
            configuration.0.insert(name.to_owned(), value);
        }
        configuration.set("log.level", log.level.as_str());
        let timeout = humantime::format_duration(shutdown.timeout).to_string();
        configuration.set("shutdown.timeout", timeout);
        for key in GUARDS {
            configuration.remove(key);
        }
        configuration
    }

    /// Sets `key`, such as `producer.listen`.
    pub fn set(&mut self, key: &str, value: impl Into<Json>) -> &mut Self {
        let (section, key) = key.split_once('.').expect("a key stands in a section");
        let section = self.0.entry(section).or_insert_with(|| json!({}));
        section[key] = value.into();
        self
    }

    fn remove(&mut self, key: &str) {
        let (section, key) = key.split_once('.').expect("a key stands in a section");
        if let Some(Json::Object(section)) = self.0.get_mut(section) {
            section.shift_remove(key);
        }
    }

    /// Writes it into `dir`, where nobody else may read it. Returns what the program gets as `--config-dir`.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<PathBuf> {
        let config_dir = dir.join(CONFIG_DIR);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&config_dir)?;
        let file = config_dir.join("default.toml");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        file.write_all(self.to_toml().as_bytes())?;
        Ok(config_dir)
    }

    fn to_toml(&self) -> String {
        let mut sections = Json::Object(self.0.clone());
        without_nulls(&mut sections);
        toml::to_string(&sections).expect("sections of texts and numbers have a TOML form")
    }
}

/// Deletes the configuration that was written into `dir`, if one was.
pub(crate) fn delete(dir: &Path) {
    let config_dir = dir.join(CONFIG_DIR);
    if let Err(error) = fs::remove_dir_all(&config_dir)
        && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    {
        warn!(%error, "{} has secrets and could not be deleted", config_dir.display());
    }
}

/// TOML has no null: what isn't set is left out.
fn without_nulls(value: &mut Json) {
    if let Json::Object(children) = value {
        children.retain(|_, child| !child.is_null());
        children.values_mut().for_each(without_nulls);
    }
}

fn kafka_section(config: &KafkaConfig) -> Json {
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
    json!({
        "bootstrap_servers": bootstrap_servers,
        "security_protocol": security_protocol,
        "sasl_mechanisms": sasl_mechanisms,
        "sasl_username": sasl_username,
        "sasl_password": sasl_password.as_ref().map(Secret::expose),
        "ssl_ca_location": ssl_ca_location,
        "client_id": client_id,
        "properties": properties.iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn registry_section(config: &RegistryConfig) -> Json {
    let RegistryConfig { url, auto_register, basic_auth, timeout, retries, backoff, backoff_max } =
        config;
    let time = |time| humantime::format_duration(time).to_string();
    json!({
        "url": url,
        "auto_register": auto_register,
        "basic_auth": basic_auth.as_ref().map(Secret::expose),
        "timeout": time(*timeout),
        "retries": retries,
        "backoff": time(*backoff),
        "backoff_max": time(*backoff_max),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.kafka.sasl_password = Some(Secret::new("hunter2"));
        settings.kafka.properties = [("broker.address.family", "v4")].into_iter().collect();
        settings.registry.basic_auth = Some(Secret::new("user:word"));
        settings.joiner.insert("window".to_owned(), "90s".into());
        settings.joiner.insert("max_skew".to_owned(), Json::Null);
        settings.producer.insert("linger".to_owned(), "5ms".into());
        settings.producer.insert("bearer_token".to_owned(), "guarded".into());
        settings.client.insert("ca_location".to_owned(), "ca.pem".into());
        settings
    }

    #[test]
    fn all_that_the_tool_knows_is_there_and_secrets_are_as_they_are() {
        let mut configuration = Configuration::of(&settings());
        configuration.set("producer.listen", "127.0.0.1:0");
        let text = configuration.to_toml();
        let found: Json = toml::from_str(&text).expect("TOML");
        for (pointer, expected) in [
            ("/kafka/bootstrap_servers", json!("localhost:9092")),
            ("/kafka/sasl_password", json!("hunter2")),
            ("/kafka/properties/broker.address.family", json!("v4")),
            ("/registry/basic_auth", json!("user:word")),
            ("/registry/timeout", json!("5s")),
            ("/registry/retries", json!(3)),
            ("/topics/joined_streams/name", json!("hw.fake.joinedstreams")),
            ("/topics/trips/replicas", json!(-1)),
            ("/joiner/window", json!("90s")),
            ("/producer/linger", json!("5ms")),
            ("/producer/listen", json!("127.0.0.1:0")),
            ("/log/format", json!("text")),
            ("/shutdown/timeout", json!("30s")),
        ] {
            assert_eq!(found.pointer(pointer), Some(&expected), "{pointer} in\n{text}");
        }
        for pointer in [
            "/kafka/sasl_username",
            "/joiner/max_skew",
            "/producer/bearer_token",
            "/client/ca_location",
        ] {
            assert_eq!(found.pointer(pointer), None, "{pointer} in\n{text}");
        }
    }

    #[test]
    fn nobody_else_may_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let config_dir = Configuration::of(&settings()).write(dir.path()).expect("written");
        for (path, mode) in [(config_dir.clone(), 0o700), (config_dir.join("default.toml"), 0o600)]
        {
            let found = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(found & 0o777, mode, "{}", path.display());
        }
        delete(dir.path());
        assert!(!config_dir.exists(), "no secret is left");
    }
}
