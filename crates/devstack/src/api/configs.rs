//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource as ReplacedResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{code, distinct};
use crate::broker::{Broker, BrokerState, NODE_ID};
use crate::topics::config::{ConfigKind, DEFINITIONS, Overrides, definition, value};
use crate::topics::{TopicRefusal, check_name};
use crate::transactions;
use crate::wire::frame;

// `ConfigResource.Type`
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

// `DescribeConfigsResponse.ConfigSource`
const FROM_TOPIC: i8 = 1;
const FROM_BROKER: i8 = 4;
const FROM_DEFAULT: i8 = 5;

// `AlterConfigOp.OpType`
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// The source of the value of a topic's key.
pub(super) fn source_of(overrides: &Overrides, name: &str) -> i8 {
    if overrides.contains_key(name) { FROM_TOPIC } else { FROM_DEFAULT }
}

/// The configuration of topics and of the broker.
pub(crate) fn describe(
    broker: &Broker,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let synonyms = request.include_synonyms;
    let resources = distinct(request.resources, |resource| {
        (resource.resource_type, resource.resource_name.clone())
    });
    let results = resources.into_iter().map(|resource| {
        let described = describe_one(broker, &resource, synonyms);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok(mut configs) => {
                if let Some(keys) = &resource.configuration_keys {
                    configs.retain(|config| keys.contains(&config.name));
                }
                result.with_configs(configs).with_error_message(None)
            }
            Err(TopicRefusal { code: error, text }) => {
                result.with_error_code(code(error)).with_error_message(Some(text.into()))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(
    broker: &Broker,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, TopicRefusal> {
    let name = &*resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            check_name(name)?;
            let overrides = broker
                .look(|state| Some(state.topics.get(name)?.overrides.clone()))
                .ok_or_else(|| {
                    TopicRefusal::new(
                        ResponseError::UnknownTopicOrPartition,
                        "There is no such topic.",
                    )
                })?;
            Ok(DEFINITIONS
                .iter()
                .map(|definition| {
                    let value = value(&overrides, definition.name);
                    let source = source_of(&overrides, definition.name);
                    entry(definition.name, value, source, definition.kind, synonyms)
                })
                .collect())
        }
        BROKER if name == NODE_ID.to_string() || name.is_empty() => Ok(broker_entries(broker)),
        BROKER => {
            let text = format!(
                "Unexpected broker id, expected {NODE_ID} or empty string, but received {name}"
            );
            Err(TopicRefusal::new(ResponseError::InvalidRequest, text))
        }
        other => {
            let text = format!("Resources of type {other} have no configuration here");
            Err(TopicRefusal::new(ResponseError::InvalidRequest, text))
        }
    }
}

/// The keys of Kafka's broker configuration that apply here. They can't be altered.
fn broker_entries(broker: &Broker) -> Vec<DescribeConfigsResourceResult> {
    let settings = &broker.settings;
    let entries = [
        ("broker.id", NODE_ID.to_string(), ConfigKind::Int),
        ("node.id", NODE_ID.to_string(), ConfigKind::Int),
        ("auto.create.topics.enable", settings.auto_create_topics.to_string(), ConfigKind::Boolean),
        ("num.partitions", settings.default_partitions.to_string(), ConfigKind::Int),
        ("default.replication.factor", "1".to_owned(), ConfigKind::Int),
        ("delete.topic.enable", "true".to_owned(), ConfigKind::Boolean),
        ("socket.request.max.bytes", frame::LARGEST.to_string(), ConfigKind::Int),
        ("transaction.max.timeout.ms", transactions::MAX_TIMEOUT_MS.to_string(), ConfigKind::Int),
        ("group.initial.rebalance.delay.ms", "0".to_owned(), ConfigKind::Int),
    ];
    entries
        .into_iter()
        .map(|(name, value, kind)| {
            entry(name, &value, FROM_BROKER, kind, false).with_read_only(true)
        })
        .collect()
}

fn entry(
    name: &'static str,
    value: &str,
    source: i8,
    kind: ConfigKind,
    synonyms: bool,
) -> DescribeConfigsResourceResult {
    let text = || Some(StrBytes::from_string(value.to_owned()));
    let mut chain = Vec::new();
    if synonyms {
        let synonym = |value, source| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(value)
                .with_source(source)
        };
        chain.push(synonym(text(), source));
        if let (FROM_TOPIC, Some(definition)) = (source, definition(name)) {
            let default = Some(StrBytes::from_static_str(definition.default));
            chain.push(synonym(default, FROM_DEFAULT));
        }
    }
    // `DescribeConfigsResponse.ConfigType`
    let kind = match kind {
        ConfigKind::Boolean => 1,
        ConfigKind::String => 2,
        ConfigKind::Int => 3,
        ConfigKind::Long => 5,
        ConfigKind::Double => 6,
        ConfigKind::List => 7,
    };
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(text())
        .with_config_source(source)
        .with_synonyms(chain)
        .with_config_type(kind)
        .with_documentation(None)
}

/// Replaces the whole configuration of topics. Keys that are not named are reset.
pub(crate) fn replace(broker: &Broker, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let dry_run = request.validate_only;
    let responses = request.resources.into_iter().map(|resource| {
        let outcome = replacement(&resource).and_then(|overrides| {
            let topic = topic_of(resource.resource_type, &resource.resource_name)?;
            broker.update(|state, _, effects| {
                state.topics.configure(topic, overrides, dry_run, &mut effects.changes)
            })
        });
        let (error, text) = parts(outcome);
        Replaced::default()
            .with_error_code(error)
            .with_error_message(text)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn replacement(resource: &ReplacedResource) -> Result<Overrides, TopicRefusal> {
    let mut overrides = Overrides::new();
    for config in &resource.configs {
        let value = given(&config.name, config.value.as_ref())?;
        overrides.insert(config.name.to_string(), value.to_owned());
    }
    Ok(overrides)
}

/// Changes single keys of the configuration of topics (KIP-339).
pub(crate) fn alter(
    broker: &Broker,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let dry_run = request.validate_only;
    let responses = request.resources.into_iter().map(|resource| {
        let outcome = broker.update(|state, _, effects| {
            let topic = topic_of(resource.resource_type, &resource.resource_name)?;
            let overrides = altered(state, topic, &resource)?;
            state.topics.configure(topic, overrides, dry_run, &mut effects.changes)
        });
        let (error, text) = parts(outcome);
        AlterConfigsResourceResponse::default()
            .with_error_code(error)
            .with_error_message(text)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn altered(
    state: &BrokerState,
    topic: &str,
    resource: &AlterConfigsResource,
) -> Result<Overrides, TopicRefusal> {
    let mut overrides =
        state.topics.get(topic).map(|topic| topic.overrides.clone()).unwrap_or_default();
    let mut names: Vec<&StrBytes> = resource.configs.iter().map(|config| &config.name).collect();
    names.sort_unstable();
    if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next)
    {
        let text = format!("There are several operations on {twice}");
        return Err(TopicRefusal::new(ResponseError::InvalidRequest, text));
    }
    for config in &resource.configs {
        let name = config.name.to_string();
        match config.config_operation {
            SET => {
                let value = given(&name, config.value.as_ref())?.to_owned();
                overrides.insert(name, value);
            }
            DELETE => {
                overrides.remove(&name);
            }
            operation @ (APPEND | SUBTRACT) => {
                if definition(&name).is_none_or(|definition| definition.kind != ConfigKind::List) {
                    let text = format!("Can't append to or subtract from {name}: it is no list");
                    return Err(TopicRefusal::new(ResponseError::InvalidConfig, text));
                }
                let items = given(&name, config.value.as_ref())?.split(',').map(str::trim);
                let current = value(&overrides, &name).split(',').map(str::trim);
                let mut list: Vec<&str> = current.filter(|item| !item.is_empty()).collect();
                for item in items {
                    if operation == SUBTRACT {
                        list.retain(|known| *known != item);
                    } else if !list.contains(&item) {
                        list.push(item);
                    }
                }
                let list = list.join(",");
                overrides.insert(name, list);
            }
            other => {
                let text = format!("There is no operation {other} on a configuration");
                return Err(TopicRefusal::new(ResponseError::InvalidRequest, text));
            }
        }
    }
    Ok(overrides)
}

fn given<'a>(name: &str, value: Option<&'a StrBytes>) -> Result<&'a str, TopicRefusal> {
    value.map(|value| &**value).ok_or_else(|| {
        let text = format!("Null value not supported for {name}");
        TopicRefusal::new(ResponseError::InvalidRequest, text)
    })
}

fn topic_of(kind: i8, name: &str) -> Result<&str, TopicRefusal> {
    match kind {
        TOPIC => Ok(name),
        BROKER => {
            let text = "The dev stack's own settings are given when it starts and don't change";
            Err(TopicRefusal::new(ResponseError::InvalidRequest, text))
        }
        other => {
            let text = format!("Resources of type {other} have no configuration here");
            Err(TopicRefusal::new(ResponseError::InvalidRequest, text))
        }
    }
}

fn parts(outcome: Result<(), TopicRefusal>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err(TopicRefusal { code: error, text }) => (code(error), Some(text.into())),
    }
}
