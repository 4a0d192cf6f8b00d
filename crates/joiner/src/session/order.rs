//! Which partitions have their turn.
//!
//! A task takes its inputs in step: of those that have something to say, one that has come further in event time than
//! another waits for it. Whatever is read too early is an open entry until the rest has come: it takes memory, and every
//! commit writes what is open into the changelog. Kafka Streams does the same with single records (KIP-353, KIP-695); here
//! it is done turn by turn, since the order changes nothing of what is joined.

use std::time::{Duration, Instant};

use models::EventTime;

use super::Session;
use crate::group::Source;

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

/// An input partition among those of its process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    task: usize,
    position: Position,
    /// Too far ahead of the task's watermark (rule 11).
    is_ahead: bool,
    /// Whether a row, or the end, is due and worth waiting for.
    is_coming: bool,
}

/// Which of them have to wait: those that are ahead, and those that lead the last one of their task. Nobody waits for one that
/// waits itself.
fn who_waits(inputs: &[Standing], tasks: usize) -> impl Iterator<Item = bool> {
    let mut last: Vec<Option<Position>> = vec![None; tasks];
    for input in inputs.iter().filter(|input| input.is_coming && !input.is_ahead) {
        let last = &mut last[input.task];
        *last = Some(last.map_or(input.position, |last| last.min(input.position)));
    }
    inputs.iter().map(move |input| {
        input.is_ahead || last[input.task].is_some_and(|last| input.position.leads(last))
    })
}

impl Session<'_> {
    /// Finds out which partitions are read in the next round.
    pub(super) fn order_turns(&mut self) {
        let now = Instant::now();
        let Self { feeds, work, standings, .. } = self;
        standings.clear();
        standings.extend(feeds.iter().filter_map(|feed| {
            let Source::Input(side, partition) = feed.source else { return None };
            let task = feed.source.task(work.topology.tasks());
            let join = &work.tasks[task].as_ref().expect("only own tasks are read").join;
            let is_due = feed.held.is_none() && feed.pulse.due_since().is_some();
            Some(Standing {
                task,
                position: feed.position,
                is_ahead: join.inputs_ahead().any(|ahead| ahead == (side, partition)),
                is_coming: is_due && feed.pulse.silence(now) < PATIENCE,
            })
        }));
        let inputs = feeds.iter_mut().filter(|feed| matches!(feed.source, Source::Input(..)));
        for (feed, waits) in inputs.zip(who_waits(standings, work.tasks.len())) {
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

    fn some_position() -> impl Strategy<Value = Position> {
        let mark = (0..3_i64).prop_map(|mark| EventTime::from_millis(mark * 15));
        (mark, 0..3_usize).prop_map(|(mark, rows)| Position { mark, rows: rows * TURN })
    }

    prop_compose! {
        fn some_standing()(
            task in 0..TASKS,
            position in some_position(),
            is_ahead: bool,
            is_coming: bool,
        ) -> Standing {
            Standing { task, position, is_ahead, is_coming }
        }
    }

    #[test]
    fn a_task_waits_for_its_last_partition_while_that_is_coming() {
        let at = |task, millis| Standing {
            task,
            position: Position { mark: EventTime::from_millis(millis), rows: 0 },
            is_ahead: false,
            is_coming: true,
        };
        let silent = Standing { is_coming: false, ..at(0, 0) };
        let ahead = Standing { is_ahead: true, ..at(0, 0) };
        for (inputs, expected) in [
            ([at(0, 0), at(0, 100), at(1, 100)], [false, true, false]),
            ([at(0, 200), at(0, 100), at(0, 0)], [true, true, false]),
            ([silent, at(0, 100), at(0, 200)], [false, false, true]),
            ([ahead, at(0, 100), at(0, 110)], [true, false, false]),
        ] {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            assert_eq!(waits, expected, "{inputs:?}");
        }
    }

    proptest! {
        #[test]
        fn who_waits_is_ahead_or_leads_one_of_its_task_that_is_coming(
            inputs in vec(some_standing(), 0..8),
        ) {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            prop_assert_eq!(waits.len(), inputs.len());
            for (input, &waits) in inputs.iter().zip(&waits) {
                let mut others = inputs.iter().filter(|other| other.task == input.task);
                let leads = others.any(|other| {
                    other.is_coming && !other.is_ahead && input.position.leads(other.position)
                });
                prop_assert!(!waits || input.is_ahead || leads);
                prop_assert!(waits || !input.is_ahead);
            }
        }

        #[test]
        fn a_task_with_something_to_read_reads(inputs in vec(some_standing(), 1..8)) {
            let waits: Vec<bool> = who_waits(&inputs, TASKS).collect();
            for task in 0..TASKS {
                let own = || inputs.iter().zip(&waits).filter(|(input, _)| input.task == task);
                if own().any(|(input, _)| input.is_coming && !input.is_ahead) {
                    prop_assert!(own().any(|(input, waits)| input.is_coming && !waits));
                }
            }
        }
    }

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
