//! Which partitions have their turn.
//!
//! A task takes its inputs in step: of those that have something to say, one that has come further in event time than
//! another waits for it. Whatever is read too early is an open entry until the rest has come: it takes memory, and every
//! commit writes what is open into the changelog. Kafka Streams does the same with single records (KIP-353, KIP-695); here
//! it is done turn by turn, since the order changes nothing of what is joined.

use std::time::{Duration, Instant};

use models::EventTime;

use super::Session;
use crate::group::{Feed, Source};

/// How many records are taken from one partition before the next one has its turn.
pub(super) const TURN: usize = 500;
/// How far apart in event time partitions may be without waiting, in milliseconds: rows of one trip that are on their way
/// at the same time come no later for it.
const SLACK_MS: i64 = 20;
/// How long a partition that has something to say is waited for. Its broker may be away; and whatever does not come after
/// this is not worth while.
const PATIENCE: Duration = Duration::from_millis(50);

/// How far an input partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Its mark in the task.
    mark: EventTime,
    /// Rows read since it has moved: all rows of a copied stream may have one timestamp.
    rows: usize,
}

impl Position {
    /// Nothing was read yet.
    pub(crate) const START: Self = Self { mark: EventTime::MIN, rows: 0 };

    /// So many rows were read, and the mark is now this.
    pub(super) fn advance(&mut self, mark: EventTime, rows: usize) {
        let before = if mark == self.mark { self.rows } else { 0 };
        *self = Self { mark, rows: before + rows };
    }

    /// Whether a partition here waits for one that is there.
    fn leads(self, there: Self) -> bool {
        if self.mark == there.mark {
            self.rows > there.rows + TURN
        } else {
            self.mark.millis_since(there.mark) > SLACK_MS
        }
    }
}

impl Session<'_> {
    /// Finds out who has to wait: partitions that are far ahead of their task's watermark (rule 11), and those that are out of
    /// step.
    pub(super) fn order_turns(&mut self) {
        let now = Instant::now();
        let tasks = self.env.topology.tasks();
        // The one that is furthest behind, by task.
        let mut last: Vec<Option<Position>> = vec![None; self.work.tasks.len()];
        for feed in &mut self.feeds {
            let Source::Input(side, partition) = feed.source else { continue };
            let number = feed.source.task(tasks);
            let task = &self.work.tasks[number];
            let task = task.as_ref().expect("only partitions of own tasks are read");
            feed.waits = task.join.inputs_ahead().any(|ahead| ahead == (side, partition));
            if !feed.waits && is_about_to_come(feed, now) {
                let position = feed.position;
                last[number] = Some(last[number].map_or(position, |last| last.min(position)));
            }
        }
        for feed in &mut self.feeds {
            if let Source::Input(..) = feed.source
                && let Some(last) = last[feed.source.task(tasks)]
            {
                feed.waits |= feed.position.leads(last);
            }
        }
    }
}

/// Whether a row of the partition, or its end, is due and worth waiting for.
fn is_about_to_come(feed: &Feed, now: Instant) -> bool {
    let is_due = feed.held.is_none() && feed.pulse.due_since().is_some();
    is_due && feed.pulse.silence(now) < PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_waits_for_one_that_is_behind_in_event_time_or_else_in_rows() {
        let at = |millis: i64, rows| Position { mark: EventTime::from_millis(millis), rows };
        let start = Position::START;
        for (one, other, leads) in [
            (start, start, false),
            (at(0, 1), start, true),
            (start, at(0, 1), false),
            (at(1_000, 0), at(1_000 - SLACK_MS, 9_999), false),
            (at(1_000, 0), at(999 - SLACK_MS, 9_999), true),
            (at(1_000, 0), at(9_999, 0), false),
            (at(1_000, TURN), at(1_000, 0), false),
            (at(1_000, TURN + 1), at(1_000, 0), true),
            (at(1_000, 0), at(1_000, TURN + 1), false),
        ] {
            assert_eq!(one.leads(other), leads, "{one:?} {other:?}");
            assert!(!leads || other < one, "{one:?} {other:?}");
        }
    }

    #[test]
    fn rows_are_counted_while_the_mark_stands_still() {
        let mark = EventTime::from_millis;
        let mut position = Position::START;
        for (at, rows, expected) in [(5, 10, 10), (5, 7, 17), (6, 3, 3), (6, 0, 3)] {
            position.advance(mark(at), rows);
            assert_eq!(position, Position { mark: mark(at), rows: expected });
        }
    }
}
