//! Which timestamps a topic takes. A record outside of that is refused, and whoever must write it can never go on.

use std::collections::BTreeMap;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier,
};

use crate::topic_error::{REQUEST_TIMEOUT, TopicError};
use crate::{KafkaConfig, LogContext};

const AFTER: &str = "message.timestamp.after.max.ms";
const BEFORE: &str = "message.timestamp.before.max.ms";
/// What the two were until 3.6 (KIP-937). As long as it is there, it holds where they are not set.
const DIFFERENCE: &str = "message.timestamp.difference.max.ms";
const TYPE: &str = "message.timestamp.type";

/// Configuration of a topic that takes records however far ahead of the clock they are. Since Kafka 4 (KIP-1030) an hour
/// is the limit of one that doesn't have it. Brokers before 3.6 don't know it, and have no limit:
/// [`ensure`](crate::topics::ensure) leaves it out for them.
pub const ANY_TIME: (&str, &str) = (AFTER, "9223372036854775807");

/// How far the time of a record may be from the broker's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampLimits {
    /// Behind it, in ms.
    pub before_ms: i64,
    /// Ahead of it, in ms.
    pub after_ms: i64,
}

impl TimestampLimits {
    /// All times are taken.
    pub const NONE: Self = Self { before_ms: i64::MAX, after_ms: i64::MAX };
    /// Those of a topic of Kafka 4 that has none of its own.
    pub const OF_KAFKA_4: Self = Self { before_ms: i64::MAX, after_ms: 3_600_000 };

    /// Whether a record of this time is taken at `now_ms`, also by a broker whose clock is `slack_ms` away from ours.
    pub fn take(&self, timestamp_ms: i64, now_ms: i64, slack_ms: i64) -> bool {
        let within = |limit: i64| match limit {
            i64::MAX => i64::MAX,
            limit => limit.saturating_sub(slack_ms).max(0),
        };
        let ahead = timestamp_ms.saturating_sub(now_ms);
        ahead <= within(self.after_ms) && ahead.saturating_neg() <= within(self.before_ms)
    }

    /// As `LogConfig.messageTimestampBeforeMaxMs` and `messageTimestampAfterMaxMs` have it. None of a topic that isn't
    /// there or may not be looked at: what librdkafka tells of it is that it has no configuration at all.
    fn of(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if value(TYPE)? == "LogAppendTime" {
            return Some(Self::NONE);
        }
        let ms = |name| value(name)?.parse().ok();
        let difference = ms(DIFFERENCE).unwrap_or(i64::MAX);
        let or_difference =
            |limit: Option<i64>| limit.filter(|&ms| ms != i64::MAX).unwrap_or(difference);
        Some(Self { before_ms: or_difference(ms(BEFORE)), after_ms: or_difference(ms(AFTER)) })
    }
}

/// The limits of topics, by name. Those that Kafka doesn't tell us are missing.
///
/// # Errors
///
/// [`TopicError`] if the cluster can't be asked.
pub async fn limits(
    config: &KafkaConfig,
    topics: &[&str],
) -> Result<BTreeMap<String, TimestampLimits>, TopicError> {
    let client = config.client()?;
    let servers = || config.bootstrap_servers.clone();
    let admin: AdminClient<LogContext> = client
        .create_with_context(LogContext::default())
        .map_err(|source| TopicError::Client { servers: servers(), source })?;
    let wanted: Vec<_> = topics.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let described = admin.describe_configs(&wanted, &options).await;
    let described =
        described.map_err(|source| TopicError::Cluster { servers: servers(), source })?;
    Ok(described.into_iter().filter_map(|one| of(&one.ok()?)).collect())
}

fn of(described: &ConfigResource) -> Option<(String, TimestampLimits)> {
    let OwnedResourceSpecifier::Topic(name) = &described.specifier else { return None };
    let configs = described.entry_map();
    let limits = TimestampLimits::of(|key| configs.get(key)?.value.clone())?;
    Some((name.clone(), limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Configs = &'static [(&'static str, &'static str)];

    const FOREVER: &str = "9223372036854775807";

    #[test]
    fn limits_are_those_that_kafka_keeps() {
        let limits = |before_ms, after_ms| TimestampLimits { before_ms, after_ms };
        let cases: &[(&str, Configs, TimestampLimits)] = &[
            ("Kafka 4", &[(BEFORE, FOREVER), (AFTER, "3600000")], TimestampLimits::OF_KAFKA_4),
            ("before 3.6", &[(DIFFERENCE, FOREVER)], TimestampLimits::NONE),
            ("before 3.6, limited", &[(DIFFERENCE, "5")], limits(5, 5)),
            (
                "3.6, by the old name",
                &[(DIFFERENCE, "5"), (BEFORE, FOREVER), (AFTER, FOREVER)],
                limits(5, 5),
            ),
            ("3.6, by both", &[(DIFFERENCE, "5"), (BEFORE, "7"), (AFTER, FOREVER)], limits(7, 5)),
            (
                "the broker's time is taken",
                &[(AFTER, "3600000"), (TYPE, "LogAppendTime")],
                TimestampLimits::NONE,
            ),
        ];
        for (what, configs, expected) in cases {
            let mut found: BTreeMap<&str, &str> = [(TYPE, "CreateTime")].into();
            found.extend(configs.iter().copied());
            let value = |name: &str| found.get(name).map(|&value| value.to_owned());
            assert_eq!(TimestampLimits::of(value), Some(*expected), "{what}");
        }
        assert_eq!(TimestampLimits::of(|_| None), None);
    }

    #[test]
    fn a_time_near_a_limit_is_left_to_nobodys_clock() {
        let limits = TimestampLimits { before_ms: 1_000, after_ms: 100 };
        for (timestamp_ms, expected) in [
            (5_000, true),
            (5_090, true),
            (5_091, false),
            (4_010, true),
            (4_009, false),
            (i64::MIN, false),
        ] {
            assert_eq!(limits.take(timestamp_ms, 5_000, 10), expected, "{timestamp_ms}");
        }
        for timestamp_ms in [i64::MIN, 0, i64::MAX] {
            assert!(TimestampLimits::NONE.take(timestamp_ms, 5_000, 10), "{timestamp_ms}");
        }
    }
}
