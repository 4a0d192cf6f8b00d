//! Which partitions have their turn.
//!
//! While there is a backlog, a task takes its inputs in step: who has come further in event time waits for who is behind.
//! Whatever is read too early is an open entry until the rest of its trip has come: it takes memory, and every commit writes what
//! is open into the changelog. Kafka Streams takes the record with the least timestamp next (KIP-353, KIP-695); here it is done
//! turn by turn, and nobody waits for a partition that is read as fast as it is written: there the rows of a trip come when they
//! come, whatever their timestamps.

use std::time::{Duration, Instant};

use models::EventTime;

use super::Session;
use crate::group::Source;

/// How many records are taken from one partition before the next one has its turn.
pub(super) const TURN: usize = 500;
/// How long a partition that has a backlog is waited for. Its broker may be away, and whatever does not come after this is not
/// worth while.
const PATIENCE: Duration = Duration::from_millis(50);

/// How far an input partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The lesser one of the timestamps with which the last two turns ended, so that a single row with a wrong one means nothing.
    at: EventTime,
    /// Rows read since that has changed: all rows of a copied stream may have one timestamp.
    rows: usize,
    /// The timestamp with which the last turn ended.
    last: Option<EventTime>,
}

impl Position {
    /// Nothing was read yet.
    pub(crate) const START: Self = Self { at: EventTime::MIN, rows: 0, last: None };

    /// So many rows were read; the last one with a timestamp had this.
    pub(super) fn advance(&mut self, rows: usize, last: Option<EventTime>) {
        let at = last.map_or(self.at, |last| last.min(self.last.unwrap_or(last)));
        let before = if at == self.at { self.rows } else { 0 };
        *self = Self { at, rows: before + rows, last: last.or(self.last) };
    }

    /// Whether a partition here has come further than one there.
    fn leads(self, there: Self) -> bool {
        self.at > there.at || self.at == there.at && self.rows > there.rows + TURN
    }
}

/// An input partition among those of its process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    task: usize,
    position: Position,
    /// Too far ahead of the task's watermark (rule 11).
    is_ahead: bool,
    /// Has something to read, as far as is known.
    has_more: bool,
    /// Has a backlog of which more is coming.
    is_coming: bool,
}

/// Which of them have to wait: those that are ahead, and those with something to read that lead the last one of their task.
/// Nobody waits for one that waits itself.
fn who_waits(inputs: &[Input], tasks: usize) -> impl Iterator<Item = bool> {
    let mut last: Vec<Option<Position>> = vec![None; tasks];
    for input in inputs.iter().filter(|input| input.is_coming && !input.is_ahead) {
        let place = &mut last[input.task];
        *place = match *place {
            Some(last) if (last.at, last.rows) <= (input.position.at, input.position.rows) => {
                Some(last)
            }
            _ => Some(input.position),
        };
    }
    inputs.iter().map(move |input| {
        let leads = last[input.task].is_some_and(|last| input.position.leads(last));
        input.is_ahead || input.has_more && leads
    })
}

impl Session<'_> {
    /// Finds out which partitions are read in the next round.
    pub(super) fn order_turns(&mut self) {
        let now = Instant::now();
        let Self { env, feeds, work, inputs, .. } = self;
        let log_ends = env.log_ends.borrow();
        inputs.clear();
        inputs.extend(feeds.iter().filter_map(|feed| {
            let Source::Input(side, partition) = feed.source else { return None };
            let task = feed.source.task(work.topology.tasks());
            let join = &work.tasks[task].as_ref().expect("only own tasks are read").join;
            let has_more = feed.pulse.due_since().is_some();
            // As of a moment ago: what is read as fast as it is written is beyond that.
            let has_backlog = log_ends.ends.get(&feed.source).is_some_and(|end| feed.next < *end);
            let is_silent = feed.held.is_some() || feed.pulse.silence(now) >= PATIENCE;
            Some(Input {
                task,
                position: feed.position,
                is_ahead: join.inputs_ahead().any(|ahead| ahead == (side, partition)),
                has_more,
                is_coming: has_more && has_backlog && !is_silent,
            })
        }));
        drop(log_ends);
        let read = feeds.iter_mut().filter(|feed| matches!(feed.source, Source::Input(..)));
        for (feed, waits) in read.zip(who_waits(inputs, work.tasks.len())) {
            feed.waits = waits;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TASKS: usize = 2;

    fn at(millis: i64, rows: usize) -> Position {
        Position { at: EventTime::from_millis(millis), rows, last: None }
    }

    prop_compose! {
        fn some_input()(
            task in 0..TASKS,
            (millis, turns) in (0..3_i64, 0..3_usize),
            is_ahead: bool,
            has_more: bool,
            is_coming: bool,
        ) -> Input {
            let position = at(millis, turns * TURN);
            Input { task, position, is_ahead, has_more, is_coming: is_coming && has_more }
        }
    }

    proptest! {
        #[test]
        fn who_waits_is_ahead_or_leads_one_of_its_task_that_is_coming(
            inputs in vec(some_input(), 0..8),
        ) {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            prop_assert_eq!(waits.len(), inputs.len());
            for (input, &waits) in inputs.iter().zip(&waits) {
                let mut others = inputs.iter().filter(|other| other.task == input.task);
                let leads = others.any(|other| {
                    other.is_coming && !other.is_ahead && input.position.leads(other.position)
                });
                prop_assert_eq!(waits, input.is_ahead || input.has_more && leads);
            }
        }

        #[test]
        fn a_task_with_something_to_read_reads(inputs in vec(some_input(), 1..8)) {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            for task in 0..TASKS {
                let own = || inputs.iter().zip(&waits).filter(|(input, _)| input.task == task);
                if own().any(|(input, _)| input.has_more && !input.is_ahead) {
                    prop_assert!(own().any(|(input, waits)| input.has_more && !waits));
                }
            }
        }
    }

    #[test]
    fn a_task_waits_for_its_last_partition_while_that_is_coming() {
        let input = |task, millis| Input {
            task,
            position: at(millis, 0),
            is_ahead: false,
            has_more: true,
            is_coming: true,
        };
        let silent = Input { is_coming: false, ..input(0, 0) };
        let ahead = Input { is_ahead: true, ..input(0, 0) };
        let at_end = Input { has_more: false, is_coming: false, ..input(0, 900) };
        for (inputs, expected) in [
            ([input(0, 0), input(0, 100), input(1, 100)], [false, true, false]),
            ([input(0, 200), input(0, 100), input(0, 0)], [true, true, false]),
            ([silent, input(0, 100), input(0, 200)], [false, false, true]),
            ([ahead, input(0, 100), input(0, 100)], [true, false, false]),
            ([at_end, input(0, 100), input(0, 200)], [false, false, true]),
        ] {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            assert_eq!(waits, expected, "{inputs:?}");
        }
    }

    #[test]
    fn a_partition_leads_in_event_time_or_else_in_rows() {
        for (one, other, leads) in [
            (Position::START, Position::START, false),
            (at(0, 1), Position::START, true),
            (Position::START, at(0, 1), false),
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
        let mut position = Position::START;
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
            let Position { at, rows, .. } = position;
            assert_eq!((at.as_millis(), rows), expected);
        }
    }
}
