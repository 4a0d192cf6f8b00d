//! Topics: created when absent, described, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::topics::Topic;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{info, warn};

use crate::timestamps::ANY_TIME;
use crate::topic_error::{REQUEST_TIMEOUT, VISIBLE_TIMEOUT};
use crate::{KafkaConfig, LogContext, log_ends};

pub use crate::topic_error::TopicError;

/// Pause between two looks at what the cluster shows.
const VISIBLE_POLL: Duration = Duration::from_millis(50);

/// A topic to create when absent, with its own configuration.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Name, partitions and replicas.
    pub topic: &'a Topic,
    /// Configuration such as `("cleanup.policy", "compact")`; the broker's defaults hold for the rest. It is
    /// used when the topic is created and never changes an existing one.
    pub configs: &'a [(&'a str, &'a str)],
}

impl<'a> From<&'a Topic> for Wanted<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self { topic, configs: &[] }
    }
}

/// Numbers of partitions by topic name.
pub type PartitionCounts = BTreeMap<String, i32>;

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The topic's name.
    pub name: String,
    /// Its partitions, ordered by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// The partition's number.
    pub partition: i32,
    /// The broker that leads it; -1 if there is none now.
    pub leader: i32,
    /// How many replicas it has.
    pub replicas: usize,
    /// How many of them are in sync.
    pub in_sync: usize,
    /// The offset of the oldest record that is kept.
    pub low: i64,
    /// The offset that the next record will get.
    pub high: i64,
}

/// A connection to the cluster for questions about topics. Calls block up to their time-outs.
struct Cluster {
    servers: String,
    admin: AdminClient<LogContext>,
    // Not the admin client: one that is a producer may create the topics that it asks for.
    metadata: BaseConsumer<LogContext>,
}

impl Cluster {
    fn connect(config: &KafkaConfig) -> Result<Self, TopicError> {
        let client = config.client()?;
        let servers = config.bootstrap_servers.clone();
        let failed = |source| TopicError::Client { servers: servers.clone(), source };
        let admin = client.create_with_context(LogContext::default()).map_err(failed)?;
        let metadata = client.create_with_context(LogContext::default()).map_err(failed)?;
        Ok(Self { servers, admin, metadata })
    }

    /// Partition counts of all topics that are there.
    fn partition_counts(&self) -> Result<PartitionCounts, TopicError> {
        let all = self.metadata.fetch_metadata(None, REQUEST_TIMEOUT);
        let all = all.map_err(|source| self.failed(source))?;
        let counted = all.topics().iter().filter(|topic| topic.error().is_none());
        let counted =
            counted.map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32));
        Ok(counted.filter(|(_, count)| *count > 0).collect())
    }

    fn failed(&self, source: KafkaError) -> TopicError {
        TopicError::Cluster { servers: self.servers.clone(), source }
    }

    async fn create(
        &self,
        topics: impl Iterator<Item = NewTopic<'_>>,
    ) -> Result<Vec<TopicResult>, TopicError> {
        let topics: Vec<NewTopic<'_>> = topics.collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = self.admin.create_topics(&topics, &options).await;
        results.map_err(|source| self.failed(source))
    }

    fn wait_until(
        &self,
        action: &'static str,
        names: &[&str],
        reached: impl Fn(&PartitionCounts, &str) -> bool,
    ) -> Result<PartitionCounts, TopicError> {
        let deadline = Instant::now() + VISIBLE_TIMEOUT;
        loop {
            let counts = self.partition_counts()?;
            let Some(pending) = names.iter().find(|name| !reached(&counts, name)) else {
                return Ok(counts);
            };
            if Instant::now() >= deadline {
                return Err(TopicError::NotVisible { action, topic: (*pending).to_owned() });
            }
            std::thread::sleep(VISIBLE_POLL);
        }
    }

    fn describe(&self, name: &str) -> Result<Option<Description>, TopicError> {
        let all = self.metadata.fetch_metadata(None, REQUEST_TIMEOUT);
        let all = all.map_err(|source| self.failed(source))?;
        let Some(topic) = all.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(None);
        };
        let asked = || topic.partitions().iter().map(|partition| (name, partition.id()));
        let starts = log_ends::starts(&self.metadata, asked(), REQUEST_TIMEOUT);
        let starts = starts.map_err(|source| self.failed(source))?;
        let ends = log_ends::ends(&self.metadata, asked(), REQUEST_TIMEOUT);
        let ends = ends.map_err(|source| self.failed(source))?;
        let mut partitions = Vec::with_capacity(topic.partitions().len());
        for (metadata, (low, high)) in topic.partitions().iter().zip(starts.into_iter().zip(ends)) {
            partitions.push(PartitionDescription {
                partition: metadata.id(),
                leader: metadata.leader(),
                replicas: metadata.replicas().len(),
                in_sync: metadata.isr().len(),
                low,
                high,
            });
        }
        partitions.sort_by_key(|partition| partition.partition);
        Ok(Some(Description { name: name.to_owned(), partitions }))
    }
}

/// Runs `work` with a cluster connection where blocking is allowed.
async fn blocking<T: Send + 'static>(
    config: &KafkaConfig,
    work: impl FnOnce(&Cluster) -> Result<T, TopicError> + Send + 'static,
) -> Result<T, TopicError> {
    let config = config.clone();
    let run = move || Cluster::connect(&config).and_then(|cluster| work(&cluster));
    tokio::task::spawn_blocking(run).await.expect("questions about topics don't panic")
}

/// The partition counts of all topics of the cluster.
///
/// # Errors
///
/// [`TopicError`] if the cluster can't be asked.
pub async fn partition_counts(config: &KafkaConfig) -> Result<PartitionCounts, TopicError> {
    blocking(config, Cluster::partition_counts).await
}

/// Creates those of `wanted` that are absent, waits until the cluster shows them all, and says how many
/// partitions each one has. A topic that is there with another count is used as it is, with a warning.
///
/// # Errors
///
/// [`TopicError`]; see [`TopicError::is_retriable`] for those where calling again makes sense.
pub async fn ensure(
    config: &KafkaConfig,
    wanted: &[Wanted<'_>],
) -> Result<PartitionCounts, TopicError> {
    let cluster = connect(config).await?;
    let present = ask(&cluster, Cluster::partition_counts).await?;
    let absent: Vec<&Wanted<'_>> =
        wanted.iter().filter(|wanted| !present.contains_key(&wanted.topic.name)).collect();
    if !absent.is_empty() {
        let results = cluster.create(absent.iter().map(|wanted| new_topic(wanted, &[]))).await?;
        let (refused, others): (Vec<_>, _) =
            results.into_iter().partition(|result| is_refused_for_any_time(result, &absent));
        check(others, "create", RDKafkaErrorCode::TopicAlreadyExists)?;
        if !refused.is_empty() {
            let again = absent.iter().filter(|wanted| {
                refused
                    .iter()
                    .any(|result| matches!(result, Err((topic, _)) if *topic == wanted.topic.name))
            });
            let again = again.map(|wanted| new_topic(wanted, &[ANY_TIME]));
            let results = cluster.create(again).await?;
            check(results, "create", RDKafkaErrorCode::TopicAlreadyExists)?;
        }
    }
    let names: Vec<String> = wanted.iter().map(|wanted| wanted.topic.name.clone()).collect();
    let counts = ask(&cluster, move |cluster| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        cluster.wait_until("create", &names, PartitionCounts::contains_key)
    })
    .await?;
    let mut result = PartitionCounts::new();
    for Wanted { topic, .. } in wanted {
        let count = counts[&topic.name];
        if count != topic.partitions {
            warn!(
                topic = topic.name,
                configured = topic.partitions,
                actual = count,
                "topic exists with another number of partitions; using it as it is"
            );
        } else if !present.contains_key(&topic.name) {
            info!(topic = topic.name, partitions = count, "topic created");
        }
        result.insert(topic.name.clone(), count);
    }
    Ok(result)
}

/// A topic with its configuration, but for what is `left_out` of that.
fn new_topic<'a>(wanted: &'a Wanted<'a>, left_out: &[(&str, &str)]) -> NewTopic<'a> {
    let Wanted { topic, configs } = wanted;
    let replication = TopicReplication::Fixed(topic.replicas);
    let new = NewTopic::new(&topic.name, topic.partitions, replication);
    let configs = configs.iter().filter(|config| !left_out.contains(config));
    configs.fold(new, |new, (key, value)| new.set(key, value))
}

/// Whether a topic may have been refused because the broker doesn't know [`ANY_TIME`], or lets nobody set it.
fn is_refused_for_any_time(result: &TopicResult, wanted: &[&Wanted<'_>]) -> bool {
    use RDKafkaErrorCode::{InvalidConfig, PolicyViolation};
    let Err((topic, InvalidConfig | PolicyViolation)) = result else { return false };
    wanted.iter().any(|wanted| wanted.topic.name == *topic && wanted.configs.contains(&ANY_TIME))
}

fn check(
    results: Vec<TopicResult>,
    action: &'static str,
    harmless: RDKafkaErrorCode,
) -> Result<(), TopicError> {
    for result in results {
        if let Err((topic, code)) = result
            && code != harmless
        {
            return Err(TopicError::Refused { action, topic, code });
        }
    }
    Ok(())
}

/// Describes those of `names` that exist, in that order.
///
/// # Errors
///
/// [`TopicError`] if the cluster can't be asked.
pub async fn describe(
    config: &KafkaConfig,
    names: &[&str],
) -> Result<Vec<Description>, TopicError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    blocking(config, move |cluster| {
        names.iter().filter_map(|name| cluster.describe(name).transpose()).collect()
    })
    .await
}

/// Deletes those of `names` that exist and waits until the cluster doesn't show them any more.
///
/// # Errors
///
/// [`TopicError`] if the cluster can't be asked or refuses.
pub async fn delete(config: &KafkaConfig, names: &[&str]) -> Result<(), TopicError> {
    let cluster = connect(config).await?;
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let results = cluster.admin.delete_topics(names, &options).await;
    let results = results.map_err(|source| cluster.failed(source))?;
    check(results, "delete", RDKafkaErrorCode::UnknownTopicOrPartition)?;
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    ask(&cluster, move |cluster| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        cluster.wait_until("delete", &names, |counts, name| !counts.contains_key(name))
    })
    .await?;
    Ok(())
}

/// Deletes the records of each partition of `topic` that lie before the given offset.
///
/// # Errors
///
/// [`TopicError`] if the cluster can't be asked or refuses.
pub async fn delete_records_before(
    config: &KafkaConfig,
    topic: &str,
    offsets: &[(i32, i64)],
) -> Result<(), TopicError> {
    let cluster = connect(config).await?;
    let mut list = TopicPartitionList::new();
    for &(partition, offset) in offsets {
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset))
            .expect("an offset is not negative");
    }
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let result = cluster.admin.delete_records(&list, &options).await;
    let result = result.map_err(|source| cluster.failed(source))?;
    for element in result.elements() {
        element.error().map_err(|source| cluster.failed(source))?;
    }
    Ok(())
}

async fn connect(config: &KafkaConfig) -> Result<Arc<Cluster>, TopicError> {
    let config = config.clone();
    let connect = move || Cluster::connect(&config).map(Arc::new);
    tokio::task::spawn_blocking(connect).await.expect("connecting doesn't panic")
}

async fn ask<T: Send + 'static>(
    cluster: &Arc<Cluster>,
    question: impl FnOnce(&Cluster) -> Result<T, TopicError> + Send + 'static,
) -> Result<T, TopicError> {
    let cluster = Arc::clone(cluster);
    let asked = tokio::task::spawn_blocking(move || question(&cluster));
    asked.await.expect("questions about topics don't panic")
}
