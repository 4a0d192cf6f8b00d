//! Configuration of topics and of the broker.

use crate::rig::{eventually, topic, topic_with, unique};
use crate::wire::admin::{BROKER_RESOURCE, Operation, TOPIC_RESOURCE};
use crate::wire::batch::Batch;
use crate::wire::{ResponseError, Wire};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// Sources of a value (`ConfigSource`): set on the topic, or built in.
const TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

/// Waits until a setting has this value and source: a controller tells brokers of it after it has answered.
fn await_config(wire: &mut Wire, topic: &str, key: &str, (value, source): (&str, i8)) {
    eventually("the setting has its value", || {
        (wire.topic_config(topic, key) == (value.to_owned(), source)).then_some(())
    });
}

#[test]
fn settings_of_a_topic_are_its_own_or_built_in() {
    let topic = topic_with(1, &[("retention.ms", "60000"), ("cleanup.policy", "compact")]);
    let mut wire = Wire::connect();
    let configs = wire.describe_configs(TOPIC_RESOURCE, &topic, None).unwrap();
    let expected = [
        ("retention.ms", "60000", TOPIC),
        ("cleanup.policy", "compact", TOPIC),
        ("retention.bytes", "-1", DEFAULT),
        ("max.message.bytes", "1048588", DEFAULT),
        ("message.timestamp.type", "CreateTime", DEFAULT),
        ("compression.type", "producer", DEFAULT),
        ("segment.bytes", "1073741824", DEFAULT),
        ("delete.retention.ms", "86400000", DEFAULT),
    ];
    for (name, value, source) in expected {
        let config = configs.iter().find(|config| *config.name == *name);
        let config = config.unwrap_or_else(|| panic!("{name} is not described"));
        let described = (config.value.as_deref(), config.config_source);
        assert_eq!(described, (Some(value), source), "{name}");
        assert!(!config.read_only && !config.is_sensitive, "{name}");
    }
}

#[test]
fn only_the_settings_that_are_asked_for_are_described() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let keys = ["retention.bytes", "no.such.setting", "cleanup.policy"];
    let configs = wire.describe_configs(TOPIC_RESOURCE, &topic, Some(&keys)).unwrap();
    let mut names: Vec<String> = configs.iter().map(|config| config.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["cleanup.policy", "retention.bytes"]);
}

#[test]
fn unknown_resources_have_no_settings() {
    let mut wire = Wire::connect();
    let mut ask = |resource_type, name: &str| {
        wire.describe_configs(resource_type, name, None).map(|configs| configs.len())
    };
    assert_eq!(
        ask(TOPIC_RESOURCE, &unique("unknown")),
        Err(ResponseError::UnknownTopicOrPartition)
    );
    assert_eq!(ask(TOPIC_RESOURCE, "no topic"), Err(ResponseError::InvalidTopicException));
    assert_eq!(ask(BROKER_RESOURCE, "4711"), Err(ResponseError::InvalidRequest));
    assert_eq!(ask(BROKER_RESOURCE, "first"), Err(ResponseError::InvalidRequest));
}

#[test]
fn broker_describes_itself() {
    let mut wire = Wire::connect();
    let broker = wire.metadata(Some(&[]), false).brokers[0].node_id.0.to_string();
    let configs = wire.describe_configs(BROKER_RESOURCE, &broker, None).unwrap();
    assert!(!configs.is_empty());
}

#[test]
fn settings_are_set_and_reset_one_by_one() {
    let topic = topic_with(1, &[("retention.bytes", "1000000")]);
    let mut wire = Wire::connect();
    wire.alter_topic(&topic, &[(SET, "retention.ms", Some("12345"))], false).unwrap();
    await_config(&mut wire, &topic, "retention.ms", ("12345", TOPIC));
    assert_eq!(wire.topic_config(&topic, "retention.bytes"), ("1000000".to_owned(), TOPIC));
    wire.alter_topic(&topic, &[(DELETE, "retention.ms", None)], false).unwrap();
    await_config(&mut wire, &topic, "retention.ms", ("604800000", DEFAULT));
    assert_eq!(wire.topic_config(&topic, "retention.bytes"), ("1000000".to_owned(), TOPIC));
}

#[test]
fn lists_are_extended_and_shortened() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.alter_topic(&topic, &[(APPEND, "cleanup.policy", Some("compact"))], false).unwrap();
    await_config(&mut wire, &topic, "cleanup.policy", ("delete,compact", TOPIC));
    wire.alter_topic(&topic, &[(SUBTRACT, "cleanup.policy", Some("delete"))], false).unwrap();
    await_config(&mut wire, &topic, "cleanup.policy", ("compact", TOPIC));
    let appended = wire.alter_topic(&topic, &[(APPEND, "retention.ms", Some("1"))], false);
    assert_eq!(appended, Err(ResponseError::InvalidConfig), "not a list");
}

#[test]
fn wrong_settings_change_nothing() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let cases: [(&str, &[Operation], _); 6] = [
        ("unknown", &[(SET, "no.such.setting", Some("1"))], ResponseError::InvalidConfig),
        ("no number", &[(SET, "retention.ms", Some("soon"))], ResponseError::InvalidConfig),
        ("no value", &[(SET, "retention.ms", None)], ResponseError::InvalidRequest),
        ("not in the list", &[(SET, "cleanup.policy", Some("burn"))], ResponseError::InvalidConfig),
        (
            "twice",
            &[(SET, "retention.ms", Some("1")), (SET, "retention.ms", Some("2"))],
            ResponseError::InvalidRequest,
        ),
        (
            "one right, one wrong",
            &[(SET, "retention.ms", Some("1")), (SET, "segment.bytes", Some("x"))],
            ResponseError::InvalidConfig,
        ),
    ];
    for (case, operations, error) in cases {
        assert_eq!(wire.alter_topic(&topic, operations, false), Err(error), "{case}");
    }
    assert_eq!(wire.topic_config(&topic, "retention.ms").1, DEFAULT);
    let unknown = unique("unknown");
    assert_eq!(
        wire.alter_topic(&unknown, &[(SET, "retention.ms", Some("1"))], false),
        Err(ResponseError::UnknownTopicOrPartition)
    );
}

#[test]
fn request_that_only_validates_alters_nothing() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    assert_eq!(wire.alter_topic(&topic, &[(SET, "retention.ms", Some("1"))], true), Ok(()));
    assert_eq!(wire.topic_config(&topic, "retention.ms").1, DEFAULT);
}

#[test]
fn largest_batch_is_a_setting_of_the_topic() {
    let topic = topic_with(1, &[("max.message.bytes", "1000")]);
    let mut wire = Wire::connect();
    let batch = Batch::of(&["x".repeat(1000)]);
    assert_eq!(wire.produce(&topic, 0, &batch), Err(ResponseError::MessageTooLarge));
    wire.alter_topic(&topic, &[(SET, "max.message.bytes", Some("2000"))], false).unwrap();
    eventually("the larger batch is taken", || wire.produce(&topic, 0, &batch).ok());
}
