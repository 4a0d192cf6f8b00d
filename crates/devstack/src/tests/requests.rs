//! Random requests of every API in every version, about a few topics, groups and producers.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Compression;
use uuid::Uuid;

use super::messages::*;
use crate::batch::tests::{encode, record};

/// Chooses the contents of a request.
pub(super) struct Choice(u64);

impl Choice {
    /// The same seed leads to the same choices.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }

    /// True in one of `times` cases.
    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn up_to<T>(&mut self, count: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.next() % (count + 1)).map(|_| one(self)).collect()
    }

    fn name(&mut self) -> TopicName {
        TopicName(self.of(&["a", "b", "c.d", "c_d", "e-f", "", "..", "no such topic"]).into())
    }

    fn partition(&mut self) -> i32 {
        self.of(&[0, 0, 0, 1, 1, 2, -1, i32::MAX])
    }

    fn offset(&mut self) -> i64 {
        self.of(&[0, 0, 1, 2, 5, -1, -2, i64::MAX, i64::MIN, 1 << 40])
    }

    fn epoch(&mut self) -> i32 {
        self.of(&[-1, -1, 0, 0, 1, i32::MAX, i32::MIN])
    }

    fn group(&mut self) -> GroupId {
        GroupId(self.of(&["g", "h", "i", ""]).into())
    }

    fn member(&mut self) -> StrBytes {
        self.of(&["", "", "someone", "m"]).into()
    }

    fn instance(&mut self) -> Option<StrBytes> {
        self.of(&[None, None, Some("static"), Some("")]).map(StrBytes::from_static_str)
    }

    fn generation(&mut self) -> i32 {
        self.of(&[-1, 0, 1, 1, 2, i32::MAX])
    }

    fn transactional_id(&mut self) -> TransactionalId {
        TransactionalId(self.of(&["t", "u", ""]).into())
    }

    fn producer(&mut self) -> (ProducerId, i16) {
        (ProducerId(self.of(&[0, 0, 1, 2, -1, i64::MAX])), self.of(&[0, 0, 0, 1, -1, i16::MAX]))
    }

    fn bytes(&mut self) -> Bytes {
        let subscription = &b"\0\x01\0\0\0\x01\0\x01a\xff\xff\xff\xff"[..];
        Bytes::from_static(self.of(&[b"", subscription, subscription, b"\0\x01\x7f\xff\xff\xff"]))
    }

    fn metadata(&mut self) -> Option<StrBytes> {
        self.of(&[None, Some(""), Some("how far")]).map(StrBytes::from_static_str)
    }

    fn number(&mut self) -> i32 {
        self.of(&[0, 1, 1, 1_000, 60_000, i32::MAX, -1, i32::MIN])
    }

    /// Records as a producer makes them, or nearly.
    fn records(&mut self) -> Option<Bytes> {
        if self.once_in(10) {
            return None;
        }
        let (ProducerId(producer_id), epoch) = self.of(&[
            (ProducerId(-1), -1),
            (ProducerId(0), 0),
            (ProducerId(1), 0),
            (ProducerId(7), i16::MAX),
        ]);
        let (transactional, control) = (self.once_in(4), self.once_in(20));
        let (time, sequence) = (self.of(&[-1, 0, 1_000, i64::MAX]), self.of(&[-1, 0, 0, 1]));
        let records: Vec<_> = (0..=self.next() % 3)
            .map(|offset| {
                let key = self.of(&[None, Some(&b"k"[..])]);
                let mut record = record(offset as i64, time, key, Some(b"value"));
                (record.transactional, record.control) = (transactional, control);
                (record.producer_id, record.producer_epoch) = (producer_id, epoch);
                record.sequence = sequence + offset as i32;
                record
            })
            .collect();
        let compression = self.of(&[
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ]);
        let mut batch = encode(&records, compression).to_vec();
        if self.once_in(3) {
            // Something in it is different, and its checksum fits.
            let at = ATTRIBUTES_AT + self.next() as usize % (batch.len() - ATTRIBUTES_AT);
            batch[at] = self.next() as u8;
            let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
            batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        }
        Some(batch.into())
    }
}

const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;

/// A request of an API in a version that is served.
pub(super) fn request(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    match api {
        ApiKey::Produce => RequestKind::Produce(produce(choice)),
        ApiKey::Fetch => RequestKind::Fetch(fetch(version, choice)),
        ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch | ApiKey::DeleteRecords => {
            offsets(api, version, choice)
        }
        ApiKey::Metadata => RequestKind::Metadata(metadata(version, choice)),
        ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::OffsetDelete => {
            committed(api, version, choice)
        }
        ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups => groups(api, version, choice),
        ApiKey::CreateTopics | ApiKey::DeleteTopics | ApiKey::CreatePartitions => {
            topics(api, version, choice)
        }
        ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::EndTxn
        | ApiKey::DescribeProducers
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions => transactions(api, version, choice),
        ApiKey::DescribeConfigs | ApiKey::AlterConfigs | ApiKey::IncrementalAlterConfigs => {
            configs(api, version, choice)
        }
        ApiKey::ApiVersions => RequestKind::ApiVersions(ApiVersionsRequest::default()),
        ApiKey::FindCoordinator => RequestKind::FindCoordinator(find_coordinator(version, choice)),
        ApiKey::DescribeCluster => {
            let endpoint_type = if version > 0 { choice.of(&[1, 1, 2, 0]) } else { 1 };
            RequestKind::DescribeCluster(
                DescribeClusterRequest::default()
                    .with_include_cluster_authorized_operations(choice.once_in(2))
                    .with_endpoint_type(endpoint_type),
            )
        }
        ApiKey::DescribeAcls => {
            let request = DescribeAclsRequest::default().with_operation(choice.of(&[0, 1, 99]));
            RequestKind::DescribeAcls(request.with_resource_type_filter(choice.of(&[0, 1, 2, -1])))
        }
        ApiKey::DescribeLogDirs => {
            let topics = choice.up_to(3, |choice| {
                let of = DescribableLogDirTopic::default().with_topic(choice.name());
                of.with_partitions(choice.up_to(3, Choice::partition))
            });
            let topics = (!choice.once_in(4)).then_some(topics);
            RequestKind::DescribeLogDirs(DescribeLogDirsRequest::default().with_topics(topics))
        }
        other => panic!("{other:?} is not served"),
    }
}

fn produce(choice: &mut Choice) -> ProduceRequest {
    let topics = choice.up_to(2, |choice| {
        let partitions = choice.up_to(2, |choice| {
            PartitionProduceData::default()
                .with_index(choice.partition())
                .with_records(choice.records())
        });
        TopicProduceData::default().with_name(choice.name()).with_partition_data(partitions)
    });
    let transactional_id = choice.once_in(4).then(|| choice.transactional_id());
    ProduceRequest::default()
        .with_acks(choice.of(&[-1, -1, -1, 1, 0, 2]))
        .with_timeout_ms(choice.number())
        .with_transactional_id(transactional_id)
        .with_topic_data(topics)
}

fn fetch(version: i16, choice: &mut Choice) -> FetchRequest {
    let topics = choice.up_to(2, |choice| {
        let partitions = choice.up_to(2, |choice| {
            FetchPartition::default()
                .with_partition(choice.partition())
                .with_fetch_offset(choice.offset())
                .with_current_leader_epoch(choice.epoch())
                .with_partition_max_bytes(choice.number())
        });
        let topic = FetchTopic::default().with_partitions(partitions);
        match version {
            13.. => topic.with_topic_id(choice.of(&[Uuid::nil(), Uuid::max()])),
            _ => topic.with_topic(choice.name()),
        }
    });
    FetchRequest::default()
        .with_max_wait_ms(choice.of(&[0, 0, 0, 1, i32::MAX]))
        .with_min_bytes(choice.of(&[0, 0, 1, i32::MAX]))
        .with_max_bytes(choice.number())
        .with_isolation_level(choice.of(&[0, 1]))
        .with_session_id(choice.of(&[0, 0, 0, 1]))
        .with_topics(topics)
}

fn offsets(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    match api {
        ApiKey::ListOffsets => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(3, |choice| {
                    ListOffsetsPartition::default()
                        .with_partition_index(choice.partition())
                        .with_current_leader_epoch(choice.epoch())
                        .with_timestamp(choice.of(&[-1, -2, -3, -4, 0, 500, i64::MAX]))
                });
                ListOffsetsTopic::default().with_name(choice.name()).with_partitions(partitions)
            });
            let isolation_level = if version >= 2 { choice.of(&[0, 1]) } else { 0 };
            RequestKind::ListOffsets(
                ListOffsetsRequest::default()
                    .with_replica_id(BrokerId(-1))
                    .with_isolation_level(isolation_level)
                    .with_topics(topics),
            )
        }
        ApiKey::OffsetForLeaderEpoch => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(2, |choice| {
                    OffsetForLeaderPartition::default()
                        .with_partition(choice.partition())
                        .with_current_leader_epoch(choice.epoch())
                        .with_leader_epoch(choice.epoch())
                });
                let topic = OffsetForLeaderTopic::default().with_partitions(partitions);
                topic.with_topic(choice.name())
            });
            RequestKind::OffsetForLeaderEpoch(
                OffsetForLeaderEpochRequest::default().with_topics(topics),
            )
        }
        _ => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(2, |choice| {
                    DeleteRecordsPartition::default()
                        .with_partition_index(choice.partition())
                        .with_offset(choice.offset())
                });
                DeleteRecordsTopic::default().with_name(choice.name()).with_partitions(partitions)
            });
            RequestKind::DeleteRecords(DeleteRecordsRequest::default().with_topics(topics))
        }
    }
}

fn metadata(version: i16, choice: &mut Choice) -> MetadataRequest {
    let topics = choice.up_to(3, |choice| {
        let topic = MetadataRequestTopic::default();
        match version {
            12.. if choice.once_in(3) => topic.with_name(None).with_topic_id(Uuid::max()),
            _ => topic.with_name(Some(choice.name())),
        }
    });
    let topics = if version > 0 && choice.once_in(4) { None } else { Some(topics) };
    let of_cluster = (8..=10).contains(&version) && choice.once_in(2);
    MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(version < 4 || choice.once_in(2))
        .with_include_cluster_authorized_operations(of_cluster)
        .with_include_topic_authorized_operations(version >= 8 && choice.once_in(2))
}

fn committed(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    match api {
        ApiKey::OffsetCommit => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(2, |choice| {
                    OffsetCommitRequestPartition::default()
                        .with_partition_index(choice.partition())
                        .with_committed_offset(choice.offset())
                        .with_committed_metadata(choice.metadata())
                });
                let topic = OffsetCommitRequestTopic::default().with_partitions(partitions);
                topic.with_name(choice.name())
            });
            let instance = if version >= 7 { choice.instance() } else { None };
            RequestKind::OffsetCommit(
                OffsetCommitRequest::default()
                    .with_group_id(choice.group())
                    .with_generation_id_or_member_epoch(choice.generation())
                    .with_member_id(choice.member())
                    .with_group_instance_id(instance)
                    .with_topics(topics),
            )
        }
        ApiKey::OffsetFetch => {
            let request = OffsetFetchRequest::default()
                .with_require_stable(version >= 7 && choice.once_in(2));
            let all = version >= 2 && choice.once_in(3);
            RequestKind::OffsetFetch(if version >= 8 {
                let groups = choice.up_to(3, |choice| {
                    let topics = choice.up_to(2, |choice| {
                        OffsetFetchRequestTopics::default()
                            .with_name(choice.name())
                            .with_partition_indexes(choice.up_to(3, Choice::partition))
                    });
                    OffsetFetchRequestGroup::default()
                        .with_group_id(choice.group())
                        .with_topics((!all).then_some(topics))
                });
                request.with_groups(groups)
            } else {
                let topics = choice.up_to(2, |choice| {
                    OffsetFetchRequestTopic::default()
                        .with_name(choice.name())
                        .with_partition_indexes(choice.up_to(3, Choice::partition))
                });
                request.with_group_id(choice.group()).with_topics((!all).then_some(topics))
            })
        }
        _ => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(2, |choice| {
                    let partition = OffsetDeleteRequestPartition::default();
                    partition.with_partition_index(choice.partition())
                });
                let topic = OffsetDeleteRequestTopic::default().with_partitions(partitions);
                topic.with_name(choice.name())
            });
            let request = OffsetDeleteRequest::default().with_group_id(choice.group());
            RequestKind::OffsetDelete(request.with_topics(topics))
        }
    }
}

fn groups(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    let instance =
        |choice: &mut Choice, since| if version >= since { choice.instance() } else { None };
    match api {
        ApiKey::JoinGroup => {
            let protocols = choice.up_to(3, |choice| {
                JoinGroupRequestProtocol::default()
                    .with_name(choice.of(&["range", "range", "sticky", ""]).into())
                    .with_metadata(choice.bytes())
            });
            RequestKind::JoinGroup(
                JoinGroupRequest::default()
                    .with_group_id(choice.group())
                    .with_session_timeout_ms(choice.of(&[6_000, 6_000, 100, i32::MAX, -1]))
                    .with_rebalance_timeout_ms(choice.number())
                    .with_member_id(choice.member())
                    .with_group_instance_id(instance(choice, 5))
                    .with_protocol_type(choice.of(&["consumer", "consumer", "connect", ""]).into())
                    .with_protocols(protocols),
            )
        }
        ApiKey::SyncGroup => {
            let assignments = choice.up_to(3, |choice| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(choice.member())
                    .with_assignment(choice.bytes())
            });
            let request = SyncGroupRequest::default()
                .with_group_id(choice.group())
                .with_generation_id(choice.generation())
                .with_member_id(choice.member())
                .with_group_instance_id(instance(choice, 3))
                .with_assignments(assignments);
            RequestKind::SyncGroup(match version {
                5.. => request
                    .with_protocol_type(Some("consumer".into()))
                    .with_protocol_name(choice.of(&[None, Some("range")]).map(Into::into)),
                _ => request,
            })
        }
        ApiKey::Heartbeat => RequestKind::Heartbeat(
            HeartbeatRequest::default()
                .with_group_id(choice.group())
                .with_generation_id(choice.generation())
                .with_member_id(choice.member())
                .with_group_instance_id(instance(choice, 3)),
        ),
        ApiKey::LeaveGroup => {
            let request = LeaveGroupRequest::default().with_group_id(choice.group());
            RequestKind::LeaveGroup(match version {
                3.. => request.with_members(choice.up_to(3, |choice| {
                    MemberIdentity::default()
                        .with_member_id(choice.member())
                        .with_group_instance_id(choice.instance())
                })),
                _ => request.with_member_id(choice.member()),
            })
        }
        ApiKey::DescribeGroups => RequestKind::DescribeGroups(
            DescribeGroupsRequest::default()
                .with_groups(choice.up_to(3, Choice::group))
                .with_include_authorized_operations(version >= 3 && choice.once_in(2)),
        ),
        ApiKey::ListGroups => {
            let filter = |choice: &mut Choice, since| {
                let most = if version >= since { 2 } else { 0 };
                choice.up_to(most, |choice| choice.of(&["Stable", "classic", "?"]).into())
            };
            RequestKind::ListGroups(
                ListGroupsRequest::default()
                    .with_states_filter(filter(choice, 4))
                    .with_types_filter(filter(choice, 5)),
            )
        }
        _ => RequestKind::DeleteGroups(
            DeleteGroupsRequest::default().with_groups_names(choice.up_to(3, Choice::group)),
        ),
    }
}

fn topics(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    match api {
        ApiKey::CreateTopics => {
            let topics = choice.up_to(3, |choice| {
                let assignments = if choice.once_in(4) {
                    choice.up_to(3, |choice| {
                        CreatableReplicaAssignment::default()
                            .with_partition_index(choice.partition())
                            .with_broker_ids(choice.up_to(2, |choice| BrokerId(choice.of(&[1, 2]))))
                    })
                } else {
                    Vec::new()
                };
                let configs = choice.up_to(2, |choice| {
                    CreatableTopicConfig::default()
                        .with_name(choice.of(CONFIGS).into())
                        .with_value(choice.of(VALUES).map(Into::into))
                });
                CreatableTopic::default()
                    .with_name(choice.name())
                    .with_num_partitions(choice.of(&[-1, 1, 2, 3, 0, i32::MAX, i32::MIN]))
                    .with_replication_factor(choice.of(&[-1, 1, 1, 3, 0, i16::MAX]))
                    .with_assignments(assignments)
                    .with_configs(configs)
            });
            RequestKind::CreateTopics(
                CreateTopicsRequest::default()
                    .with_topics(topics)
                    .with_timeout_ms(choice.number())
                    .with_validate_only(choice.once_in(5)),
            )
        }
        ApiKey::DeleteTopics => {
            let request = DeleteTopicsRequest::default().with_timeout_ms(choice.number());
            RequestKind::DeleteTopics(match version {
                6.. => request.with_topics(choice.up_to(2, |choice| {
                    let topic = DeleteTopicState::default();
                    if choice.once_in(2) {
                        topic.with_name(Some(choice.name()))
                    } else {
                        topic.with_name(None).with_topic_id(Uuid::max())
                    }
                })),
                _ => request.with_topic_names(choice.up_to(2, Choice::name)),
            })
        }
        _ => {
            let topics = choice.up_to(2, |choice| {
                CreatePartitionsTopic::default()
                    .with_name(choice.name())
                    .with_count(choice.of(&[0, 1, 3, 4, 5, i32::MAX, i32::MIN]))
                    .with_assignments(None)
            });
            let request = CreatePartitionsRequest::default().with_topics(topics);
            RequestKind::CreatePartitions(request.with_validate_only(choice.once_in(3)))
        }
    }
}

const CONFIGS: &[&str] = &[
    "retention.ms",
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "message.timestamp.type",
    "?",
];
const VALUES: &[Option<&str>] =
    &[None, Some("1000"), Some("compact"), Some("LogAppendTime"), Some("-1"), Some("1e9999")];

fn transactions(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    let (producer_id, epoch) = choice.producer();
    let id = choice.transactional_id();
    match api {
        ApiKey::InitProducerId => {
            let request = InitProducerIdRequest::default()
                .with_transactional_id((!choice.once_in(4)).then_some(id))
                .with_transaction_timeout_ms(choice.number());
            RequestKind::InitProducerId(match version {
                3.. => request.with_producer_id(producer_id).with_producer_epoch(epoch),
                _ => request,
            })
        }
        ApiKey::AddPartitionsToTxn => {
            let topics = choice.up_to(2, |choice| {
                AddPartitionsToTxnTopic::default()
                    .with_name(choice.name())
                    .with_partitions(choice.up_to(2, Choice::partition))
            });
            RequestKind::AddPartitionsToTxn(
                AddPartitionsToTxnRequest::default()
                    .with_v3_and_below_transactional_id(id)
                    .with_v3_and_below_producer_id(producer_id)
                    .with_v3_and_below_producer_epoch(epoch)
                    .with_v3_and_below_topics(topics),
            )
        }
        ApiKey::AddOffsetsToTxn => RequestKind::AddOffsetsToTxn(
            AddOffsetsToTxnRequest::default()
                .with_transactional_id(id)
                .with_producer_id(producer_id)
                .with_producer_epoch(epoch)
                .with_group_id(choice.group()),
        ),
        ApiKey::TxnOffsetCommit => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(2, |choice| {
                    TxnOffsetCommitRequestPartition::default()
                        .with_partition_index(choice.partition())
                        .with_committed_offset(choice.offset())
                        .with_committed_metadata(choice.metadata())
                });
                let topic = TxnOffsetCommitRequestTopic::default().with_partitions(partitions);
                topic.with_name(choice.name())
            });
            let request = TxnOffsetCommitRequest::default()
                .with_transactional_id(id)
                .with_group_id(choice.group())
                .with_producer_id(producer_id)
                .with_producer_epoch(epoch)
                .with_topics(topics);
            RequestKind::TxnOffsetCommit(match version {
                3.. => request
                    .with_generation_id(choice.generation())
                    .with_member_id(choice.member())
                    .with_group_instance_id(choice.instance()),
                _ => request,
            })
        }
        ApiKey::EndTxn => RequestKind::EndTxn(
            EndTxnRequest::default()
                .with_transactional_id(id)
                .with_producer_id(producer_id)
                .with_producer_epoch(epoch)
                .with_committed(choice.once_in(2)),
        ),
        ApiKey::DescribeProducers => {
            let topics = choice.up_to(2, |choice| {
                let partitions = choice.up_to(3, Choice::partition);
                let of = TopicRequest::default().with_name(choice.name());
                of.with_partition_indexes(partitions)
            });
            RequestKind::DescribeProducers(DescribeProducersRequest::default().with_topics(topics))
        }
        ApiKey::DescribeTransactions => RequestKind::DescribeTransactions(
            DescribeTransactionsRequest::default()
                .with_transactional_ids(choice.up_to(3, Choice::transactional_id)),
        ),
        _ => {
            let request = ListTransactionsRequest::default()
                .with_state_filters(choice.up_to(2, |choice| choice.of(&["Ongoing", "?"]).into()))
                .with_producer_id_filters(choice.up_to(2, |choice| choice.producer().0));
            RequestKind::ListTransactions(match version {
                1.. => request.with_duration_filter(choice.of(&[-1, 0, i64::MAX, i64::MIN])),
                _ => request,
            })
        }
    }
}

fn configs(api: ApiKey, version: i16, choice: &mut Choice) -> RequestKind {
    let resource = |choice: &mut Choice| {
        let kind: i8 = choice.of(&[2, 2, 2, 4, 8, 0, -1]);
        let name = if kind == 2 { choice.name().0 } else { choice.of(&["", "1", "x"]).into() };
        (kind, name)
    };
    match api {
        ApiKey::DescribeConfigs => {
            let resources = choice.up_to(3, |choice| {
                let (kind, name) = resource(choice);
                let keys = choice.up_to(2, |choice| choice.of(CONFIGS).into());
                DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(name)
                    .with_configuration_keys(choice.once_in(2).then_some(keys))
            });
            RequestKind::DescribeConfigs(
                DescribeConfigsRequest::default()
                    .with_resources(resources)
                    .with_include_synonyms(choice.once_in(2))
                    .with_include_documentation(version >= 3 && choice.once_in(2)),
            )
        }
        ApiKey::AlterConfigs => {
            let resources = choice.up_to(2, |choice| {
                let (kind, name) = resource(choice);
                let configs = choice.up_to(2, |choice| {
                    AlterableConfig::default()
                        .with_name(choice.of(CONFIGS).into())
                        .with_value(choice.of(VALUES).map(Into::into))
                });
                AlterConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(name)
                    .with_configs(configs)
            });
            RequestKind::AlterConfigs(AlterConfigsRequest::default().with_resources(resources))
        }
        _ => {
            let resources = choice.up_to(2, |choice| {
                let (kind, name) = resource(choice);
                let configs = choice.up_to(2, |choice| {
                    AlteredConfig::default()
                        .with_name(choice.of(CONFIGS).into())
                        .with_config_operation(choice.of(&[0, 0, 1, 2, 3, 4, -1]))
                        .with_value(choice.of(VALUES).map(Into::into))
                });
                AlteredResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(name)
                    .with_configs(configs)
            });
            RequestKind::IncrementalAlterConfigs(
                IncrementalAlterConfigsRequest::default().with_resources(resources),
            )
        }
    }
}

fn find_coordinator(version: i16, choice: &mut Choice) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default();
    let request = match version {
        1.. => request.with_key_type(choice.of(&[0, 0, 1, 2, -1])),
        _ => request,
    };
    match version {
        4.. => request.with_coordinator_keys(choice.up_to(3, |choice| choice.group().0)),
        _ => request.with_key(choice.group().0),
    }
}
