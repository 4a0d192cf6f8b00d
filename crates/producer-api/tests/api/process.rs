//! One API as a process of its own.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use producer_api::ProducerApiConfig;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::harness::DEADLINE;

/// The API as a process, with its log. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    _port: TcpSocket,
}

impl Process {
    /// Starts the API with the address, the Kafka and the registry of `config` and more `flags`, and waits until it is ready.
    pub(crate) async fn ready(config: &ProducerApiConfig, flags: &[&str]) -> Self {
        Self::ready_as(Command::new(env!("CARGO_BIN_EXE_producer-api")), config, flags).await
    }

    /// The same of a `command` that becomes the API.
    pub(crate) async fn ready_as(
        mut command: Command,
        config: &ProducerApiConfig,
        flags: &[&str],
    ) -> Self {
        // Nobody else gets the port; the API does, for nobody listens on it.
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind((config.producer.listen.ip(), 0).into()).unwrap();
        let addr = port.local_addr().unwrap();
        for setting in [
            format!("producer.listen={addr}"),
            format!("kafka.bootstrap_servers={}", config.kafka.bootstrap_servers),
            format!("registry.url={}", config.registry.url),
            // As many fit everywhere, and no log warns of them.
            "producer.max_connections=500".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        command.args(["--log-format", "json"]).args(flags);
        // Out of reach of this repository's configuration.
        let child =
            command.current_dir(std::env::temp_dir()).stderr(Stdio::piped()).spawn().unwrap();
        let url = format!("http://127.0.0.1:{}", addr.port());
        let mut process = Self { child, url, _port: port };
        let deadline = Instant::now() + DEADLINE;
        let url = format!("{}/health/ready", process.url);
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < deadline, "the API is not ready");
            assert_eq!(process.child.try_wait().unwrap(), None, "it has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    /// Lets it come to its end, and gives what it has logged.
    pub(crate) fn log(mut self) -> Vec<Value> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
