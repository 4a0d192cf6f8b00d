//! An API as a process that keeps its address and its transactional id.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use producer_api::ProducerApiConfig;

const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Killed when dropped.
pub(crate) struct Api {
    process: Option<Child>,
    settings: Vec<String>,
    port: u16,
    log: PathBuf,
}

impl Api {
    pub(crate) fn start(config: &ProducerApiConfig, number: usize) -> Self {
        // Free a moment ago; the same one again after each kill, as the clients know no other.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = vec![
            format!("producer.listen=127.0.0.1:{port}"),
            format!("producer.transactional_id=api-{number}"),
            format!("kafka.bootstrap_servers={}", config.kafka.bootstrap_servers),
            format!("registry.url={}", config.registry.url),
        ];
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let log = dir.join(format!("killed-api-{}-{port}.log", std::process::id()));
        println!("API {number} logs to {}", log.display());
        let mut api = Self { process: None, settings, port, log };
        api.restart();
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_producer-api"));
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        // Out of reach of this repository's configuration.
        command.current_dir(std::env::temp_dir());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.assert_running();
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.process.as_mut().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "the API has ended by itself ({ended:?}): {}", self.log.display());
    }

    pub(crate) async fn await_ready(&mut self) {
        let end = Instant::now() + READY_DEADLINE;
        let url = format!("{}/health/ready", self.url());
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            self.assert_running();
            assert!(Instant::now() < end, "the API is not ready: {}", self.log.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
