//! `tripctl demo` with the real programs, a dev stack included. They are those that lie beside this one:
//! `cargo test --workspace` builds them all.
#![expect(clippy::unwrap_used, reason = "everything in this file is test code")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use devstack::{DevStack, Options};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What a line of figures has in it.
const FIGURES: &str = " s  written ";

/// A demo that runs. What it writes to temporary files is in a directory of its own.
struct Demo {
    child: Child,
    temporary: TempDir,
}

/// How a demo ended.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    /// What it left on disk.
    left: Vec<String>,
}

impl Demo {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let child = Command::new(env!("CARGO_BIN_EXE_tripctl"))
            .args(["--log-format", "text", "demo"])
            .args(arguments)
            .env("TRIPSTREAM_CONFIG_DIR", config)
            // Whatever .env there is: this test is to be the same everywhere.
            .env("TRIPSTREAM_ENV_FILE", "/dev/null")
            .env("TMPDIR", temporary.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, temporary }
    }

    /// Sends a signal once there are figures. Returns what it has written by its end, and the group of its programs.
    fn signal(&mut self, signal: Signal) -> (String, Group) {
        let mut seen = String::new();
        let mut stdout = BufReader::new(self.child.stdout.take().unwrap());
        while !seen.lines().any(|line| line.contains(FIGURES)) {
            assert!(stdout.read_line(&mut seen).unwrap() > 0, "it ended first:\n{seen}");
        }
        let group = Group::of(self.temporary.path());
        // The dev stack, four services, and the one who watches over them.
        assert_eq!(group.members().len(), 6, "{:?}", group.members());
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        stdout.read_to_string(&mut seen).unwrap();
        (seen, group)
    }

    fn end(mut self, mut stdout: String) -> Ended {
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        let files = fs::read_dir(self.temporary.path()).unwrap();
        let left = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        Ended { status, stdout, stderr, left }
    }
}

/// The process group of a demo's programs.
struct Group(String);

impl Group {
    /// That of the dev stack whose data is in `dir`.
    fn of(dir: &Path) -> Self {
        let dir = dir.display().to_string();
        let found = processes().into_iter().find(|[_, _, command]| command.contains(&dir));
        Self(found.expect("a dev stack")[0].clone())
    }

    /// The commands of those that run. One that has ended but was not waited for does not.
    fn members(&self) -> Vec<String> {
        let ours = processes()
            .into_iter()
            .filter(|[group, state, _]| *group == self.0 && !state.starts_with('Z'));
        ours.map(|[_, _, command]| command).collect()
    }
}

/// Group, state and command of every process.
fn processes() -> Vec<[String; 3]> {
    let all = Command::new("ps").args(["-ww", "-A", "-o", "pgid=,stat=,args="]).output().unwrap();
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let [group, state] = [0; 2].map(|_| fields.next().unwrap_or_default().to_owned());
        [group, state, fields.collect::<Vec<_>>().join(" ")]
    };
    String::from_utf8_lossy(&all.stdout).lines().map(line).collect()
}

#[test]
fn every_trip_is_accounted_for_whatever_other_kafka_is_configured() {
    // The course's names, as a .env for a cluster in the cloud has them.
    let cloud = [
        ("BOOTSTRAP_SERVERS", "nowhere.invalid:9092"),
        ("SECURITY_PROTOCOL", "SASL_SSL"),
        ("SASL_MECHANISMS", "PLAIN"),
        ("SASL_USERNAME", "key"),
        ("SASL_PASSWORD", "secret"),
        ("schema_registry_url", "https://nowhere.invalid"),
    ];
    // Time for several lines of figures, of which a machine that stalls leaves some.
    let ended = Demo::start(&["--seconds", "10"], &cloud).end(String::new());
    let Ended { status, stdout, stderr, left } = ended;
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    assert!(stdout.contains("0 lost, 0 twice, 0 unaccounted for, 0 wrong"), "{stdout}");
    assert!(stdout.contains("every trip is accounted for"), "{stdout}");
    assert!(stdout.contains(FIGURES), "no figures:\n{stdout}");
    assert!(!stdout.contains('\x1b'), "escape sequences without a terminal:\n{stdout}");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn another_kafka_of_a_profile_stays_untouched_even_in_librdkafka_s_own_words() {
    let theirs = DevStack::start(Options::default()).unwrap();
    let config = tempfile::tempdir().unwrap();
    fs::write(config.path().join("default.toml"), "").unwrap();
    let servers = theirs.bootstrap_servers();
    let cloud = format!("[kafka.properties]\n\"bootstrap.servers\" = {servers:?}\n");
    fs::write(config.path().join("cloud.toml"), cloud).unwrap();
    let dir = config.path().display().to_string();
    let environment = [("TRIPSTREAM_CONFIG_DIR", dir.as_str()), ("TRIPSTREAM_PROFILE", "cloud")];
    let ended = Demo::start(&["--seconds", "3"], &environment).end(String::new());
    let Ended { status, stdout, stderr, .. } = ended;
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    assert!(!stdout.contains("every trip is accounted for: 0 joined"), "{stdout}");

    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
    let topics = client.fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let names: Vec<_> = topics.topics().iter().map(|topic| topic.name().to_owned()).collect();
    assert_eq!(names, Vec::<String>::new(), "topics on the user's own Kafka");
}

#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let names =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let environment = names.map(|name| (name, url.as_str()));
    let ended = Demo::start(&["--seconds", "3"], &environment).end(String::new());
    let Ended { status, stdout, stderr, .. } = ended;
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    let asked = proxy.accept();
    assert!(asked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it was asked");
}

#[test]
fn ctrl_c_ends_it_with_a_verdict_too() {
    let mut demo = Demo::start(&[], &[]);
    let (stdout, group) = demo.signal(Signal::INT);
    let Ended { status, stdout, stderr, left } = demo.end(stdout);
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    assert!(stdout.contains("every trip is accounted for"), "{stdout}");
    assert_eq!(group.members(), Vec::<String>::new());
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn no_service_outlives_a_demo_that_is_killed() {
    let mut demo = Demo::start(&[], &[]);
    let (_, group) = demo.signal(Signal::KILL);
    let end = Instant::now() + Duration::from_secs(10);
    while !group.members().is_empty() {
        assert!(Instant::now() < end, "{:?}", group.members());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!demo.end(String::new()).status.success());
}

#[test]
fn a_service_that_ends_by_itself_ends_the_demo_and_is_named_with_its_last_words() {
    // It is refused: the largest request would not fit.
    let settings = [("TRIPSTREAM__PRODUCER__QUEUE_RECORDS", "1")];
    let ended = Demo::start(&["--seconds", "60"], &settings).end(String::new());
    let Ended { status, stdout, stderr, left } = ended;
    assert_eq!(status.code(), Some(1), "{stdout}\n{stderr}");
    assert!(stderr.contains("producer-api has ended by itself: exit status: 2"), "{stderr}");
    assert!(stderr.contains("producer.queue_records"), "{stderr}");
    assert_eq!(left.len(), 1, "the logs are kept: {left:?}");
    assert!(stdout.contains(&left[0]), "and it says where: {stdout}");
}
