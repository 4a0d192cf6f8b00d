//! Which Kafka and registry the tests run on.

use avro_schemas::RegistryConfig;
use devstack::{Addresses, DevStack};
use kafka::KafkaConfig;

use crate::jvm::Jvm;

/// The addresses of a Kafka and a registry.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `host:port` of the broker.
    pub bootstrap: String,
    /// Base URL of the registry's Confluent API.
    pub registry: String,
}

impl Stack {
    /// The one that the environment names, else the dev stack that all tests of the process share.
    pub fn shared() -> Self {
        Self::at(Addresses::for_tests())
    }

    fn at(addresses: Addresses) -> Self {
        let Addresses { bootstrap_servers, registry_url } = addresses;
        Self { bootstrap: bootstrap_servers, registry: registry_url }
    }

    /// Section `[kafka]` for this stack.
    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig { bootstrap_servers: self.bootstrap.clone(), ..KafkaConfig::default() }
    }

    /// Section `[registry]` for this stack.
    pub fn registry(&self) -> RegistryConfig {
        RegistryConfig { url: self.registry.clone(), ..RegistryConfig::default() }
    }
}

/// A Kafka and a registry of the test's own, whose broker it may take away. Gone when dropped.
///
/// It is a dev stack, or, in a run against Apache Kafka on Java, one more of those.
#[derive(Debug)]
pub struct OwnStack {
    /// Its addresses.
    pub stack: Stack,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Embedded(DevStack),
    Jvm(Jvm),
}

impl OwnStack {
    /// Starts both; returns when they answer.
    ///
    /// # Panics
    ///
    /// If they don't start, with their own words.
    pub fn start() -> Self {
        if Jvm::is_wanted() {
            let jvm = Jvm::start();
            return Self { stack: Stack::at(jvm.addresses()), kind: Kind::Jvm(jvm) };
        }
        let devstack = DevStack::start(devstack::Options::default()).unwrap();
        let stack =
            Stack { bootstrap: devstack.bootstrap_servers(), registry: devstack.registry_url() };
        Self { stack, kind: Kind::Embedded(devstack) }
    }

    /// Takes the broker away; returns when it is gone.
    pub fn stop_broker(&self) {
        match &self.kind {
            Kind::Embedded(devstack) => devstack.crash(),
            Kind::Jvm(jvm) => jvm.stop_broker(),
        }
    }

    /// Starts the broker again, on the same port with the same data; returns when it answers.
    pub fn restart_broker(&self) {
        match &self.kind {
            Kind::Embedded(devstack) => devstack.restart(),
            Kind::Jvm(jvm) => jvm.restart_broker(),
        }
    }
}
