//! A broker that is measured.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

pub(crate) struct Broker {
    pub(crate) bootstrap: String,
    /// From starting it to its first answer to a client.
    pub(crate) start: Option<Duration>,
    process: Option<u32>,
    /// Ours to end.
    child: Option<(Child, tempfile::TempDir)>,
}

impl Broker {
    /// The program `devstack`, built with this example's profile.
    pub(crate) fn dev_stack(durable: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = dir.path().join("ports.json");
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0"]);
        command.args(["--log-level", "warn"]).arg("--ports-file").arg(&ports);
        if durable {
            command.arg("--data-dir").arg(dir.path());
        } else {
            command.arg("--in-memory");
        }
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let line = wait_for(&ports);
        let addresses: serde_json::Value = serde_json::from_str(&line).unwrap();
        let bootstrap = addresses["kafka"].as_str().unwrap().to_owned();
        answers(&bootstrap);
        let start = Some(started.elapsed());
        let process = Some(child.id());
        Self { bootstrap, start, process, child: Some((child, dir)) }
    }

    /// The one that the environment names.
    pub(crate) fn of_environment() -> Option<Self> {
        let bootstrap = std::env::var("TRIPSTREAM_TEST_BOOTSTRAP").ok()?;
        answers(&bootstrap);
        let pid_file = std::env::var("KAFKA_DATA_DIR").map(|dir| Path::new(&dir).join("kafka.pid"));
        let process = pid_file.ok().and_then(|file| std::fs::read_to_string(file).ok());
        let process = process.and_then(|pid| pid.trim().parse().ok());
        Some(Self { bootstrap, start: None, process, child: None })
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    pub(crate) fn resident_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kb / 1024.0)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Beside this example's own directory.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().with_file_name("devstack")
}

fn wait_for(file: &Path) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match std::fs::read_to_string(file) {
            Ok(line) => return line,
            Err(error) => assert!(Instant::now() < end, "{}: {error}", file.display()),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn answers(bootstrap: &str) {
    let mut config = ClientConfig::new();
    let client: BaseConsumer = config.set("bootstrap.servers", bootstrap).create().unwrap();
    client.fetch_metadata(None, Duration::from_secs(30)).unwrap();
}
