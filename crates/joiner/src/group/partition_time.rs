//! How far an input partition has come in event time (Kafka Streams' "partition time").

use models::EventTime;

/// How many records are taken from one partition before the next one has its turn.
pub(crate) const TURN: usize = 500;

/// How far an input partition has come: in event time, and in rows while that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionTime {
    /// The lesser one of the timestamps with which the last two turns ended, so that a single row with a wrong
    /// timestamp changes nothing.
    at: EventTime,
    /// Rows read since `at` has changed: all rows of a copied stream may have one timestamp.
    rows: usize,
    /// The timestamp with which the last turn ended.
    last: Option<EventTime>,
}

impl PartitionTime {
    /// Nothing was read yet.
    pub(crate) const START: Self = Self { at: EventTime::MIN, rows: 0, last: None };

    /// A turn has read `rows` rows. `last` is the timestamp of the last one that has a timestamp.
    pub(crate) fn advance(&mut self, rows: usize, last: Option<EventTime>) {
        let at = last.map_or(self.at, |last| last.min(self.last.unwrap_or(last)));
        let before = if at == self.at { self.rows } else { 0 };
        *self = Self { at, rows: before + rows, last: last.or(self.last) };
    }

    /// Whether this one is clearly further than `other`: in event time, or at the same time by more than a turn.
    pub(crate) fn leads(self, other: Self) -> bool {
        self.at > other.at || self.at == other.at && self.rows > other.rows + TURN
    }

    /// Whichever of the two has come less far.
    pub(crate) fn earlier(self, other: Self) -> Self {
        if (self.at, self.rows) <= (other.at, other.rows) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64, rows: usize) -> PartitionTime {
        PartitionTime { at: EventTime::from_millis(millis), rows, last: None }
    }

    #[test]
    fn a_partition_leads_in_event_time_or_else_in_rows() {
        for (one, other, leads) in [
            (PartitionTime::START, PartitionTime::START, false),
            (at(0, 1), PartitionTime::START, true),
            (PartitionTime::START, at(0, 1), false),
            (at(1_000, 0), at(999, 9_999), true),
            (at(1_000, 0), at(1_001, 0), false),
            (at(1_000, TURN), at(1_000, 0), false),
            (at(1_000, TURN + 1), at(1_000, 0), true),
            (at(1_000, 0), at(1_000, TURN + 1), false),
        ] {
            assert_eq!(one.leads(other), leads, "{one:?} {other:?}");
        }
    }

    #[test]
    fn one_wrong_timestamp_moves_nobody_and_rows_are_counted_where_time_stands_still() {
        let mut position = PartitionTime::START;
        for (rows, last, expected) in [
            (10, None, (i64::MIN, 10)),
            (10, Some(5), (5, 10)),
            (7, Some(5), (5, 17)),
            (3, Some(8), (5, 20)),
            (1, Some(9_999), (8, 1)),
            (1, Some(9), (9, 1)),
            (1, Some(10), (9, 2)),
            (2, None, (9, 4)),
            // A straggler puts it back for two turns.
            (1, Some(1), (1, 1)),
            (1, Some(11), (1, 2)),
            (1, Some(12), (11, 1)),
        ] {
            position.advance(rows, last.map(EventTime::from_millis));
            let PartitionTime { at, rows, .. } = position;
            assert_eq!((at.as_millis(), rows), expected);
        }
    }
}
