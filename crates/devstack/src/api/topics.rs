//! CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::code;
use super::configs::source_of;
use crate::broker::{Broker, BrokerState, NODE_ID};
use crate::storage::Change;
use crate::topics::TopicRefusal;
use crate::topics::config::{DEFINITIONS, Overrides, value};

/// `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`.
const MOST_PARTITIONS_A_REQUEST: usize = 10_000;
/// From this version on each topic is named by name or id.
const DELETE_BY_ID: i16 = 6;
/// The offset in DeleteRecords that stands for all records.
const HIGH_WATERMARK: i64 = -1;

/// Creates topics, or only checks whether they could be created.
pub(crate) fn create(broker: &Broker, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut seen = HashSet::new();
    let names = request.topics.iter().map(|topic| topic.name.clone());
    let twice: HashSet<TopicName> = names.filter(|name| !seen.insert(name.clone())).collect();
    let is_excessive = partitions_of_all(broker, &request) > MOST_PARTITIONS_A_REQUEST;
    let dry_run = request.validate_only;
    let results = broker.update(|state, _, effects| {
        let mut results = Vec::new();
        for topic in request.topics {
            let outcome = if twice.contains(&topic.name) {
                Err(TopicRefusal::new(ResponseError::InvalidRequest, "Duplicate topic name."))
            } else if is_excessive {
                let text = "Excessively large number of partitions per request.";
                Err(TopicRefusal::new(ResponseError::PolicyViolation, text))
            } else {
                create_one(broker, state, &topic, dry_run, &mut effects.changes)
            };
            results.push(created(state, topic.name, outcome));
        }
        results
    });
    CreateTopicsResponse::default().with_topics(results)
}

/// The number of partitions that a request asks for (`ReplicationControlManager.validateTotalNumberOfPartitions`).
fn partitions_of_all(broker: &Broker, request: &CreateTopicsRequest) -> usize {
    let partitions = request.topics.iter().map(|topic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => broker.settings.default_partitions as usize,
        number => usize::try_from(number).unwrap_or(0),
    });
    partitions.sum()
}

/// The partitions and configuration of a topic that is, or would be, created.
struct Created {
    partitions: i32,
    overrides: Overrides,
}

fn create_one(
    broker: &Broker,
    state: &mut BrokerState,
    topic: &CreatableTopic,
    dry_run: bool,
    changes: &mut Vec<Change>,
) -> Result<Created, TopicRefusal> {
    let mut overrides = Overrides::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let text = format!("Null value not supported for topic configs: {}", &*config.name);
            return Err(TopicRefusal::new(ResponseError::InvalidConfig, text));
        };
        overrides.insert(config.name.to_string(), value.to_string());
    }
    let partitions = partitions_of(broker, topic)?;
    state.topics.check_new(&topic.name, partitions, &overrides)?;
    if !dry_run {
        state.create_topic(&topic.name, partitions, overrides.clone(), changes);
    }
    Ok(Created { partitions, overrides })
}

/// Partitions and replicas are given as numbers, or as a list of brokers a partition.
fn partitions_of(broker: &Broker, topic: &CreatableTopic) -> Result<i32, TopicRefusal> {
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let text = "A manual partition assignment was specified, but numPartitions or replicationFactor was not \
                        set to -1.";
            return Err(TopicRefusal::new(ResponseError::InvalidRequest, text));
        }
        let mut indexes: Vec<i32> =
            topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
        indexes.sort_unstable();
        let in_a_row = indexes.iter().copied().eq(0..indexes.len() as i32);
        let ours =
            topic.assignments.iter().all(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)]);
        if !in_a_row || !ours {
            let text = format!(
                "Every partition from 0 on must be assigned to broker {NODE_ID}, the only one"
            );
            return Err(TopicRefusal::new(ResponseError::InvalidReplicaAssignment, text));
        }
        return Ok(indexes.len() as i32);
    }
    match topic.replication_factor {
        -1 | 1 => {}
        factor if factor < 1 => {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(TopicRefusal::new(ResponseError::InvalidReplicationFactor, text));
        }
        factor => {
            let text = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot \
                 be reached because only 1 broker(s) are registered."
            );
            return Err(TopicRefusal::new(ResponseError::InvalidReplicationFactor, text));
        }
    }
    match topic.num_partitions {
        -1 => Ok(broker.settings.default_partitions),
        number => Ok(number),
    }
}

fn created(
    state: &BrokerState,
    name: TopicName,
    outcome: Result<Created, TopicRefusal>,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default();
    match outcome {
        Ok(Created { partitions, overrides }) => {
            let configs = DEFINITIONS.iter().map(|definition| {
                CreatableTopicConfigs::default()
                    .with_name(StrBytes::from_static_str(definition.name))
                    .with_value(Some(value(&overrides, definition.name).to_owned().into()))
                    .with_config_source(source_of(&overrides, definition.name))
            });
            result
                .with_topic_id(state.topics.get(&name).map_or(Uuid::nil(), |topic| topic.id))
                .with_name(name)
                .with_num_partitions(partitions)
                .with_replication_factor(1)
                .with_configs(Some(configs.collect()))
        }
        Err(TopicRefusal { code: error, text }) => result
            .with_name(name)
            .with_error_code(code(error))
            .with_error_message(Some(text.into()))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(Some(Vec::new())),
    }
}

/// Deletes topics and their records.
pub(crate) fn delete(
    broker: &Broker,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let topics = if version < DELETE_BY_ID {
        let named = request.topic_names.into_iter();
        named.map(|name| DeleteTopicState::default().with_name(Some(name))).collect()
    } else {
        request.topics
    };
    let responses = broker.update(|state, _, effects| {
        let delete_one = |topic: DeleteTopicState| {
            let DeleteTopicState { name, topic_id, .. } = topic;
            let by_id = name.is_none();
            let found = match &name {
                Some(name) => Some(name.to_string()),
                None => state.topics.name_of(topic_id).map(str::to_owned),
            };
            let id = found.as_ref().and_then(|name| state.topics.get(name)).map(|topic| topic.id);
            let deleted =
                found.as_ref().is_some_and(|name| state.delete_topic(name, &mut effects.changes));
            let error = match (deleted, by_id) {
                (true, _) => 0,
                (false, false) => code(ResponseError::UnknownTopicOrPartition),
                (false, true) => code(ResponseError::UnknownTopicId),
            };
            DeletableTopicResult::default()
                .with_name(name.or_else(|| found.map(|name| TopicName(name.into()))))
                .with_topic_id(id.unwrap_or(topic_id))
                .with_error_code(error)
        };
        topics.into_iter().map(delete_one).collect()
    });
    DeleteTopicsResponse::default().with_responses(responses)
}

/// Adds partitions to topics, or only checks whether they could be added.
pub(crate) fn create_partitions(
    broker: &Broker,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let dry_run = request.validate_only;
    let results = broker.update(|state, _, effects| {
        let grow_one = |topic: CreatePartitionsTopic| {
            let outcome = check_assignments(&topic).and_then(|()| {
                let changes = &mut effects.changes;
                let logs = state.topics.grow(&topic.name, topic.count, dry_run, changes)?;
                state.add_logs(&logs, changes);
                Ok(())
            });
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            match outcome {
                Ok(()) => result.with_error_message(None),
                Err(TopicRefusal { code: error, text }) => {
                    result.with_error_code(code(error)).with_error_message(Some(text.into()))
                }
            }
        };
        request.topics.into_iter().map(grow_one).collect()
    });
    CreatePartitionsResponse::default().with_results(results)
}

fn check_assignments(topic: &CreatePartitionsTopic) -> Result<(), TopicRefusal> {
    let mut assignments = topic.assignments.iter().flatten();
    if assignments.all(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)]) {
        return Ok(());
    }
    let text = format!("Every new partition must be assigned to broker {NODE_ID}, the only one");
    Err(TopicRefusal::new(ResponseError::InvalidReplicaAssignment, text))
}

/// Deletes the records below an offset.
pub(crate) fn delete_records(
    broker: &Broker,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = broker.update(|state, _, effects| {
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for partition in topic.partitions {
                let index = partition.partition_index;
                let low =
                    delete_below(state, &topic.name, index, partition.offset, &mut effects.changes);
                let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
                partitions.push(match low {
                    Ok(low) => result.with_low_watermark(low),
                    Err(error) => result.with_error_code(code(error)).with_low_watermark(-1),
                });
            }
            let result = DeleteRecordsTopicResult::default().with_name(topic.name);
            topics.push(result.with_partitions(partitions));
        }
        topics
    });
    DeleteRecordsResponse::default().with_topics(topics)
}

fn delete_below(
    state: &mut BrokerState,
    topic: &str,
    partition: i32,
    offset: i64,
    changes: &mut Vec<Change>,
) -> Result<i64, ResponseError> {
    let config = state.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?.config;
    let log = state.log_mut(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if !config.delete {
        return Err(ResponseError::PolicyViolation);
    }
    let offset = if offset == HIGH_WATERMARK { log.end() } else { offset };
    if offset < 0 || offset > log.end() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.delete_below(offset, changes);
    Ok(log.start())
}
