//! Asks again and again where the consumed partitions end: how much there is to read, and whether it grows.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka::{KafkaConfig, LogContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tracing::debug;

use crate::source_partition::SourcePartition;
use crate::topology::Topology;

const TIMEOUT: Duration = Duration::from_secs(5);

/// One answer of Kafka.
#[derive(Debug, Clone)]
pub(crate) struct LogEnds {
    /// When it was asked for.
    pub(crate) asked: Instant,
    /// The offset behind the last committed record, by partition.
    pub(crate) ends: HashMap<SourcePartition, i64>,
}

impl LogEnds {
    /// Before the first answer.
    pub(crate) fn unknown() -> Self {
        Self { asked: Instant::now(), ends: HashMap::new() }
    }
}

/// Asks at once and then each `interval`, until it is dropped.
pub(crate) async fn watch(
    kafka: KafkaConfig,
    topology: Topology,
    interval: Duration,
    latest: watch::Sender<LogEnds>,
) {
    let mut consumer = None;
    loop {
        let (kafka, topology) = (kafka.clone(), topology.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let consumer = consumer.map_or_else(|| connect(&kafka), Ok)?;
            let ends = ask(&consumer, &topology);
            Ok::<_, KafkaError>((consumer, ends))
        });
        consumer = match asked.await.expect("asking for ends doesn't panic") {
            Ok((consumer, ends)) => {
                match ends {
                    Ok(ends) => drop(latest.send_replace(ends)),
                    // If it lasts, the health check reports it.
                    Err(error) => debug!(%error, "asking where the partitions end"),
                }
                Some(consumer)
            }
            Err(error) => {
                debug!(%error, "making a consumer to ask where the partitions end");
                None
            }
        };
        tokio::time::sleep(interval).await;
    }
}

fn connect(kafka: &KafkaConfig) -> Result<BaseConsumer<LogContext>, KafkaError> {
    let mut client = kafka.client().expect("validated with the configuration");
    client.set("isolation.level", "read_committed");
    client.create_with_context(LogContext::default())
}

fn ask(consumer: &BaseConsumer<LogContext>, topology: &Topology) -> Result<LogEnds, KafkaError> {
    // The client keeps its log lines in memory until it is polled.
    while consumer.poll(Duration::ZERO).is_some() {}
    let asked = Instant::now();
    let sources = || topology.sources();
    let partitions = sources().map(|source| (topology.topic_of(source), source.number()));
    let ends = kafka::log_ends::ends(consumer, partitions, TIMEOUT)?;
    Ok(LogEnds { asked, ends: sources().zip(ends).collect() })
}
