//! The configuration of a topic: Kafka's keys and defaults (`LogConfig` of Kafka 4.1), and those that have an effect
//! here.

use std::collections::BTreeMap;

use crate::batch::CompressionCodec;

/// The type of a value, as DescribeConfigs tells it (`ConfigDef.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigKind {
    Boolean,
    String,
    Int,
    Long,
    Double,
    List,
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: ConfigKind,
    pub(crate) default: &'static str,
    /// The allowed values.
    allowed: Allowed,
}

#[derive(Debug, Clone, Copy)]
enum Allowed {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    Fraction,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Only this value. The others ask for something that is not implemented; the second text says what.
    Only(&'static str, &'static str),
    CleanupPolicy,
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const NO_TIERS: &str = "there is no remote storage";
const FOREVER: &str = "9223372036854775807";

/// Every key of a topic, in the order of names.
pub(crate) const DEFINITIONS: &[Definition] = &[
    def("cleanup.policy", ConfigKind::List, "delete", Allowed::CleanupPolicy),
    def("compression.gzip.level", ConfigKind::Int, "-1", Allowed::Between(-1, 9)),
    def("compression.lz4.level", ConfigKind::Int, "9", Allowed::Between(1, 17)),
    def("compression.type", ConfigKind::String, "producer", Allowed::OneOf(CODECS)),
    def("compression.zstd.level", ConfigKind::Int, "3", Allowed::Between(-131_072, 22)),
    def("delete.retention.ms", ConfigKind::Long, "86400000", Allowed::AtLeast(0)),
    def("file.delete.delay.ms", ConfigKind::Long, "60000", Allowed::AtLeast(0)),
    def("flush.messages", ConfigKind::Long, FOREVER, Allowed::AtLeast(1)),
    def("flush.ms", ConfigKind::Long, FOREVER, Allowed::AtLeast(0)),
    def("follower.replication.throttled.replicas", ConfigKind::List, "", Allowed::Any),
    def("index.interval.bytes", ConfigKind::Int, "4096", Allowed::AtLeast(0)),
    def("leader.replication.throttled.replicas", ConfigKind::List, "", Allowed::Any),
    def("local.retention.bytes", ConfigKind::Long, "-2", Allowed::AtLeast(-2)),
    def("local.retention.ms", ConfigKind::Long, "-2", Allowed::AtLeast(-2)),
    def("max.compaction.lag.ms", ConfigKind::Long, FOREVER, Allowed::AtLeast(1)),
    def("max.message.bytes", ConfigKind::Int, "1048588", Allowed::AtLeast(0)),
    def("message.timestamp.after.max.ms", ConfigKind::Long, "3600000", Allowed::AtLeast(0)),
    def("message.timestamp.before.max.ms", ConfigKind::Long, FOREVER, Allowed::AtLeast(0)),
    def(
        "message.timestamp.type",
        ConfigKind::String,
        "CreateTime",
        Allowed::OneOf(&["CreateTime", "LogAppendTime"]),
    ),
    def("min.cleanable.dirty.ratio", ConfigKind::Double, "0.5", Allowed::Fraction),
    def("min.compaction.lag.ms", ConfigKind::Long, "0", Allowed::AtLeast(0)),
    def("min.insync.replicas", ConfigKind::Int, "1", Allowed::AtLeast(1)),
    def("preallocate", ConfigKind::Boolean, "false", Allowed::OneOf(&["true", "false"])),
    def("remote.log.copy.disable", ConfigKind::Boolean, "false", Allowed::Only("false", NO_TIERS)),
    def(
        "remote.log.delete.on.disable",
        ConfigKind::Boolean,
        "false",
        Allowed::Only("false", NO_TIERS),
    ),
    def("remote.storage.enable", ConfigKind::Boolean, "false", Allowed::Only("false", NO_TIERS)),
    def("retention.bytes", ConfigKind::Long, "-1", Allowed::AtLeast(-1)),
    def("retention.ms", ConfigKind::Long, "604800000", Allowed::AtLeast(-1)),
    def("segment.bytes", ConfigKind::Int, "1073741824", Allowed::AtLeast(14)),
    def("segment.index.bytes", ConfigKind::Int, "10485760", Allowed::AtLeast(4)),
    def("segment.jitter.ms", ConfigKind::Long, "0", Allowed::AtLeast(0)),
    def("segment.ms", ConfigKind::Long, "604800000", Allowed::AtLeast(1)),
    def(
        "unclean.leader.election.enable",
        ConfigKind::Boolean,
        "false",
        Allowed::OneOf(&["true", "false"]),
    ),
];

const fn def(
    name: &'static str,
    kind: ConfigKind,
    default: &'static str,
    allowed: Allowed,
) -> Definition {
    Definition { name, kind, default, allowed }
}

/// The definition of a key.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

/// The values of a topic that differ from the defaults.
pub(crate) type Overrides = BTreeMap<String, String>;

/// Checks whether `name` may be set to `value`.
///
/// # Errors
///
/// The reason, with Kafka's text where Kafka refuses it, too.
pub(crate) fn check(name: &str, value: &str) -> Result<(), String> {
    let definition =
        definition(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
    let invalid =
        |reason: String| Err(format!("Invalid value {value} for configuration {name}: {reason}"));
    let number = match definition.kind {
        ConfigKind::Int => value.trim().parse::<i32>().map(i64::from).ok(),
        ConfigKind::Long => value.trim().parse::<i64>().ok(),
        _ => Some(0),
    };
    let Some(number) = number else {
        let kind = if definition.kind == ConfigKind::Int { "INT" } else { "LONG" };
        return invalid(format!("Not a number of type {kind}"));
    };
    match definition.allowed {
        Allowed::Any => Ok(()),
        Allowed::AtLeast(least) if number >= least => Ok(()),
        Allowed::AtLeast(least) => invalid(format!("Value must be at least {least}")),
        Allowed::Between(least, most) if (least..=most).contains(&number) => Ok(()),
        Allowed::Between(least, most) => {
            invalid(format!("Value must be between {least} and {most}"))
        }
        Allowed::Fraction => match value.trim().parse::<f64>() {
            Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(()),
            _ => invalid("Value must be between 0 and 1".to_owned()),
        },
        Allowed::OneOf(values) if values.contains(&value) => Ok(()),
        Allowed::OneOf(values) => invalid(format!("String must be one of: {}", values.join(", "))),
        Allowed::Only(only, _) if value == only => Ok(()),
        Allowed::Only(only, why) => invalid(format!("the dev stack knows only {only}, for {why}")),
        Allowed::CleanupPolicy => {
            let mut policies = value.split(',').map(str::trim);
            if policies.all(|policy| ["compact", "delete"].contains(&policy)) {
                Ok(())
            } else {
                invalid("String must be one of: compact, delete".to_owned())
            }
        }
    }
}

/// The parsed values of the keys that have an effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effective {
    /// The codec to store batches with. `None` keeps the producer's.
    pub(crate) compression: Option<CompressionCodec>,
    pub(crate) max_message_bytes: usize,
    pub(crate) min_insync_replicas: i32,
    /// Timestamps are the time of appending (`message.timestamp.type=LogAppendTime`).
    pub(crate) log_append_time: bool,
    /// A timestamp may be this many milliseconds ahead of the broker's clock.
    pub(crate) timestamp_after_max_ms: i64,
    /// A timestamp may be this many milliseconds behind the broker's clock.
    pub(crate) timestamp_before_max_ms: i64,
    /// Deletes old records.
    pub(crate) delete: bool,
    /// Keeps the last record of each key.
    pub(crate) compact: bool,
    /// `None` is forever.
    pub(crate) retention_ms: Option<i64>,
    /// `None` is without limit.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_compaction_lag_ms: i64,
}

impl Effective {
    /// Parses overrides that [`check`] has accepted.
    pub(crate) fn of(overrides: &Overrides) -> Self {
        let text = |name: &str| value(overrides, name);
        let number = |name: &str| text(name).trim().parse::<i64>().unwrap_or(i64::MAX);
        let policies = text("cleanup.policy");
        Self {
            compression: CompressionCodec::named(text("compression.type")),
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            min_insync_replicas: number("min.insync.replicas") as i32,
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            delete: policies.contains("delete"),
            compact: policies.contains("compact"),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            delete_retention_ms: number("delete.retention.ms"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
        }
    }
}

/// The value of a key, set or by default. Empty for an unknown key.
pub(crate) fn value<'a>(overrides: &'a Overrides, name: &str) -> &'a str {
    overrides
        .get(name)
        .map(String::as_str)
        .or_else(|| definition(name).map(|definition| definition.default))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed() {
        for Definition { name, default, .. } in DEFINITIONS {
            assert_eq!(check(name, default), Ok(()), "{name}");
        }
        assert!(DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    }

    #[test]
    fn what_kafka_refuses_is_refused_and_what_is_not_done_here_is_not_pretended() {
        for (name, value, reason) in [
            ("no.such.key", "1", "Unknown topic config name"),
            ("retention.ms", "soon", "Not a number of type LONG"),
            ("retention.ms", "-2", "at least -1"),
            ("max.message.bytes", "3000000000", "Not a number of type INT"),
            ("cleanup.policy", "compact,forget", "compact, delete"),
            ("message.timestamp.type", "Never", "CreateTime, LogAppendTime"),
            ("min.cleanable.dirty.ratio", "2", "between 0 and 1"),
            ("compression.type", "zip", "lz4, snappy, gzip, producer"),
            ("remote.storage.enable", "true", "no remote storage"),
        ] {
            let refused = check(name, value).unwrap_err();
            assert!(refused.contains(reason), "{name}={value}: {refused}");
        }
    }

    #[test]
    fn overrides_win_over_defaults() {
        let overrides = [("cleanup.policy", "compact"), ("retention.ms", "-1")];
        let overrides = overrides.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = Effective::of(&overrides);
        assert_eq!((config.compact, config.delete, config.retention_ms), (true, false, None));
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(Effective::of(&Overrides::new()).retention_ms, Some(604_800_000));
    }
}
