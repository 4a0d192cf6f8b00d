//! The joiner's topics and their partition counts, found out once before the first row is read.

use kafka::KafkaConfig;
use kafka::timestamps::ANY_TIME;
use kafka::topics::{TopicError, Wanted, ensure};
use models::topics::Topic;
use models::{Partition, Side};
use service::{Dependency, Shutdown};
use tracing::{info, warn};

use crate::config::JoinerConfig;
use crate::source_partition::SourcePartition;

/// A topic that the joiner reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) partitions: Partition,
}

/// All topics of the joiner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    /// In the order of [`Side::ALL`].
    pub(crate) inputs: [Stream; 3],
    pub(crate) joined: Stream,
    pub(crate) unmatched: Stream,
    pub(crate) rejects: Stream,
    pub(crate) repartition: Stream,
    pub(crate) changelog: Stream,
}

/// Why the topics are not as they have to be.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A topic can't be made or asked for.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The two internal topics don't fit each other.
    #[error(
        "{changelog} has {changelog_partitions} partitions but {repartition} has {repartition_partitions}; \
         they must have as many: delete both (the state with them), or name others in [joiner]"
    )]
    Internal {
        /// The changelog topic.
        changelog: String,
        /// Its partitions.
        changelog_partitions: Partition,
        /// The repartition topic.
        repartition: String,
        /// Its partitions.
        repartition_partitions: Partition,
    },
}

/// Large enough for a joined row, which contains three whole rows.
const MAX_MESSAGE_BYTES: &str = "4194304";
/// [`ANY_TIME`]: a reject has the timestamp of its row, and all others may be up to `joiner.max_future` ahead.
const OUTPUT: &[(&str, &str)] = &[("max.message.bytes", MAX_MESSAGE_BYTES), ANY_TIME];
/// Kafka must delete nothing by itself. The joiner deletes what it does not need.
const INTERNAL: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("max.message.bytes", MAX_MESSAGE_BYTES),
    ANY_TIME,
    ("retention.bytes", "-1"),
    ("retention.ms", "-1"),
];

impl Topology {
    /// How many tasks the join has: one for each partition of the repartition topic (rule 8).
    pub(crate) const fn tasks(&self) -> Partition {
        self.repartition.partitions
    }

    /// The partition counts of the inputs, in the order of [`Side::ALL`].
    pub(crate) fn input_partitions(&self) -> [Partition; 3] {
        Side::ALL.map(|side| self.inputs[side.index()].partitions)
    }

    /// How many partitions the topic of `source` has.
    pub(crate) const fn partitions_of(&self, source: SourcePartition) -> Partition {
        match source {
            SourcePartition::Input(side, _) => self.inputs[side.index()].partitions,
            SourcePartition::Repartition(_) => self.repartition.partitions,
        }
    }

    /// All partitions that are consumed.
    pub(crate) fn sources(&self) -> impl Iterator<Item = SourcePartition> {
        let inputs = Side::ALL.into_iter().flat_map(|side| {
            let partitions = 0..self.inputs[side.index()].partitions;
            partitions.map(move |partition| SourcePartition::Input(side, partition))
        });
        inputs.chain((0..self.repartition.partitions).map(SourcePartition::Repartition))
    }

    /// The name of the topic of `source`.
    pub(crate) fn topic_of(&self, source: SourcePartition) -> &str {
        match source {
            SourcePartition::Input(side, _) => &self.inputs[side.index()].name,
            SourcePartition::Repartition(_) => &self.repartition.name,
        }
    }

    /// Partition `partition` of `topic`, which is one of the consumed topics.
    pub(crate) fn source_of(&self, topic: &str, partition: Partition) -> SourcePartition {
        let side = Side::ALL.into_iter().find(|side| self.inputs[side.index()].name == topic);
        side.map_or(SourcePartition::Repartition(partition), |side| {
            SourcePartition::Input(side, partition)
        })
    }

    /// The names of all topics that are consumed.
    pub(crate) fn consumed(&self) -> [&str; 4] {
        let [trips, drivers, riders] = &self.inputs;
        [&trips.name, &drivers.name, &riders.name, &self.repartition.name]
    }

    async fn create(config: &JoinerConfig) -> Result<Self, TopologyError> {
        let topics = &config.topics;
        let inputs = topics.inputs().map(Wanted::from);
        let outputs = topics.outputs().map(|topic| Wanted { topic, configs: OUTPUT });
        let counts = ensure(&config.kafka, &[inputs, outputs].concat()).await?;
        let stream =
            |topic: &Topic| Stream { name: topic.name.clone(), partitions: counts[&topic.name] };
        let inputs = topics.inputs().map(stream);
        let tasks = inputs.iter().map(|input| input.partitions).max().expect("there are three");
        let repartition =
            internal(&config.kafka, &config.joiner.repartition_topic, tasks, config).await?;
        let tasks = repartition.partitions;
        let changelog =
            internal(&config.kafka, &config.joiner.changelog_topic, tasks, config).await?;
        if changelog.partitions != repartition.partitions {
            return Err(TopologyError::Internal {
                changelog: changelog.name,
                changelog_partitions: changelog.partitions,
                repartition: repartition.name,
                repartition_partitions: repartition.partitions,
            });
        }
        Ok(Self {
            inputs,
            joined: stream(&topics.joined_streams),
            unmatched: stream(&topics.unmatched),
            rejects: stream(&topics.rejects),
            repartition,
            changelog,
        })
    }
}

async fn internal(
    kafka: &KafkaConfig,
    name: &str,
    partitions: Partition,
    config: &JoinerConfig,
) -> Result<Stream, TopicError> {
    let replicas = config.joiner.internal_replicas;
    let topic = Topic { name: name.to_owned(), partitions, replicas };
    let counts = ensure(kafka, &[Wanted { topic: &topic, configs: INTERNAL }]).await?;
    Ok(Stream { name: topic.name, partitions: counts[name] })
}

/// Finds or creates all topics. Waits while `kafka` can't be reached. `None` if shutdown comes first.
pub(crate) async fn establish(
    config: &JoinerConfig,
    kafka: &Dependency,
    shutdown: &Shutdown,
) -> Result<Option<Topology>, TopologyError> {
    let is_outage =
        |error: &_| matches!(error, TopologyError::Topic(error) if error.is_retriable());
    tokio::select! {
        topology = kafka.reached(|| Topology::create(config), is_outage) => {
            let topology = topology?;
            report(&topology);
            Ok(Some(topology))
        }
        () = shutdown.wait() => Ok(None),
    }
}

fn report(topology: &Topology) {
    let tasks = topology.tasks();
    if topology.input_partitions() == [tasks; 3] {
        info!(
            tasks,
            "inputs have equal partition counts: rows keyed by trip_id are joined where they lie"
        );
    } else {
        warn!(
            tasks,
            inputs = ?topology.input_partitions(),
            "inputs have different partition counts: most rows take the detour through {}",
            topology.repartition.name
        );
    }
}
