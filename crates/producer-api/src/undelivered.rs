//! The records of a request that Kafka did not acknowledge.

use serde::Serialize;

/// How many failed records an answer names; all are counted.
pub(crate) const NAMED_FAILURES: usize = 20;

/// A record that Kafka did not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailedRecord {
    pub(crate) topic: String,
    pub(crate) trip_id: String,
    pub(crate) error: String,
}

/// Records of a request that Kafka did not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undelivered {
    /// Records that Kafka did acknowledge.
    pub(crate) delivered: u64,
    /// Records that it did not.
    pub(crate) failed: u64,
    /// Whether time ran out for all that failed: such a record may have been written all the same.
    pub(crate) timed_out: bool,
    /// The first of those that failed.
    pub(crate) records: Vec<FailedRecord>,
}

impl Undelivered {
    /// What became of the records of two tallies.
    pub(crate) fn together(one: Result<u64, Self>, other: Result<u64, Self>) -> Result<u64, Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok(one + other),
            (Ok(delivered), Err(failure)) | (Err(failure), Ok(delivered)) => {
                Err(Self { delivered: failure.delivered + delivered, ..failure })
            }
            (Err(mut one), Err(other)) => {
                one.records.extend(other.records);
                one.records.truncate(NAMED_FAILURES);
                Err(Self {
                    delivered: one.delivered + other.delivered,
                    failed: one.failed + other.failed,
                    timed_out: one.timed_out && other.timed_out,
                    records: one.records,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_outcomes_are_one() {
        let undelivered = |delivered, failed: usize, timed_out| {
            let record = FailedRecord {
                topic: "trips".to_owned(),
                trip_id: "t1".to_owned(),
                error: "late".to_owned(),
            };
            let records = vec![record; failed];
            Undelivered { delivered, failed: failed as u64, timed_out, records }
        };
        let together = Undelivered::together;
        assert_eq!(together(Ok(2), Ok(3)), Ok(5));
        let mixed = Err(undelivered(5, 1, true));
        assert_eq!(together(Ok(2), Err(undelivered(3, 1, true))), mixed);
        assert_eq!(together(Err(undelivered(3, 1, true)), Ok(2)), mixed);
        let both = together(Err(undelivered(1, 1, true)), Err(undelivered(2, 2, false)));
        assert_eq!(both, Err(undelivered(3, 3, false)));
        let many = together(Err(undelivered(0, 15, true)), Err(undelivered(0, 15, true)));
        let many = many.expect_err("all failed");
        assert_eq!((many.failed, many.records.len(), many.timed_out), (30, NAMED_FAILURES, true));
    }
}
