//! Every API in every served version: a valid request succeeds, and its answer can be decoded.

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Compression;
use uuid::Uuid;

use super::lab::{Fate, Lab, decode, encode};
use super::messages::*;
use super::requests::{Choice, request};
use crate::api;
use crate::batch::tests::{encode as encode_records, record};
use crate::wire::{Request, SERVED};

fn topic() -> TopicName {
    TopicName("t".into())
}

fn group() -> GroupId {
    GroupId("g".into())
}

fn id() -> TransactionalId {
    TransactionalId("id".into())
}

/// A broker with a topic of two partitions and a record, a consumer alone in its group, which has committed an offset,
/// and an open transaction of the first producer.
struct Stage {
    lab: Lab,
    topic_id: Uuid,
    member_id: StrBytes,
}

impl Stage {
    fn new() -> Self {
        let lab = Lab::new();
        let new = CreatableTopic::default().with_name(topic()).with_num_partitions(2);
        let create =
            CreateTopicsRequest::default().with_topics(vec![new.with_replication_factor(1)]);
        let created = done(&lab, 7, &RequestKind::CreateTopics(create));
        let ResponseKind::CreateTopics(created) = created else { panic!("{created:?}") };
        done(&lab, 9, &produce());
        let joined = done(&lab, 0, &join(0, StrBytes::default()));
        let ResponseKind::JoinGroup(joined) = joined else { panic!("{joined:?}") };
        let stage = Self { lab, topic_id: created.topics[0].topic_id, member_id: joined.member_id };
        for (version, api) in [
            (0, ApiKey::SyncGroup),
            (2, ApiKey::OffsetCommit),
            (0, ApiKey::InitProducerId),
            (0, ApiKey::AddPartitionsToTxn),
            (0, ApiKey::AddOffsetsToTxn),
        ] {
            done(&stage.lab, version, &stage.request(api, version));
        }
        stage
    }

    /// One that is done, as long as it comes alone.
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn request(&self, api: ApiKey, version: i16) -> RequestKind {
        let member_id = self.member_id.clone();
        match api {
            ApiKey::Produce => produce(),
            ApiKey::Fetch => {
                let partition = FetchPartition::default().with_partition_max_bytes(1_000);
                let wanted = FetchTopic::default().with_partitions(vec![partition]);
                let wanted = match version {
                    13.. => wanted.with_topic_id(self.topic_id),
                    _ => wanted.with_topic(topic()),
                };
                let request = FetchRequest::default().with_max_bytes(1_000).with_min_bytes(1);
                RequestKind::Fetch(request.with_topics(vec![wanted]))
            }
            ApiKey::ListOffsets => {
                let partition = ListOffsetsPartition::default().with_timestamp(0);
                let wanted = ListOffsetsTopic::default().with_name(topic());
                let wanted = wanted.with_partitions(vec![partition]);
                RequestKind::ListOffsets(ListOffsetsRequest::default().with_topics(vec![wanted]))
            }
            ApiKey::Metadata => {
                let wanted = MetadataRequestTopic::default().with_name(Some(topic()));
                RequestKind::Metadata(MetadataRequest::default().with_topics(Some(vec![wanted])))
            }
            ApiKey::OffsetCommit => {
                let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
                let committed = OffsetCommitRequestTopic::default().with_name(topic());
                let committed = committed.with_partitions(vec![partition]);
                RequestKind::OffsetCommit(
                    OffsetCommitRequest::default()
                        .with_group_id(group())
                        .with_generation_id_or_member_epoch(1)
                        .with_member_id(member_id)
                        .with_topics(vec![committed]),
                )
            }
            ApiKey::OffsetFetch => RequestKind::OffsetFetch(if version >= 8 {
                let wanted = OffsetFetchRequestTopics::default().with_name(topic());
                let wanted = wanted.with_partition_indexes(vec![0, 1]);
                let wanted = OffsetFetchRequestGroup::default()
                    .with_group_id(group())
                    .with_topics(Some(vec![wanted]));
                OffsetFetchRequest::default().with_groups(vec![wanted])
            } else {
                let wanted = OffsetFetchRequestTopic::default().with_name(topic());
                let wanted = wanted.with_partition_indexes(vec![0, 1]);
                let request = OffsetFetchRequest::default().with_group_id(group());
                request.with_topics(Some(vec![wanted]))
            }),
            ApiKey::FindCoordinator => RequestKind::FindCoordinator(match version {
                4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into()]),
                _ => FindCoordinatorRequest::default().with_key("g".into()),
            }),
            ApiKey::JoinGroup => join(version, member_id),
            ApiKey::SyncGroup => {
                let to = SyncGroupRequestAssignment::default().with_member_id(member_id.clone());
                let request = SyncGroupRequest::default()
                    .with_group_id(group())
                    .with_generation_id(1)
                    .with_member_id(member_id)
                    .with_assignments(vec![to.with_assignment("all".into())]);
                RequestKind::SyncGroup(match version {
                    5.. => request
                        .with_protocol_type(Some("consumer".into()))
                        .with_protocol_name(Some("range".into())),
                    _ => request,
                })
            }
            ApiKey::Heartbeat => RequestKind::Heartbeat(
                HeartbeatRequest::default()
                    .with_group_id(group())
                    .with_generation_id(1)
                    .with_member_id(member_id),
            ),
            ApiKey::LeaveGroup => {
                let request = LeaveGroupRequest::default().with_group_id(group());
                RequestKind::LeaveGroup(match version {
                    3.. => {
                        let member = MemberIdentity::default().with_member_id(member_id);
                        request.with_members(vec![member])
                    }
                    _ => request.with_member_id(member_id),
                })
            }
            ApiKey::DescribeGroups => RequestKind::DescribeGroups(
                DescribeGroupsRequest::default().with_groups(vec![group()]),
            ),
            ApiKey::DeleteGroups => {
                // One without members.
                let other = GroupId("other".into());
                let commit = self.request(ApiKey::OffsetCommit, 2);
                let RequestKind::OffsetCommit(commit) = commit else { panic!("{commit:?}") };
                let commit = commit
                    .with_group_id(other.clone())
                    .with_member_id(StrBytes::default())
                    .with_generation_id_or_member_epoch(-1);
                done(&self.lab, 2, &RequestKind::OffsetCommit(commit));
                let request = DeleteGroupsRequest::default().with_groups_names(vec![other]);
                RequestKind::DeleteGroups(request)
            }
            ApiKey::CreateTopics => {
                let new = CreatableTopic::default().with_name(TopicName("new".into()));
                let new = new.with_num_partitions(1).with_replication_factor(1);
                RequestKind::CreateTopics(CreateTopicsRequest::default().with_topics(vec![new]))
            }
            ApiKey::DeleteTopics => RequestKind::DeleteTopics(match version {
                6.. => {
                    let by_id = DeleteTopicState::default().with_topic_id(self.topic_id);
                    DeleteTopicsRequest::default().with_topics(vec![by_id])
                }
                _ => DeleteTopicsRequest::default().with_topic_names(vec![topic()]),
            }),
            ApiKey::DeleteRecords => {
                let partition = DeleteRecordsPartition::default().with_offset(-1);
                let of = DeleteRecordsTopic::default().with_name(topic());
                let of = of.with_partitions(vec![partition]);
                RequestKind::DeleteRecords(DeleteRecordsRequest::default().with_topics(vec![of]))
            }
            ApiKey::CreatePartitions => {
                let more = CreatePartitionsTopic::default().with_name(topic()).with_count(3);
                let more = more.with_assignments(None);
                let request = CreatePartitionsRequest::default().with_topics(vec![more]);
                RequestKind::CreatePartitions(request)
            }
            ApiKey::OffsetForLeaderEpoch => {
                let partition = OffsetForLeaderPartition::default().with_leader_epoch(0);
                let of = OffsetForLeaderTopic::default().with_topic(topic());
                let of = of.with_partitions(vec![partition]);
                let request = OffsetForLeaderEpochRequest::default().with_topics(vec![of]);
                RequestKind::OffsetForLeaderEpoch(request)
            }
            ApiKey::OffsetDelete => {
                // The consumer doesn't read that topic.
                let partition = OffsetDeleteRequestPartition::default();
                let of = OffsetDeleteRequestTopic::default().with_name(topic());
                let request = OffsetDeleteRequest::default().with_group_id(group());
                let request = request.with_topics(vec![of.with_partitions(vec![partition])]);
                RequestKind::OffsetDelete(request)
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::default().with_transactional_id(Some(id()));
                RequestKind::InitProducerId(request.with_transaction_timeout_ms(60_000))
            }
            ApiKey::AddPartitionsToTxn => {
                let of = AddPartitionsToTxnTopic::default().with_name(topic());
                RequestKind::AddPartitionsToTxn(
                    AddPartitionsToTxnRequest::default()
                        .with_v3_and_below_transactional_id(id())
                        .with_v3_and_below_topics(vec![of.with_partitions(vec![0, 1])]),
                )
            }
            ApiKey::AddOffsetsToTxn => RequestKind::AddOffsetsToTxn(
                AddOffsetsToTxnRequest::default()
                    .with_transactional_id(id())
                    .with_group_id(group()),
            ),
            ApiKey::TxnOffsetCommit => {
                let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(1);
                let of = TxnOffsetCommitRequestTopic::default().with_name(topic());
                RequestKind::TxnOffsetCommit(
                    TxnOffsetCommitRequest::default()
                        .with_transactional_id(id())
                        .with_group_id(group())
                        .with_topics(vec![of.with_partitions(vec![partition])]),
                )
            }
            ApiKey::EndTxn => RequestKind::EndTxn(
                EndTxnRequest::default().with_transactional_id(id()).with_committed(true),
            ),
            ApiKey::DescribeProducers => {
                let of = TopicRequest::default().with_name(topic()).with_partition_indexes(vec![0]);
                let request = DescribeProducersRequest::default().with_topics(vec![of]);
                RequestKind::DescribeProducers(request)
            }
            ApiKey::DescribeTransactions => RequestKind::DescribeTransactions(
                DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]),
            ),
            ApiKey::DescribeConfigs => {
                let of = |kind, name: &str| {
                    DescribeConfigsResource::default()
                        .with_resource_type(kind)
                        .with_resource_name(name.to_owned().into())
                        .with_configuration_keys(None)
                };
                let request = DescribeConfigsRequest::default().with_include_synonyms(true);
                let request = request.with_resources(vec![of(2, "t"), of(4, "1")]);
                RequestKind::DescribeConfigs(request)
            }
            ApiKey::AlterConfigs => {
                let config = AlterableConfig::default().with_name("retention.ms".into());
                let of = AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name("t".into())
                    .with_configs(vec![config.with_value(Some("1000".into()))]);
                RequestKind::AlterConfigs(AlterConfigsRequest::default().with_resources(vec![of]))
            }
            ApiKey::IncrementalAlterConfigs => {
                let config = AlteredConfig::default().with_name("retention.ms".into());
                let of = AlteredResource::default()
                    .with_resource_type(2)
                    .with_resource_name("t".into())
                    .with_configs(vec![config.with_value(Some("1000".into()))]);
                let request = IncrementalAlterConfigsRequest::default().with_resources(vec![of]);
                RequestKind::IncrementalAlterConfigs(request)
            }
            ApiKey::ApiVersions => RequestKind::ApiVersions(ApiVersionsRequest::default()),
            ApiKey::DescribeCluster => {
                RequestKind::DescribeCluster(DescribeClusterRequest::default())
            }
            ApiKey::DescribeAcls => RequestKind::DescribeAcls(DescribeAclsRequest::default()),
            ApiKey::DescribeLogDirs => {
                let of = DescribableLogDirTopic::default().with_topic(topic());
                let topics = Some(vec![of.with_partitions(vec![1, 0, 0])]);
                RequestKind::DescribeLogDirs(DescribeLogDirsRequest::default().with_topics(topics))
            }
            ApiKey::ListGroups => RequestKind::ListGroups(ListGroupsRequest::default()),
            ApiKey::ListTransactions => {
                RequestKind::ListTransactions(ListTransactionsRequest::default())
            }
            other => panic!("{other:?} is not served"),
        }
    }
}

fn produce() -> RequestKind {
    let records = encode_records(&[record(0, 100, None, Some(b"value"))], Compression::None);
    let partition = PartitionProduceData::default().with_records(Some(records));
    let to = TopicProduceData::default().with_name(topic()).with_partition_data(vec![partition]);
    RequestKind::Produce(ProduceRequest::default().with_acks(-1).with_topic_data(vec![to]))
}

fn join(version: i16, member_id: StrBytes) -> RequestKind {
    let subscription = b"\0\0\0\0\0\x01\0\x04else\xff\xff\xff\xff";
    let range = JoinGroupRequestProtocol::default().with_name("range".into());
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_member_id(member_id)
        .with_protocol_type("consumer".into())
        .with_protocols(vec![range.with_metadata(subscription[..].into())]);
    RequestKind::JoinGroup(match version {
        1.. => request.with_rebalance_timeout_ms(10_000),
        _ => request,
    })
}

/// The codes of all errors in an answer.
fn errors(answer: &ResponseKind) -> Vec<i16> {
    let text = format!("{answer:?}");
    let codes = text.split("error_code: ").skip(1).map(|rest| {
        let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<i16>().unwrap()
    });
    codes.filter(|code| *code != 0).collect()
}

fn done(lab: &Lab, version: i16, request: &RequestKind) -> ResponseKind {
    let answer = lab.ask(version, request);
    assert_eq!(errors(&answer), Vec::<i16>::new(), "{version} {request:?}: {answer:?}");
    answer
}

fn all_served() -> impl Iterator<Item = (ApiKey, i16)> {
    SERVED.iter().flat_map(|&(api, min, max)| (min..=max).map(move |version| (api, version)))
}

#[test]
fn each_api_is_done_in_each_version() {
    for (api, version) in all_served() {
        let stage = Stage::new();
        let request = stage.request(api, version);
        if api == ApiKey::DescribeAcls {
            let answer = stage.lab.ask(version, &request);
            assert_eq!(errors(&answer), [ResponseError::SecurityDisabled.code()], "{version}");
            continue;
        }
        let answer = done(&stage.lab, version, &request);
        // Where there are lists, something is in them.
        let named = format!("{answer:?}");
        assert!(named.len() > 40, "{api:?} {version}: {named}");
    }
}

#[test]
fn each_api_can_be_refused_in_each_version() {
    let error = ResponseError::UnknownServerError;
    for (api, version) in all_served() {
        for seed in 0..20 {
            let (_, frame) = encode(version, &request(api, version, &mut Choice::new(seed)));
            let read = Request::read(frame).unwrap();
            match api::refuse(&read, error) {
                Ok(answer) => drop(decode(api, version, &answer)),
                // Only the APIs that tests refuse have such an answer.
                Err(refused) => assert!(
                    refused.to_string().contains("not provided for"),
                    "{api:?} {version}: {refused}"
                ),
            }
        }
    }
}

#[test]
fn versions_that_are_not_served_are_refused_and_those_of_api_versions_answered() {
    let lab = Lab::new();
    for &(api, min, max) in SERVED {
        for version in [min - 1, max + 1, i16::MAX, i16::MIN] {
            let frame = super::lab::header(api as i16, version).freeze();
            match (api, lab.meet(frame)) {
                (ApiKey::ApiVersions, Fate::Answered(answer)) => {
                    let answer = decode(api, 0, &answer);
                    assert_eq!(errors(&answer), [ResponseError::UnsupportedVersion.code()]);
                }
                (_, Fate::Refused(_)) => {}
                (_, other) => panic!("{api:?} {version}: {other:?}"),
            }
        }
    }
}
