use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use models::secret::Secret;
use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sample {
    kafka: Kafka,
    topics: models::topics::Topics,
    joiner: Joiner,
    log: LogConfig,
    shutdown: ShutdownConfig,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kafka {
    bootstrap_servers: String,
    sasl_password: Option<Secret>,
    properties: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Joiner {
    #[serde(with = "humantime_serde")]
    window: Duration,
    tasks: u16,
}

impl Default for Joiner {
    fn default() -> Self {
        Self { window: Duration::from_secs(600), tasks: 1 }
    }
}

impl Settings for Sample {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
}

/// A project directory with `config/default.toml` and, if given, `.env` and a profile `prod`.
struct Project(TempDir);

impl Project {
    fn new(default: &str) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("config")).expect("config directory");
        std::fs::write(dir.path().join("config/default.toml"), default).expect("default.toml");
        Self(dir)
    }

    fn with(self, file: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(file), text).expect(file);
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn args(&self) -> CommonArgs {
        CommonArgs { config_dir: Some(self.path().join("config")), ..CommonArgs::default() }
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Sample, String> {
        self.load_args(&self.args(), environment)
    }

    fn load_args(&self, args: &CommonArgs, environment: &[(&str, &str)]) -> Result<Sample, String> {
        let environment: Vec<_> =
            environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        load_with::<Sample>(args, &[("joiner.tasks".into(), "9".to_owned())][..0], &environment)
            .map(|loaded| loaded.settings)
            .map_err(|err| err.to_string().replace(&self.path().display().to_string(), "PROJECT"))
    }
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let key = "kafka.bootstrap_servers";
    let project = Project::new("[kafka]\nbootstrap_servers = 'default'");
    assert_eq!(project.load(&[]).unwrap().kafka.bootstrap_servers, "default");

    let project = project.with("config/prod.toml", "[kafka]\nbootstrap_servers = 'profile'");
    let mut args = CommonArgs { profile: Some("prod".to_owned()), ..project.args() };
    assert_eq!(project.load_args(&args, &[]).unwrap().kafka.bootstrap_servers, "profile");

    let project = project.with(".env", "BOOTSTRAP_SERVERS=dotenv");
    assert_eq!(project.load_args(&args, &[]).unwrap().kafka.bootstrap_servers, "dotenv");

    let course = ("BOOTSTRAP_SERVERS", "course");
    assert_eq!(project.load_args(&args, &[course]).unwrap().kafka.bootstrap_servers, "course");

    let ours = ("TRIPSTREAM__KAFKA__BOOTSTRAP_SERVERS", "ours");
    assert_eq!(project.load_args(&args, &[ours, course]).unwrap().kafka.bootstrap_servers, "ours");

    args.set = vec![format!("{key}=set")];
    assert_eq!(project.load_args(&args, &[ours]).unwrap().kafka.bootstrap_servers, "set");

    let loaded = load_with::<Sample>(&args, &[(key.into(), "flag".to_owned())], &[]).unwrap();
    assert_eq!(loaded.settings.kafka.bootstrap_servers, "flag");
}

#[test]
fn the_env_file_of_the_course_works_as_it_is() {
    let project = Project::new("").with(
        ".env",
        "# Confluent Cloud\n\
         BOOTSTRAP_SERVERS=pkc-1.example:9092\n\
         SECURITY_PROTOCOL=SASL_SSL\n\
         SASL_PASSWORD=\"abc+/=\"\n\
         basic_auth.user_info=key:secret\n\
         SOMETHING_ELSE=1\n\
         TOPICS_JOINED_STREAMS='my.joined'\n\
         TOPICS_TRIPS_PARTITIONS=6\n\
         TOPICS_RIDERS=\n",
    );
    let sample = project.load(&[]).unwrap();
    assert_eq!(sample.kafka.bootstrap_servers, "pkc-1.example:9092");
    assert_eq!(sample.kafka.sasl_password, Some(Secret::new("abc+/=")));
    assert_eq!(sample.topics.joined_streams.name, "my.joined");
    assert_eq!(sample.topics.trips.partitions, 6);
    assert_eq!(sample.topics.trips.name, "hw.fake.trips");
    assert_eq!(sample.topics.riders.name, "hw.fake.riders", "an empty name means: not set");
}

/// Text of `default.toml`, environment, what the error says.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

#[test]
fn what_is_wrong_is_said_with_key_and_place() {
    let cases: [Case; 8] = [
        (
            "[kafka]\nbootstrap_server = 'x'",
            &[],
            "unknown key \"kafka.bootstrap_server\" in PROJECT/config/default.toml; \
             did you mean \"kafka.bootstrap_servers\"?",
        ),
        (
            "[kafak]\n",
            &[],
            "unknown key \"kafak\" in PROJECT/config/default.toml; did you mean \"kafka\"?",
        ),
        (
            "",
            &[("TRIPSTREAM__JOINER__WINDWO", "1s")],
            "unknown key \"joiner.windwo\" in TRIPSTREAM__JOINER__WINDWO in the environment; \
             did you mean \"joiner.window\"?",
        ),
        (
            "[joiner]\ntasks = 'many'",
            &[],
            "invalid type: string \"many\", expected an integer for key `joiner.tasks` in PROJECT/config/default.toml",
        ),
        (
            "",
            &[("TRIPSTREAM__JOINER__TASKS", "70000")],
            "invalid type: 64-bit unsigned integer `70000`, expected an unsigned 16 bit integer for key `joiner.tasks` \
             in TRIPSTREAM__JOINER__TASKS in the environment",
        ),
        (
            "[joiner]\nwindow = '10 fortnights'",
            &[],
            "invalid value: string \"10 fortnights\", expected a duration for key `joiner.window` \
             in PROJECT/config/default.toml",
        ),
        (
            "[topics.trips]\nname = 'a'\ncolour = 'red'",
            &[],
            "unknown key \"topics.trips.colour\" in PROJECT/config/default.toml; --print-config lists the known keys",
        ),
        ("[kafka\n", &[], "TOML"),
    ];
    for (default, environment, expected) in cases {
        let error = Project::new(default).load(environment).expect_err(default);
        assert!(
            error.contains(expected),
            "{default:?} {environment:?}\n said {error}\n  not {expected}"
        );
    }
}

#[test]
fn sections_of_other_services_are_left_to_them_but_not_in_a_set() {
    let project = Project::new("[producer]\nlisten = 'x'\n[scheduler_loop]\nwhatever = 1");
    assert_eq!(project.load(&[]).unwrap().joiner, Joiner::default());
    assert_eq!(project.load(&[("TRIPSTREAM__PRODUCER__SEED", "1")]).unwrap().joiner.tasks, 1);
    let args = CommonArgs { set: vec!["producer.seed=1".to_owned()], ..project.args() };
    let error = project.load_args(&args, &[]).unwrap_err();
    assert!(error.starts_with("unknown key \"producer.seed\" in --set"), "{error}");
}

#[test]
fn librdkafka_properties_keep_their_dots() {
    let project = Project::new("[kafka.properties]\n'fetch.queue.backoff.ms' = 5");
    let args =
        CommonArgs { set: vec!["kafka.properties.linger.ms=1".to_owned()], ..project.args() };
    let properties = project.load_args(&args, &[]).unwrap().kafka.properties;
    let expected = [("fetch.queue.backoff.ms", "5"), ("linger.ms", "1")];
    assert_eq!(properties, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[test]
fn missing_files_are_said_by_name() {
    let project = Project::new("").with("config/cloud.toml", "");
    let args = CommonArgs { profile: Some("clod".to_owned()), ..project.args() };
    assert_eq!(
        project.load_args(&args, &[]).unwrap_err(),
        "no profile \"clod\": PROJECT/config/clod.toml does not exist; there is cloud"
    );
    let args =
        CommonArgs { config_dir: Some(project.path().join("nowhere")), ..CommonArgs::default() };
    assert_eq!(
        project.load_args(&args, &[]).unwrap_err(),
        "no default.toml in PROJECT/nowhere: give --config-dir the directory that holds it"
    );
    let args = CommonArgs { env_file: Some(project.path().join("x.env")), ..project.args() };
    assert!(project.load_args(&args, &[]).unwrap_err().starts_with("cannot read PROJECT/x.env: "));
}

#[test]
fn a_line_of_the_env_file_that_can_t_be_read_is_a_warning_without_its_value() {
    let text = "APP_NAME=My App\nSASL_PASSWORD='hunter2\nBOOTSTRAP_SERVERS=a:9092, b:9092\n";
    let project = Project::new("").with(".env", text);
    let loaded = load_with::<Sample>(&project.args(), &[], &[]).unwrap();
    assert_eq!(loaded.settings.kafka.bootstrap_servers, "a:9092, b:9092");
    let env = project.path().join(".env").display().to_string();
    let expected =
        format!("{env}: the statement that begins in line 2 can't be read; it is passed over");
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn the_environment_counts_above_the_env_file_in_its_expansions_too() {
    let project = Project::new("")
        .with(".env", "KAFKA_HOST=file\nBOOTSTRAP_SERVERS=${KAFKA_HOST:-none}:9092\n");
    let servers = |environment| project.load(environment).unwrap().kafka.bootstrap_servers;
    assert_eq!(servers(&[]), "file:9092");
    assert_eq!(servers(&[("KAFKA_HOST", "outside")]), "outside:9092");
}

#[test]
fn names_that_are_nearly_the_course_s_count_or_are_told() {
    let project = Project::new("").with(
        ".env",
        "KAFKA_BOOTSTRAP_SERVERS=alias:9092\nTOPIC_RIDERS=mine\nSASL_PASWORD=hunter2\nAPP_NAME=x\n",
    );
    let load = |environment: &[(&str, &str)]| {
        let environment: Vec<_> =
            environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let loaded = load_with::<Sample>(&project.args(), &[], &environment).unwrap();
        (loaded.settings.kafka.bootstrap_servers, loaded.warnings)
    };
    let (servers, warnings) = load(&[("SASL_USER", "me"), ("KAFKA_HEAP_OPTS", "-Xmx1g")]);
    assert_eq!(servers, "alias:9092");
    let env = project.path().join(".env").display().to_string();
    let expected = [
        format!("SASL_PASWORD in {env} is not read; is SASL_PASSWORD meant?"),
        format!("TOPIC_RIDERS in {env} is not read; is TOPICS_RIDERS meant?"),
        "SASL_USER in the environment is not read; is SASL_USERNAME meant?".to_owned(),
    ];
    assert_eq!(warnings, expected);
    let both = [("bootstrap.servers", "course:9092"), ("KAFKA_BOOTSTRAP_SERVERS", "outside:9092")];
    assert_eq!(load(&both).0, "course:9092", "a name of the course counts above an alias");
}

#[test]
fn an_alias_in_the_environment_is_less_than_a_name_of_the_course_in_a_file() {
    let project = Project::new("").with(".env", "BOOTSTRAP_SERVERS=course:9092\n");
    let servers = |environment| project.load(environment).unwrap().kafka.bootstrap_servers;
    assert_eq!(servers(&[("KAFKA_BOOTSTRAP_SERVERS", "outside:9092")]), "course:9092");
    assert_eq!(servers(&[("BOOTSTRAP_SERVERS", "outside:9092")]), "outside:9092");
}

#[test]
fn the_printed_configuration_reads_back_and_masks_secrets() {
    let project =
        Project::new("[kafka]\nsasl_password = 'hunter2'\n[kafka.properties]\n'a.b' = 'c'");
    let sample = project.load(&[]).unwrap();
    let text = render(&sample).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let again = Project::new(&text).load(&[]).unwrap();
    assert_eq!(again.joiner, sample.joiner);
    assert_eq!(again.kafka.properties, sample.kafka.properties);
}
