//! The section `[kafka]` and the client configuration that it stands for.

use models::secret::Secret;
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::Properties;
use crate::log_context;

/// How to reach the Kafka cluster: the section `[kafka]`. An empty text means "not set".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// `host:port` of one or more brokers, separated by commas.
    pub bootstrap_servers: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`, in any case.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; needed with the SASL protocols.
    pub sasl_mechanisms: Option<String>,
    /// User name, or API key on Confluent Cloud.
    pub sasl_username: Option<String>,
    /// Password, or API secret on Confluent Cloud.
    pub sasl_password: Option<Secret>,
    /// File or directory of CA certificates. Without it, TLS uses those of the operating system.
    pub ssl_ca_location: Option<String>,
    /// What the brokers call this client in their logs.
    pub client_id: String,
    /// Raw librdkafka properties; they win over all other settings.
    pub properties: Properties,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            security_protocol: "PLAINTEXT".to_owned(),
            sasl_mechanisms: None,
            sasl_username: None,
            sasl_password: None,
            ssl_ca_location: None,
            client_id: "tripstream".to_owned(),
            properties: Properties::default(),
        }
    }
}

/// The error of [`KafkaConfig::client`]: settings of `[kafka]` that can't work together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no broker to start from.
    #[error("kafka.bootstrap_servers is empty; set it to host:port of a broker")]
    NoBootstrapServers,
    /// The protocol is none that Kafka knows.
    #[error(
        "kafka.security_protocol is {0:?}; it must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )]
    UnknownProtocol(String),
    /// The SASL mechanism is missing or none that is built in.
    #[error(
        "kafka.sasl_mechanisms is {mechanism:?} with security_protocol {protocol}; \
         it must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    )]
    UnknownMechanism {
        /// The protocol, which asks for SASL.
        protocol: &'static str,
        /// The mechanism as it was set; empty if it was not.
        mechanism: String,
    },
    /// The mechanism needs a user name and password.
    #[error("kafka.{key} is not set; SASL mechanism {mechanism} needs it")]
    NoCredentials {
        /// What is missing: `sasl_username` or `sasl_password`.
        key: &'static str,
        /// The mechanism.
        mechanism: &'static str,
    },
}

const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

impl KafkaConfig {
    /// The configuration that all clients (admin, producer, consumer) start from.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings are missing or contradict each other. Raw properties aren't checked here:
    /// librdkafka names a wrong one when a client is created.
    pub fn client(&self) -> Result<ClientConfig, ConfigError> {
        let mut client = ClientConfig::new();
        client.set_log_level(log_context::level());
        let servers = self.bootstrap_servers.trim();
        if servers.is_empty() && self.properties.get("bootstrap.servers").is_none() {
            return Err(ConfigError::NoBootstrapServers);
        }
        client.set("bootstrap.servers", servers);
        client.set("client.id", &self.client_id);
        // An idle connection that a firewall or load balancer forgot is found by the keep-alive.
        client.set("socket.keepalive.enable", "true");
        let protocol = self.protocol()?;
        client.set("security.protocol", protocol);
        if protocol.ends_with("SSL") {
            self.set_ca(&mut client);
        }
        if protocol.starts_with("SASL") {
            self.set_sasl(&mut client, protocol)?;
        }
        for (name, value) in self.properties.iter() {
            client.set(name, value);
        }
        Ok(client)
    }

    fn protocol(&self) -> Result<&'static str, ConfigError> {
        let wanted = self.properties.get("security.protocol").unwrap_or(&self.security_protocol);
        one_of(&PROTOCOLS, wanted).ok_or_else(|| ConfigError::UnknownProtocol(wanted.to_owned()))
    }

    fn set_ca(&self, client: &mut ClientConfig) {
        if let Some(location) = set(self.ssl_ca_location.as_deref()) {
            client.set("ssl.ca.location", location);
        } else if !self.properties.iter().any(|(name, _)| name.starts_with("ssl.ca.")) {
            // OpenSSL is built in and would look for certificates where it was built.
            client.set("ssl.ca.location", "probe");
        }
    }

    fn set_sasl(
        &self,
        client: &mut ClientConfig,
        protocol: &'static str,
    ) -> Result<(), ConfigError> {
        let property = |names: [&str; 2]| names.iter().find_map(|name| self.properties.get(name));
        let wanted = property(["sasl.mechanisms", "sasl.mechanism"])
            .or(set(self.sasl_mechanisms.as_deref()))
            .unwrap_or_default();
        let mechanism = one_of(&MECHANISMS, wanted).ok_or_else(|| {
            ConfigError::UnknownMechanism { protocol, mechanism: wanted.to_owned() }
        })?;
        client.set("sasl.mechanisms", mechanism);
        let password = self.sasl_password.as_ref().map(Secret::expose);
        let credentials = [
            ("sasl_username", "sasl.username", self.sasl_username.as_deref()),
            ("sasl_password", "sasl.password", password),
        ];
        for (key, name, value) in credentials {
            if let Some(value) = set(value) {
                client.set(name, value);
            } else if mechanism != "OAUTHBEARER" && self.properties.get(name).is_none() {
                return Err(ConfigError::NoCredentials { key, mechanism });
            }
        }
        Ok(())
    }
}

fn one_of(known: &[&'static str], wanted: &str) -> Option<&'static str> {
    known.iter().copied().find(|name| name.eq_ignore_ascii_case(wanted.trim()))
}

fn set(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl() -> KafkaConfig {
        KafkaConfig {
            security_protocol: "sasl_ssl".to_owned(),
            sasl_mechanisms: Some("PLAIN".to_owned()),
            sasl_username: Some("key".to_owned()),
            sasl_password: Some(Secret::new("hunter2")),
            ..KafkaConfig::default()
        }
    }

    #[test]
    fn the_default_is_a_plain_local_broker() {
        let client = KafkaConfig::default().client().expect("valid");
        assert_eq!(client.get("bootstrap.servers"), Some("localhost:9092"));
        assert_eq!(client.get("security.protocol"), Some("PLAINTEXT"));
        assert_eq!(client.get("ssl.ca.location"), None);
    }

    #[test]
    fn the_settings_of_confluent_cloud_reach_the_client() {
        let client = sasl().client().expect("valid");
        let set = ["security.protocol", "sasl.mechanisms", "sasl.username", "sasl.password"]
            .map(|name| client.get(name));
        assert_eq!(set, ["SASL_SSL", "PLAIN", "key", "hunter2"].map(Some));
        client.create_native_config().expect("librdkafka takes it");
    }

    #[test]
    fn tls_looks_for_the_systems_certificates_unless_told_otherwise() {
        let ca = |config: KafkaConfig| {
            config.client().expect("valid").get("ssl.ca.location").map(str::to_owned)
        };
        assert_eq!(ca(sasl()).as_deref(), Some("probe"));
        let config = KafkaConfig { ssl_ca_location: Some("/etc/ca.pem".to_owned()), ..sasl() };
        assert_eq!(ca(config).as_deref(), Some("/etc/ca.pem"));
        let properties = Properties::from_iter([("ssl.ca.pem", "...")]);
        assert_eq!(ca(KafkaConfig { properties, ..sasl() }), None);
    }

    #[test]
    fn properties_win() {
        let properties = Properties::from_iter([
            ("bootstrap.servers", "broker:9093"),
            ("security.protocol", "SSL"),
        ]);
        let client = KafkaConfig { properties, ..sasl() }.client().expect("valid");
        assert_eq!(client.get("bootstrap.servers"), Some("broker:9093"));
        assert_eq!(client.get("sasl.username"), None);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let empty = || Some(String::new());
        let cases = [
            (KafkaConfig { bootstrap_servers: " ".to_owned(), ..sasl() }, "bootstrap_servers"),
            (KafkaConfig { security_protocol: "TLS".to_owned(), ..sasl() }, "security_protocol"),
            (KafkaConfig { sasl_mechanisms: None, ..sasl() }, "sasl_mechanisms"),
            (KafkaConfig { sasl_mechanisms: Some("GSSAPI".to_owned()), ..sasl() }, "GSSAPI"),
            (KafkaConfig { sasl_username: empty(), ..sasl() }, "sasl_username"),
            (KafkaConfig { sasl_password: None, ..sasl() }, "sasl_password"),
        ];
        for (config, named) in cases {
            let error = config.client().expect_err(named).to_string();
            assert!(error.contains(named) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<KafkaConfig>(r#"{"bootstrap": "x"}"#);
        assert!(error.expect_err("unknown key").to_string().contains("bootstrap"));
    }
}
