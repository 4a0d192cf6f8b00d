//! The requests of all APIs, and their parts.

pub(super) use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
pub(super) use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
pub(super) use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
pub(super) use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
pub(super) use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
pub(super) use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
pub(super) use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
pub(super) use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
pub(super) use kafka_protocol::messages::describe_producers_request::TopicRequest;
pub(super) use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
pub(super) use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as AlteredResource, AlterableConfig as AlteredConfig,
};
pub(super) use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
pub(super) use kafka_protocol::messages::leave_group_request::MemberIdentity;
pub(super) use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
pub(super) use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
pub(super) use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
pub(super) use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
pub(super) use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
pub(super) use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
pub(super) use kafka_protocol::messages::produce_request::{
    PartitionProduceData, TopicProduceData,
};
pub(super) use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
pub(super) use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
pub(super) use kafka_protocol::messages::*;
