//! The services of one test: their own topics, their own group, all in this process.

use std::net::SocketAddr;
use std::time::Duration;

use joiner::{JoinerConfig, JoinerSection};
use kafka::timestamps::ANY_TIME;
use kafka::topics::Wanted;
use models::topics::{Topic, Topics};
use producer_api::ProducerApiConfig;
use service::{Context, Shutdown};
use tokio::task::JoinHandle;
use uuid::Uuid;
use verify::Report;
use verify::settings::JoinerView;

use crate::stack::Stack;
use crate::wait::eventually;

/// How long a service may take until it is ready.
const START: Duration = Duration::from_secs(60);

/// The names that the services of one test share, and nobody else has.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Kafka and the registry.
    pub stack: Stack,
    /// The six topics.
    pub topics: Topics,
    /// Section `[joiner]`; the defaults but for names and ports.
    pub joiner: JoinerSection,
    name: String,
}

impl Pipeline {
    /// A pipeline with topics that don't exist yet.
    pub fn new(stack: &Stack, name: &str) -> Self {
        let name = format!("e2e-{name}-{}", &Uuid::new_v4().simple().to_string()[..8]);
        let topic = |stream: &str| Topic::new(format!("{name}.{stream}"));
        let topics = Topics {
            trips: topic("trips"),
            drivers: topic("drivers"),
            riders: topic("riders"),
            joined_streams: topic("joinedstreams"),
            unmatched: topic("unmatched"),
            rejects: topic("rejects"),
        };
        let joiner = JoinerSection {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            group_id: name.clone(),
            transactional_id: name.clone(),
            repartition_topic: format!("{name}.repartition"),
            changelog_topic: format!("{name}.changelog"),
            ..JoinerSection::default()
        };
        Self { stack: stack.clone(), topics, joiner, name }
    }

    fn joiner_config(&self) -> JoinerConfig {
        JoinerConfig {
            kafka: self.stack.kafka(),
            registry: self.stack.registry(),
            topics: self.topics.clone(),
            joiner: self.joiner.clone(),
            ..JoinerConfig::default()
        }
    }

    /// The settings of the API.
    pub fn api_config(&self) -> ProducerApiConfig {
        let mut config = ProducerApiConfig {
            kafka: self.stack.kafka(),
            registry: self.stack.registry(),
            topics: self.topics.clone(),
            ..ProducerApiConfig::default()
        };
        config.producer.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config
    }

    /// Creates the three inputs, with the partitions that `topics` gives them. They take rows of any time.
    pub async fn create_inputs(&self) {
        let wanted = self.topics.inputs().map(|topic| Wanted { topic, configs: &[ANY_TIME] });
        kafka::topics::ensure(&self.stack.kafka(), &wanted).await.unwrap();
    }

    /// How many records a topic has that a read_committed consumer could see, transaction markers included.
    pub async fn count(&self, topic: &Topic) -> u64 {
        let described = kafka::topics::describe(&self.stack.kafka(), &[&topic.name]).await.unwrap();
        let ends = described.iter().flat_map(|topic| &topic.partitions);
        ends.map(|partition| u64::try_from(partition.high - partition.low).unwrap()).sum()
    }

    /// How many trips are joined so far.
    pub async fn count_joined(&self) -> u64 {
        self.verify(Duration::ZERO).await.verdict.joined
    }

    /// Waits until at least `trips` are joined.
    pub async fn joined(&self, trips: u64) {
        let what = format!("{trips} trips are joined");
        eventually(&what, START, async || (self.count_joined().await >= trips).then_some(())).await;
    }

    /// Registers a `Trip` with one more field at its end, a string, and returns its schema id.
    pub async fn register_wider_trip(&self, stack: &Stack) -> u32 {
        let mut schema: serde_json::Value =
            serde_json::from_str(avro_schemas::RecordType::Trip.schema_json()).unwrap();
        let field = serde_json::json!({ "name": "vehicle", "type": "string", "default": "" });
        schema["fields"].as_array_mut().unwrap().push(field);
        schema["doc"] = self.name.clone().into();
        let url = format!("{}/subjects/{}-wider-value/versions", stack.registry, self.name);
        let body = serde_json::json!({ "schema": schema.to_string() });
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }

    /// What `tripctl verify` says once the joiner has nothing left to do, at the latest after `wait`.
    pub async fn verify(&self, wait: Duration) -> Report {
        let joiner = self.joiner.clone();
        let config = verify::Config {
            kafka: self.stack.kafka(),
            registry: self.stack.registry(),
            topics: self.topics.clone(),
            joiner: JoinerView {
                window: joiner.window,
                group_id: joiner.group_id,
                repartition_topic: joiner.repartition_topic,
                changelog_topic: joiner.changelog_topic,
            },
            wait: Some(wait),
        };
        verify::run(&config, &Shutdown::new()).await.unwrap()
    }

    /// As [`verify`](Self::verify), and fails unless nothing is lost, twice, unaccounted for, wrong or open.
    pub async fn verify_all_decided(&self, wait: Duration) -> Report {
        let report = self.verify(wait).await;
        let text = report.to_text(20, std::time::SystemTime::now());
        assert!(report.is_clean() && report.verdict.fates.open() == 0, "{text}");
        report
    }

    /// Starts a joiner and waits until it reads.
    pub async fn start_joiner(&self) -> Running {
        let ctx = Context::new("joiner");
        let run = joiner::run(self.joiner_config(), ctx.clone());
        let task = tokio::spawn(async { run.await.map(drop).map_err(Into::into) });
        let joiner = Running { name: "joiner", ctx, task };
        joiner.ready().await;
        joiner
    }

    /// Starts the API and waits until it can produce. The second value is its URL.
    pub async fn start_api(&self) -> (Running, String) {
        self.start_api_with(self.api_config()).await
    }

    /// As [`start_api`](Self::start_api), with settings of the test's own.
    pub async fn start_api_with(&self, config: ProducerApiConfig) -> (Running, String) {
        let ctx = Context::new("producer-api");
        let server = producer_api::Server::bind(config, ctx.clone()).unwrap();
        let url = format!("http://{}", server.addr());
        let task = tokio::spawn(async { Ok(server.run().await?) });
        let api = Running { name: "producer-api", ctx, task };
        api.ready().await;
        (api, url)
    }
}

/// A service that runs in this process.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    /// Its health and metrics.
    pub ctx: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Waits until `/health/ready` would say so.
    pub async fn ready(&self) {
        let what = format!("{} is ready", self.name);
        eventually(&what, START, async || {
            assert!(!self.task.is_finished(), "{} ended by itself", self.name);
            self.ctx.health.is_ready().then_some(())
        })
        .await;
    }

    /// Waits until `/health/ready` would say that it isn't.
    pub async fn not_ready(&self) {
        let what = format!("{} notices that something is missing", self.name);
        eventually(&what, START, async || (!self.ctx.health.is_ready()).then_some(())).await;
    }

    /// Waits until each of a joiner's `tasks` has a watermark of at least `ms` since the Unix epoch.
    pub async fn watermarks_reach(&self, tasks: usize, ms: i64) {
        let what = format!("the watermarks of {tasks} tasks reach {ms}");
        eventually(&what, START, async || {
            let metrics = self.ctx.metrics.encode();
            let watermarks = metrics
                .lines()
                .filter(|line| line.starts_with("tripstream_joiner_watermark_seconds{"))
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
            let reached = watermarks.filter(|seconds| *seconds * 1_000.0 >= ms as f64);
            (reached.count() == tasks).then_some(())
        })
        .await;
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Asks it to stop, as the first Ctrl-C does, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it failed.
    pub async fn stop(self) {
        self.ctx.shutdown.trigger();
        self.task.await.unwrap().unwrap();
    }
}
