//! The broker itself: versions, metadata, coordinators, and how it treats a connection.

use bytes::BytesMut;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeAclsRequest, DescribeClusterRequest,
    FindCoordinatorRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use uuid::Uuid;

use crate::rig::{eventually, topic, unique};
use crate::wire::batch::Batch;
use crate::wire::{Fetch, ResponseError, Wire, outcome, text};

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("conformance"))
        .with_client_software_version(text("1"))
}

#[test]
fn versions_that_librdkafka_asks_for_are_listed() {
    let asked = [
        (ApiKey::Produce, 10),
        (ApiKey::Fetch, 16),
        (ApiKey::ListOffsets, 7),
        (ApiKey::Metadata, 12),
        (ApiKey::OffsetCommit, 9),
        (ApiKey::OffsetFetch, 9),
        (ApiKey::FindCoordinator, 2),
        (ApiKey::JoinGroup, 5),
        (ApiKey::Heartbeat, 3),
        (ApiKey::LeaveGroup, 1),
        (ApiKey::SyncGroup, 3),
        (ApiKey::DescribeGroups, 4),
        (ApiKey::ListGroups, 4),
        (ApiKey::ApiVersions, 3),
        (ApiKey::CreateTopics, 4),
        (ApiKey::DeleteTopics, 1),
        (ApiKey::DeleteRecords, 1),
        (ApiKey::InitProducerId, 4),
        (ApiKey::OffsetForLeaderEpoch, 2),
        (ApiKey::AddPartitionsToTxn, 0),
        (ApiKey::AddOffsetsToTxn, 0),
        (ApiKey::EndTxn, 1),
        (ApiKey::TxnOffsetCommit, 3),
        (ApiKey::DescribeAcls, 1),
        (ApiKey::DescribeConfigs, 1),
        (ApiKey::CreatePartitions, 0),
        (ApiKey::DeleteGroups, 1),
        (ApiKey::IncrementalAlterConfigs, 1),
        (ApiKey::OffsetDelete, 0),
        (ApiKey::DescribeCluster, 0),
    ];
    let answer = Wire::connect().ask(3, &api_versions());
    outcome(answer.error_code).unwrap();
    for (key, version) in asked {
        let listed = answer.api_keys.iter().find(|api| api.api_key == key as i16);
        let listed = listed.unwrap_or_else(|| panic!("{key:?} is not listed"));
        assert!(
            (listed.min_version..=listed.max_version).contains(&version),
            "{key:?} {version}: listed are {} to {}",
            listed.min_version,
            listed.max_version
        );
    }
}

/// older librdkafka sends without compression if version 0 of Produce is not listed (KAFKA-18659).
#[test]
fn produce_is_listed_from_version_0_and_served_from_version_3() {
    let answer = Wire::connect().ask(3, &api_versions());
    let produce = answer.api_keys.iter().find(|api| api.api_key == ApiKey::Produce as i16);
    let produce = produce.expect("Produce is listed");
    assert_eq!(produce.min_version, 0);
    for version in 0..3 {
        let mut wire = Wire::connect();
        let mut frame = BytesMut::new();
        wire.header(ApiKey::Produce as i16, version).encode(&mut frame, 1).unwrap();
        // acks=-1, a time-out of 1 s, no topics.
        frame.extend_from_slice(&[0xff, 0xff, 0, 0, 3, 0xe8, 0, 0, 0, 0]);
        wire.send_frame(&frame);
        assert!(wire.receive_frame().is_none(), "version {version} is answered");
    }
    let mut wire = Wire::connect();
    let answer = wire.ask(3, &ProduceRequest::default().with_acks(-1).with_timeout_ms(1_000));
    assert_eq!(answer.responses, []);
}

#[test]
fn whoever_asks_for_access_control_lists_hears_that_there_are_none() {
    for version in 1..=3 {
        let any = DescribeAclsRequest::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1);
        let answer = Wire::connect().ask(version, &any);
        assert_eq!(outcome(answer.error_code), Err(ResponseError::SecurityDisabled));
        let text = answer.error_message.expect("a text");
        assert_eq!(text.as_str(), "No Authorizer is configured on the broker");
        assert_eq!(answer.resources, []);
    }
}

#[test]
fn unknown_version_of_api_versions_is_answered_in_version_0() {
    let mut wire = Wire::connect();
    let mut frame = BytesMut::new();
    wire.header(ApiKey::ApiVersions as i16, 127).encode(&mut frame, 2).unwrap();
    frame.extend_from_slice(b"a body of the future");
    wire.send_frame(&frame);
    let mut answer = wire.receive_frame().unwrap();
    ResponseHeader::decode(&mut answer, 0).unwrap();
    let answer = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(outcome(answer.error_code), Err(ResponseError::UnsupportedVersion));
    // By which the client learns what to ask instead.
    let listed: Vec<i16> = answer.api_keys.iter().map(|api| api.api_key).collect();
    assert!(listed.contains(&(ApiKey::ApiVersions as i16)), "{listed:?}");
    outcome(wire.ask(3, &api_versions()).error_code).unwrap();
}

#[test]
fn what_cannot_be_understood_closes_the_connection() {
    let header = |key: i16, version: i16| {
        let mut frame = BytesMut::new();
        Wire::connect().header(key, version).encode(&mut frame, 1).unwrap();
        frame.to_vec()
    };
    let framed = |frame: Vec<u8>| [&(frame.len() as i32).to_be_bytes()[..], &frame].concat();
    let metadata = ApiKey::Metadata as i16;
    let cases = [
        ("unknown version", framed(header(metadata, 99))),
        ("unknown API", framed(header(999, 0))),
        ("body cut off", framed([header(metadata, 1), vec![0, 0, 0, 9]].concat())),
        ("frame of 2 GiB", i32::MAX.to_be_bytes().to_vec()),
        ("frame of negative length", (-1_i32).to_be_bytes().to_vec()),
        ("frame of no header", framed(vec![0])),
    ];
    for (case, bytes) in cases {
        let mut wire = Wire::connect();
        wire.send_bytes(&bytes);
        assert!(wire.receive_frame().is_none(), "{case}: there is an answer");
    }
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let waits = Fetch { max_wait_ms: 500, min_bytes: 1, ..Fetch::default() };
    wire.send(12, &waits.request(&topic, &[(0, 0)]));
    wire.send(3, &api_versions());
    let mut correlation_ids = Vec::new();
    for header_version in [1, 0] {
        let mut frame = wire.receive_frame().unwrap();
        let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
        correlation_ids.push(header.correlation_id);
    }
    assert_eq!(correlation_ids, [1, 2]);
}

#[test]
fn header_without_client_id_is_taken() {
    let mut wire = Wire::connect();
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::ApiVersions as i16)
        .with_request_api_version(0)
        .with_correlation_id(77)
        .with_client_id(None);
    let mut frame = BytesMut::new();
    header.encode(&mut frame, 1).unwrap();
    wire.send_frame(&frame);
    let mut answer = wire.receive_frame().unwrap();
    assert_eq!(ResponseHeader::decode(&mut answer, 0).unwrap().correlation_id, 77);
}

#[test]
fn metadata_and_describe_cluster_name_the_same_broker() {
    let mut wire = Wire::connect();
    let metadata = wire.metadata(Some(&[]), false);
    assert!(metadata.topics.is_empty(), "an empty list asks for no topic");
    let [broker] = &metadata.brokers[..] else { panic!("{} brokers", metadata.brokers.len()) };
    let cluster = wire.ask(0, &DescribeClusterRequest::default());
    outcome(cluster.error_code).unwrap();
    assert_eq!(Some(&cluster.cluster_id), metadata.cluster_id.as_ref());
    assert_eq!(cluster.controller_id, metadata.controller_id);
    let described = &cluster.brokers[0];
    assert_eq!(
        (described.broker_id, &described.host, described.port),
        (broker.node_id, &broker.host, broker.port)
    );
}

#[test]
fn metadata_without_a_list_names_all_topics() {
    let topics = [topic(1), topic(2)];
    let metadata = Wire::connect().metadata(None, false);
    let names: Vec<String> =
        metadata.topics.iter().map(|topic| topic.name.as_ref().unwrap().0.to_string()).collect();
    assert!(topics.iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn metadata_describes_each_partition() {
    let topic = topic(3);
    let mut wire = Wire::connect();
    let broker = wire.metadata(Some(&[]), false).brokers[0].node_id;
    let described = wire.topic_metadata(&topic);
    assert!(!described.is_internal && !described.topic_id.is_nil());
    let mut indexes: Vec<i32> = described.partitions.iter().map(|p| p.partition_index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 1, 2]);
    for partition in described.partitions {
        assert_eq!(partition.leader_id, broker);
        assert_eq!((partition.replica_nodes, partition.isr_nodes), (vec![broker], vec![broker]));
        assert!(partition.leader_epoch >= 0);
    }
}

#[test]
fn metadata_creates_an_unknown_topic_only_if_it_may() {
    let name = unique("auto-created");
    let mut wire = Wire::connect();
    let unknown = Err(ResponseError::UnknownTopicOrPartition);
    assert_eq!(outcome(wire.topic_metadata(&name).error_code), unknown);
    assert_eq!(outcome(wire.topic_metadata(&name).error_code), unknown);
    wire.metadata(Some(&[&name]), true);
    eventually("the topic is there", || {
        let topic = wire.topic_metadata(&name);
        (topic.error_code == 0 && !topic.partitions.is_empty()).then_some(())
    });
}

#[test]
fn metadata_of_a_name_that_no_topic_can_have_is_refused() {
    let answer = Wire::connect().metadata(Some(&["no topic"]), true);
    assert_eq!(outcome(answer.topics[0].error_code), Err(ResponseError::InvalidTopicException));
}

#[test]
fn metadata_can_be_asked_by_topic_id() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let id = wire.topic_metadata(&topic).topic_id;
    let mut ask = |id: Uuid| {
        let wanted = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        let request = MetadataRequest::default().with_topics(Some(vec![wanted]));
        wire.ask(12, &request).topics.remove(0)
    };
    assert_eq!(ask(id).name.unwrap().0.to_string(), topic);
    assert_eq!(outcome(ask(Uuid::from_u128(1)).error_code), Err(ResponseError::UnknownTopicId));
}

#[test]
fn coordinators_of_groups_and_transactions_are_the_broker() {
    let mut wire = Wire::connect();
    let broker = wire.metadata(Some(&[]), false).brokers.remove(0);
    for key_type in [0, 1] {
        let key = unique("key");
        wire.await_coordinator(&key, key_type);
        let request =
            FindCoordinatorRequest::default().with_key(text(&key)).with_key_type(key_type);
        let answer = wire.ask(2, &request);
        assert_eq!(
            (answer.node_id, answer.host.clone(), answer.port),
            (broker.node_id, broker.host.clone(), broker.port)
        );
        // Version 4 asks for several at once (KIP-699).
        let keys = vec![text(&key), text(&unique("key"))];
        let request =
            FindCoordinatorRequest::default().with_coordinator_keys(keys).with_key_type(key_type);
        let answer = wire.ask(4, &request);
        let found: Vec<_> = answer.coordinators.iter().map(|c| (c.error_code, c.node_id)).collect();
        assert_eq!(found, [(0, broker.node_id); 2]);
    }
}

#[test]
fn a_slow_request_holds_up_no_other_connection() {
    let topic = topic(1);
    let mut slow = Wire::connect();
    let waits = Fetch { max_wait_ms: 20_000, min_bytes: 1, ..Fetch::default() };
    slow.send(12, &waits.request(&topic, &[(0, 0)]));
    assert_eq!(Wire::connect().produce(&topic, 0, &Batch::of(&["x"])), Ok(0));
    let answer = slow.receive::<kafka_protocol::messages::FetchRequest>(12);
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 1);
}
