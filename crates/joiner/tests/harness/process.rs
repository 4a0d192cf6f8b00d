//! The joiner as a process of its own, to be killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use joiner::JoinerConfig;

const EXIT_DEADLINE: Duration = Duration::from_secs(60);

/// A joiner that runs. Killed when dropped.
pub struct Process(Child);

/// Where the processes of one test log to, one file after another.
pub struct Logs {
    dir: PathBuf,
    count: usize,
}

impl Logs {
    pub fn new(config: &JoinerConfig) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&config.joiner.group_id);
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir, count: 0 }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn next(&mut self) -> File {
        self.count += 1;
        File::create(self.dir.join(format!("{:03}.log", self.count))).unwrap()
    }
}

impl Process {
    pub fn start(config: &JoinerConfig, logs: &mut Logs) -> Self {
        let log = logs.next();
        let mut command = Command::new(env!("CARGO_BIN_EXE_joiner"));
        for setting in settings(config) {
            command.arg("--set").arg(setting);
        }
        // Out of reach of this repository's configuration.
        command.current_dir(std::env::temp_dir());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        assert!(
            self.0.try_wait().unwrap().is_none(),
            "the joiner has ended by itself; see its log"
        );
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGSTOP: from outside it looks dead, but it doesn't know.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// SIGTERM, and the status that it leaves.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        let end = Instant::now() + EXIT_DEADLINE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the joiner does not end within {EXIT_DEADLINE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.0.id())).status();
        assert!(sent.unwrap().success(), "SIG{name} could not be sent: has the joiner ended?");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What must differ from the defaults.
fn settings(config: &JoinerConfig) -> Vec<String> {
    let JoinerConfig { kafka, registry, topics, joiner, .. } = config;
    let ms = |time: Duration| format!("{}ms", time.as_millis());
    let mut settings: Vec<(String, String)> = [
        ("kafka.bootstrap_servers", kafka.bootstrap_servers.clone()),
        ("kafka.client_id", kafka.client_id.clone()),
        ("registry.url", registry.url.clone()),
        ("topics.trips.name", topics.trips.name.clone()),
        ("topics.drivers.name", topics.drivers.name.clone()),
        ("topics.riders.name", topics.riders.name.clone()),
        ("topics.joined_streams.name", topics.joined_streams.name.clone()),
        ("topics.unmatched.name", topics.unmatched.name.clone()),
        ("topics.rejects.name", topics.rejects.name.clone()),
        ("joiner.listen", "127.0.0.1:0".to_owned()),
        ("joiner.group_id", joiner.group_id.clone()),
        ("joiner.transactional_id", joiner.transactional_id.clone()),
        ("joiner.instance_id", joiner.instance_id.clone().unwrap_or_default()),
        ("joiner.repartition_topic", joiner.repartition_topic.clone()),
        ("joiner.changelog_topic", joiner.changelog_topic.clone()),
        ("joiner.window", ms(joiner.window)),
        ("joiner.grace", ms(joiner.grace)),
        ("joiner.idle", ms(joiner.idle)),
        ("joiner.commit_interval", ms(joiner.commit_interval)),
        ("joiner.duplicates", format!("{:?}", joiner.duplicates).to_lowercase()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let properties = kafka.properties.iter();
    settings.extend(properties.map(|(k, v)| (format!("kafka.properties.{k}"), v.to_owned())));
    settings.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}
