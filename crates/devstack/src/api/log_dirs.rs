//! DescribeLogDirs: the size of each partition, in the only directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::code;
use crate::broker::{Broker, BrokerState};
use crate::storage::{LogId, StorageError};

/// A topic, and those of its partitions that the client asks for.
type Wanted = (String, Vec<(i32, LogId)>);

/// Describes the partitions that a client asks for, or all. As in Kafka, those that don't exist are left out.
pub(crate) async fn describe(
    broker: &Broker,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let wanted = broker.look(|state| find(state, request));
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(broker.settings.log_dir.clone()));
    let result = match sizes(broker, wanted).await {
        Ok(topics) => result.with_topics(topics),
        Err(error) => {
            tracing::error!(%error, "reading the sizes of partitions");
            result.with_error_code(code(ResponseError::KafkaStorageError))
        }
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn find(state: &BrokerState, request: DescribeLogDirsRequest) -> Vec<Wanted> {
    let asked = request.topics.map(|topics| {
        let mut asked: HashMap<String, HashSet<i32>> = HashMap::new();
        for topic in topics {
            asked.entry(topic.topic.to_string()).or_default().extend(topic.partitions);
        }
        asked
    });
    let topics = state.topics.iter().filter_map(|(name, topic)| {
        let only = match &asked {
            None => None,
            Some(asked) => Some(asked.get(name)?),
        };
        let partitions = (0..).zip(topic.logs.iter().copied());
        let partitions =
            partitions.filter(|(index, _)| only.is_none_or(|only| only.contains(index)));
        Some((name.to_owned(), partitions.collect()))
    });
    topics.filter(|(_, partitions): &Wanted| !partitions.is_empty()).collect()
}

async fn sizes(
    broker: &Broker,
    wanted: Vec<Wanted>,
) -> Result<Vec<DescribeLogDirsTopic>, StorageError> {
    // What has been acknowledged is in the storage. If the journal has failed, this answer is never sent.
    let _ = broker.journal.durable(broker.journal.position()).await;
    let storage = Arc::clone(&broker.storage);
    let read = move || {
        let topics = wanted.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, log)| {
                let size = i64::try_from(storage.size(log)?).unwrap_or(i64::MAX);
                Ok(DescribeLogDirsPartition::default()
                    .with_partition_index(index)
                    .with_partition_size(size))
            });
            Ok(DescribeLogDirsTopic::default()
                .with_name(TopicName(StrBytes::from_string(name)))
                .with_partitions(partitions.collect::<Result<_, StorageError>>()?))
        });
        topics.collect()
    };
    tokio::task::spawn_blocking(read).await.expect("reading doesn't panic")
}
