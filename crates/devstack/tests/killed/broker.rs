//! The broker as a process.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_DEADLINE: Duration = Duration::from_secs(30);

/// The broker that is killed, or a running one.
pub enum Broker {
    Ours(Devstack),
    /// Address, and a program that stops and starts it.
    Theirs(String, Option<String>),
}

impl Broker {
    pub fn start() -> Self {
        match std::env::var("TRIPSTREAM_TEST_BOOTSTRAP") {
            Ok(address) => Self::Theirs(address, std::env::var("TRIPSTREAM_TEST_KAFKA_JVM").ok()),
            Err(_) => Self::Ours(Devstack::start()),
        }
    }

    /// Whether it can't be stopped.
    pub fn is_only_watched(&self) -> bool {
        matches!(self, Self::Theirs(_, None))
    }

    pub fn bootstrap(&self) -> String {
        match self {
            Self::Ours(devstack) => format!("127.0.0.1:{}", devstack.port),
            Self::Theirs(address, _) => address.clone(),
        }
    }

    /// Kills it with SIGKILL. A broker that isn't ours is only stopped.
    pub fn kill(&mut self) {
        match self {
            Self::Ours(devstack) => devstack.kill(),
            Self::Theirs(_, Some(program)) => command(program, "stop-kafka"),
            Self::Theirs(_, None) => (),
        }
    }

    /// Starts it with the same data and port, and waits until it listens.
    pub fn restart(&mut self) {
        match self {
            Self::Ours(devstack) => {
                devstack.spawn();
                devstack.await_ready();
            }
            Self::Theirs(_, Some(program)) => command(program, "start-kafka"),
            Self::Theirs(_, None) => (),
        }
    }

    /// Starts it and kills it after this time, whether or not it listens by then.
    pub fn restart_briefly(&mut self, time: Duration) {
        if let Self::Ours(devstack) = self {
            devstack.spawn();
            std::thread::sleep(time);
            devstack.kill();
        }
    }
}

fn command(program: &str, argument: &str) {
    let status = Command::new(program).arg(argument).status().unwrap();
    assert!(status.success(), "{program} {argument}: {status}");
}

/// A process of the program `devstack` with its own data directory and port. Killed when dropped.
pub struct Devstack {
    process: Option<Child>,
    dir: TempDir,
    port: u16,
    logs: PathBuf,
    starts: usize,
}

impl Devstack {
    fn start() -> Self {
        // A port that was free a moment ago. After a kill it is used again, because the clients know it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-{port}"));
        std::fs::create_dir_all(&logs).unwrap();
        println!("the broker logs to {}", logs.display());
        let mut devstack =
            Self { process: None, dir: TempDir::new().unwrap(), port, logs, starts: 0 };
        devstack.spawn();
        devstack.await_ready();
        devstack
    }

    fn ports_file(&self) -> PathBuf {
        self.dir.path().join("ports.json")
    }

    fn spawn(&mut self) {
        assert!(self.process.is_none(), "the broker runs");
        let _ = std::fs::remove_file(self.ports_file());
        self.starts += 1;
        let log = File::create(self.log()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_devstack"))
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--registry-listen", "127.0.0.1:0"])
            .arg("--ports-file")
            .arg(self.ports_file())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(child.unwrap());
    }

    fn log(&self) -> PathBuf {
        self.logs.join(format!("{:03}.log", self.starts))
    }

    /// Waits for the whole line that it writes once it listens.
    fn await_ready(&mut self) {
        let end = Instant::now() + START_DEADLINE;
        while !std::fs::read_to_string(self.ports_file()).is_ok_and(|text| text.ends_with('\n')) {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            if let Some(status) = ended {
                let log = std::fs::read_to_string(self.log()).unwrap();
                panic!("start {} of the broker ended with {status}: {log}", self.starts);
            }
            assert!(Instant::now() < end, "the broker is not ready: {}", self.log().display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("the broker runs");
        let ended = process.try_wait().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(ended.is_none(), "the broker has ended by itself: {}", self.log().display());
    }
}

impl Drop for Devstack {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
