//! ApiVersions, Metadata, FindCoordinator, DescribeCluster, DescribeAcls. The only broker leads and coordinates
//! everything.

use std::net::SocketAddr;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, BrokerId, DescribeAclsResponse, DescribeClusterRequest, DescribeClusterResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{LEADER_EPOCH, code, distinct};
use crate::advertised::HostPort;
use crate::broker::{Broker, BrokerState, NODE_ID};
use crate::topics::config::Overrides;
use crate::topics::{Topic, check_name};
use crate::wire::SERVED;

/// All operations, as sets of `AclOperation` codes: there is no authorizer, so everything is allowed.
const ALL_OF_CLUSTER: i32 = 0b1_1111_1010_0000;
const ALL_OF_TOPIC: i32 = 0b1101_1111_1000;
const NOT_ASKED: i32 = i32::MIN;
/// The last FindCoordinator version with a single key instead of a list.
pub(super) const ONE_KEY: i16 = 3;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// Produce is listed from this version on, though requests below version 3 close the connection, as in Apache Kafka 4:
/// older librdkafka sends without compression if version 0 is not listed (KAFKA-18659).
const PRODUCE_LISTED_FROM: i16 = 0;
/// The endpoint type of DescribeCluster that asks for brokers, not controllers.
const BROKERS: i8 = 1;

/// The served versions, and some of Produce that are not ([`PRODUCE_LISTED_FROM`]). With `UNSUPPORTED_VERSION` if the
/// client asked in an unknown version (KIP-511).
pub(crate) fn api_versions(error: Option<ResponseError>) -> ApiVersionsResponse {
    let keys = SERVED.iter().map(|(api, min, max)| {
        let min = if *api == ApiKey::Produce { PRODUCE_LISTED_FROM } else { *min };
        ApiVersion::default().with_api_key(*api as i16).with_min_version(min).with_max_version(*max)
    });
    ApiVersionsResponse::default()
        .with_error_code(error.map_or(0, code))
        .with_api_keys(keys.collect())
}

/// Describes topics, and creates missing ones if the client and the broker allow it.
pub(crate) fn metadata(
    broker: &Broker,
    request: MetadataRequest,
    version: i16,
    reached_at: SocketAddr,
) -> MetadataResponse {
    // Before version 1, an empty list meant all; before 4, a client could not forbid creation.
    let asked = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let asked = asked.map(|topics| distinct(topics, |topic| (topic.name.clone(), topic.topic_id)));
    let may_create =
        broker.settings.auto_create_topics && (version < 4 || request.allow_auto_topic_creation);
    let of_topic = operations(request.include_topic_authorized_operations, ALL_OF_TOPIC);
    let topics = match asked {
        None => broker.look(|state| {
            let all = state.topics.iter();
            all.map(|(name, topic)| described(name, topic, of_topic)).collect()
        }),
        Some(asked) => {
            let one = |state: &BrokerState, name: &Option<TopicName>, id| match name {
                Some(name) => by_name(state, name, of_topic),
                None => by_id(state, id, of_topic),
            };
            let absent = |state: &BrokerState| -> Vec<String> {
                let names = asked.iter().filter_map(|topic| topic.name.as_ref());
                let absent = names.filter(|name| state.topics.get(name).is_none());
                absent.map(|name| name.to_string()).collect()
            };
            if may_create && !broker.look(absent).is_empty() {
                broker.update(|state, _, effects| {
                    for name in absent(state) {
                        let partitions = broker.settings.default_partitions;
                        let none = Overrides::new();
                        // The answer below has an error for a topic that can't be created.
                        if state.topics.check_new(&name, partitions, &none).is_ok() {
                            state.create_topic(&name, partitions, none, &mut effects.changes);
                        }
                    }
                });
            }
            broker.look(|state| {
                asked.iter().map(|topic| one(state, &topic.name, topic.topic_id)).collect()
            })
        }
    };
    let of_cluster = operations(request.include_cluster_authorized_operations, ALL_OF_CLUSTER);
    let (host, port) = address(broker, reached_at);
    let broker_entry = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(host)
        .with_port(port);
    MetadataResponse::default()
        .with_brokers(vec![broker_entry])
        .with_cluster_id(Some(StrBytes::from_string(broker.cluster_id.clone())))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
        .with_cluster_authorized_operations(of_cluster)
}

fn by_name(state: &BrokerState, name: &TopicName, operations: i32) -> MetadataResponseTopic {
    if let Some(topic) = state.topics.get(name) {
        return described(name, topic, operations);
    }
    let error = match check_name(name) {
        Err(refusal) => refusal.code,
        Ok(()) => ResponseError::UnknownTopicOrPartition,
    };
    MetadataResponseTopic::default()
        .with_error_code(code(error))
        .with_name(Some(name.clone()))
        .with_topic_authorized_operations(NOT_ASKED)
}

fn by_id(state: &BrokerState, id: Uuid, operations: i32) -> MetadataResponseTopic {
    let name = state.topics.name_of(id);
    match name.and_then(|name| Some((name, state.topics.get(name)?))) {
        Some((name, topic)) => described(name, topic, operations),
        None => MetadataResponseTopic::default()
            .with_error_code(code(ResponseError::UnknownTopicId))
            .with_name(None)
            .with_topic_id(id)
            .with_topic_authorized_operations(NOT_ASKED),
    }
}

fn described(name: &str, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let us = || vec![BrokerId(NODE_ID)];
    let partitions = (0..topic.logs.len() as i32).map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(us())
            .with_isr_nodes(us())
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}

/// The coordinator of groups and transactional ids.
pub(crate) fn find_coordinator(
    broker: &Broker,
    request: FindCoordinatorRequest,
    version: i16,
    reached_at: SocketAddr,
) -> FindCoordinatorResponse {
    let (host, port) = address(broker, reached_at);
    let (error, node, host, port) = match request.key_type {
        GROUP | TRANSACTION => (0, NODE_ID, host, port),
        _ => (code(ResponseError::InvalidRequest), -1, StrBytes::default(), -1),
    };
    if version <= ONE_KEY {
        return FindCoordinatorResponse::default()
            .with_error_code(error)
            .with_node_id(BrokerId(node))
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(error)
            .with_node_id(BrokerId(node))
            .with_host(host.clone())
            .with_port(port)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

/// Describes the cluster of one broker.
pub(crate) fn describe(
    broker: &Broker,
    request: &DescribeClusterRequest,
    version: i16,
    reached_at: SocketAddr,
) -> DescribeClusterResponse {
    let cluster_id = StrBytes::from_string(broker.cluster_id.clone());
    if version > 0 && request.endpoint_type != BROKERS {
        return DescribeClusterResponse::default()
            .with_error_code(code(ResponseError::UnsupportedEndpointType))
            .with_error_message(Some(StrBytes::from_static_str(
                "Only brokers can be asked for: there is no controller of its own",
            )))
            .with_endpoint_type(request.endpoint_type)
            .with_controller_id(BrokerId(-1))
            .with_cluster_id(cluster_id);
    }
    let of_cluster = operations(request.include_cluster_authorized_operations, ALL_OF_CLUSTER);
    let (host, port) = address(broker, reached_at);
    let us = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(host)
        .with_port(port);
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(cluster_id)
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![us])
        .with_cluster_authorized_operations(of_cluster)
}

/// The answer to everybody who asks for access control lists: there is no authorizer that would have any.
pub(crate) fn describe_acls() -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(code(ResponseError::SecurityDisabled))
        .with_error_message(Some("No Authorizer is configured on the broker".into()))
}

/// The operations that the client may do, if it asks for them.
fn operations(asked: bool, all: i32) -> i32 {
    if asked { all } else { NOT_ASKED }
}

/// The broker's address: the advertised one or, without, the one that the client has reached.
fn address(broker: &Broker, reached_at: SocketAddr) -> (StrBytes, i32) {
    if let Some(HostPort { host, port }) = &broker.settings.advertise {
        return (StrBytes::from_string(host.clone()), i32::from(*port));
    }
    (StrBytes::from_string(reached_at.ip().to_string()), i32::from(reached_at.port()))
}
