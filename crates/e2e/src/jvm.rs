//! Apache Kafka and its registry on Java, one more instance of what `deploy/with-kafka` has started.

use std::path::Path;
use std::process::Command;

use devstack::Addresses;

/// Set, by `deploy/with-kafka`, to the script that starts and stops them.
const SCRIPT: &str = "TRIPSTREAM_TEST_KAFKA_JVM";

/// An instance. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Jvm {
    ports: Ports,
    data: tempfile::TempDir,
}

#[derive(Debug)]
struct Ports {
    kafka: u16,
    controller: u16,
    registry: u16,
}

impl Jvm {
    /// Whether the tests run against Apache Kafka on Java.
    pub(crate) fn is_wanted() -> bool {
        std::env::var_os(SCRIPT).is_some()
    }

    /// Starts broker and registry; returns when both answer.
    pub(crate) fn start() -> Self {
        let jvm = Self { ports: Ports::free(), data: tempfile::tempdir().unwrap() };
        jvm.script("up");
        jvm
    }

    /// Its addresses.
    pub(crate) fn addresses(&self) -> Addresses {
        let Ports { kafka, registry, .. } = self.ports;
        Addresses {
            bootstrap_servers: format!("127.0.0.1:{kafka}"),
            registry_url: format!("http://127.0.0.1:{registry}/apis/ccompat/v7"),
        }
    }

    /// Stops the broker; returns when it is gone.
    pub(crate) fn stop_broker(&self) {
        self.script("stop-kafka");
    }

    /// Starts the broker again, on the same port with the same data; returns when it answers.
    pub(crate) fn restart_broker(&self) {
        self.script("start-kafka");
    }

    fn script(&self, command: &str) {
        let output = self.command(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka-jvm {command}: {said}");
    }

    fn command(&self, command: &str) -> Command {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut script = Command::new(workspace.join("deploy/kafka-jvm"));
        let Ports { kafka, controller, registry } = self.ports;
        let ports = [
            ("KAFKA_PORT", kafka),
            ("KAFKA_CONTROLLER_PORT", controller),
            ("REGISTRY_PORT", registry),
        ];
        script.arg(command).env("KAFKA_DATA_DIR", self.data.path());
        script.envs(ports.map(|(name, port)| (name, port.to_string())));
        script
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // A failure here must not hide the test's own; the data directory goes either way.
        let _ = self.command("down").output();
    }
}

impl Ports {
    /// Those that nobody listened on a moment ago, all different.
    fn free() -> Self {
        let listeners = [0; 3].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [kafka, controller, registry] =
            listeners.map(|listener| listener.local_addr().unwrap().port());
        Self { kafka, controller, registry }
    }
}
