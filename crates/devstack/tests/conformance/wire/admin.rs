//! Topics, their configuration, and the cluster.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};

use super::{Answer, Wire, outcome, text, topic_name};
use crate::rig::eventually;

const METADATA: i16 = 12;
const TIMEOUT_MS: i32 = 10_000;
pub const TOPIC_RESOURCE: i8 = 2;
pub const BROKER_RESOURCE: i8 = 4;

/// What is done (0 set, 1 delete, 2 append, 3 subtract; KIP-339) to which setting, with which value.
pub type Operation<'a> = (i8, &'a str, Option<&'a str>);

/// A topic that is to be created.
pub fn creatable(
    name: &str,
    partitions: i32,
    replicas: i16,
    configs: &[(&str, &str)],
) -> CreatableTopic {
    let config = |&(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
        .with_configs(configs.iter().map(config).collect())
}

impl Wire {
    pub fn create_topics(
        &mut self,
        topics: Vec<CreatableTopic>,
        validate_only: bool,
    ) -> Answer<()> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(TIMEOUT_MS)
            .with_validate_only(validate_only);
        let answers = self.ask(4, &request).topics;
        answers.iter().try_for_each(|topic| outcome(topic.error_code))
    }

    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(&str, &str)],
    ) -> Answer<()> {
        self.create_topics(vec![creatable(name, partitions, replicas, configs)], false)
    }

    pub fn delete_topic(&mut self, name: &str) -> Answer<()> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(TIMEOUT_MS);
        outcome(self.ask(1, &request).responses[0].error_code)
    }

    pub fn create_partitions(&mut self, name: &str, count: i32) -> Answer<()> {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        let request =
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
        outcome(self.ask(1, &request).results[0].error_code)
    }

    /// Metadata of the named topics, of all if there is no list.
    pub fn metadata(&mut self, topics: Option<&[&str]>, auto_create: bool) -> MetadataResponse {
        let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|names| names.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(auto_create);
        self.ask(METADATA, &request)
    }

    pub fn topic_metadata(&mut self, name: &str) -> MetadataResponseTopic {
        self.metadata(Some(&[name]), false).topics.remove(0)
    }

    /// Waits until each partition of a topic can be asked for its offsets.
    pub fn await_topic(&mut self, name: &str, partitions: i32) {
        for partition in 0..partitions {
            eventually("the topic is ready", || self.list_offset(name, partition, -1, false).ok());
        }
    }

    /// Waits until a topic is unknown.
    pub fn await_topic_gone(&mut self, name: &str) {
        eventually("the topic is gone", || {
            (self.topic_metadata(name).error_code != 0).then_some(())
        });
    }

    /// Waits until there is a coordinator for a group (type 0) or a transactional id (1).
    pub fn await_coordinator(&mut self, key: &str, key_type: i8) {
        let request = FindCoordinatorRequest::default().with_key(text(key)).with_key_type(key_type);
        eventually("there is a coordinator", || outcome(self.ask(2, &request).error_code).ok());
    }

    /// The configuration of a topic or broker: all of it, or only `keys`.
    pub fn describe_configs(
        &mut self,
        resource_type: i8,
        name: &str,
        keys: Option<&[&str]>,
    ) -> Answer<Vec<DescribeConfigsResourceResult>> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(1, &request).results.remove(0);
        outcome(answer.error_code).map(|()| answer.configs)
    }

    /// Value and source of one setting of a topic.
    pub fn topic_config(&mut self, topic: &str, key: &str) -> (String, i8) {
        let configs = self.describe_configs(TOPIC_RESOURCE, topic, Some(&[key])).unwrap();
        let [config] = &configs[..] else { panic!("{} settings for {key}", configs.len()) };
        (config.value.as_ref().unwrap().to_string(), config.config_source)
    }

    /// Applies operations to the configuration of a topic.
    pub fn alter_topic(
        &mut self,
        topic: &str,
        operations: &[Operation],
        validate_only: bool,
    ) -> Answer<()> {
        let config = |&(operation, name, value): &Operation| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(operation)
                .with_value(value.map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(topic))
            .with_configs(operations.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(validate_only);
        outcome(self.ask(1, &request).responses[0].error_code)
    }
}
