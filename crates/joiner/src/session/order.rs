//! Which partitions are read in the next round.
//!
//! While there is a backlog, the inputs of a task are read in step by event time: a partition that is ahead is paused
//! until the others have caught up. A row that is read too early stays open until the rest of its trip is read. Until
//! then it takes memory, and the commit writes it into the changelog. Kafka Streams solves the same by taking the
//! record with the least timestamp next (KIP-353, KIP-695); here each partition gets a turn of several records. A
//! partition without a backlog, which is read as fast as it is written, pauses no other one: the rows of its trips
//! come when they come, whatever their timestamps are.

use std::time::{Duration, Instant};

use super::Session;
use crate::group::PartitionTime;
use crate::source_partition::SourcePartition;

/// How long the others wait for a partition that has a backlog but delivers nothing. Its broker may be away, and
/// waiting longer for it would cost more than reading too early.
const PATIENCE: Duration = Duration::from_millis(50);

/// An assigned input partition that may be read in the next round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    task: usize,
    time: PartitionTime,
    /// Too far ahead of the task's watermark (rule 11).
    is_ahead: bool,
    /// Has something to read, as far as is known.
    has_more: bool,
    /// Has a backlog, and delivers it.
    is_coming: bool,
}

/// Which of the candidates are paused: those that are too far ahead of the watermark, and those with something to read
/// that lead the earliest one of their task. Nobody is paused for the sake of one that is too far ahead itself.
fn paused(candidates: &[Candidate], tasks: usize) -> impl Iterator<Item = bool> {
    let mut earliest: Vec<Option<PartitionTime>> = vec![None; tasks];
    for candidate in candidates.iter().filter(|one| one.is_coming && !one.is_ahead) {
        let earliest = &mut earliest[candidate.task];
        *earliest = Some(earliest.map_or(candidate.time, |time| time.earlier(candidate.time)));
    }
    candidates.iter().map(move |candidate| {
        let leads = earliest[candidate.task].is_some_and(|time| candidate.time.leads(time));
        candidate.is_ahead || candidate.has_more && leads
    })
}

impl Session<'_> {
    /// Finds out which partitions are read in the next round.
    pub(super) fn order_turns(&mut self) {
        let now = Instant::now();
        let Self { env, partitions, processor, candidates, .. } = self;
        let log_ends = env.log_ends.borrow();
        candidates.clear();
        candidates.extend(partitions.iter().filter_map(|assigned| {
            let SourcePartition::Input(side, partition) = assigned.source else { return None };
            let task = assigned.source.task(processor.topology.tasks());
            let join = &processor.tasks[task].as_ref().expect("only own tasks are read").join;
            let has_more = assigned.stall_timer.due_since().is_some();
            // The end is that of a moment ago: a partition that is read as fast as it is written has passed it.
            let end = log_ends.ends.get(&assigned.source);
            let has_backlog = end.is_some_and(|end| assigned.next_offset < *end);
            let is_silent =
                assigned.awaits_schema.is_some() || assigned.stall_timer.elapsed(now) >= PATIENCE;
            Some(Candidate {
                task,
                time: assigned.time,
                is_ahead: join.inputs_ahead().any(|ahead| ahead == (side, partition)),
                has_more,
                is_coming: has_more && has_backlog && !is_silent,
            })
        }));
        drop(log_ends);
        let is_input = |source| matches!(source, SourcePartition::Input(..));
        let inputs = partitions.iter_mut().filter(|assigned| is_input(assigned.source));
        for (assigned, is_paused) in inputs.zip(paused(candidates, processor.tasks.len())) {
            assigned.is_paused = is_paused;
        }
    }
}

#[cfg(test)]
mod tests {
    use models::EventTime;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::group::TURN;

    const TASKS: usize = 2;

    fn at(millis: i64, rows: usize) -> PartitionTime {
        let mut time = PartitionTime::START;
        time.advance(rows, Some(EventTime::from_millis(millis)));
        time
    }

    prop_compose! {
        fn some_input()(
            task in 0..TASKS,
            (millis, turns) in (0..3_i64, 0..3_usize),
            is_ahead: bool,
            has_more: bool,
            is_coming: bool,
        ) -> Candidate {
            let time = at(millis, turns * TURN);
            Candidate { task, time, is_ahead, has_more, is_coming: is_coming && has_more }
        }
    }

    proptest! {
        #[test]
        fn who_waits_is_ahead_or_leads_one_of_its_task_that_is_coming(
            inputs in vec(some_input(), 0..8),
        ) {
            let is_paused: Vec<bool> = paused(&inputs, TASKS).collect();
            prop_assert_eq!(is_paused.len(), inputs.len());
            for (input, &is_paused) in inputs.iter().zip(&is_paused) {
                let mut others = inputs.iter().filter(|other| other.task == input.task);
                let leads = others.any(|other| {
                    other.is_coming && !other.is_ahead && input.time.leads(other.time)
                });
                prop_assert_eq!(is_paused, input.is_ahead || input.has_more && leads);
            }
        }

        #[test]
        fn a_task_with_something_to_read_reads(inputs in vec(some_input(), 1..8)) {
            let is_paused: Vec<bool> = paused(&inputs, TASKS).collect();
            for task in 0..TASKS {
                let own = || inputs.iter().zip(&is_paused).filter(|(input, _)| input.task == task);
                if own().any(|(input, _)| input.has_more && !input.is_ahead) {
                    prop_assert!(own().any(|(input, is_paused)| input.has_more && !is_paused));
                }
            }
        }
    }

    #[test]
    fn a_task_waits_for_its_last_partition_while_that_is_coming() {
        let input = |task, millis| Candidate {
            task,
            time: at(millis, 0),
            is_ahead: false,
            has_more: true,
            is_coming: true,
        };
        let silent = Candidate { is_coming: false, ..input(0, 0) };
        let ahead = Candidate { is_ahead: true, ..input(0, 0) };
        let at_end = Candidate { has_more: false, is_coming: false, ..input(0, 900) };
        for (inputs, expected) in [
            ([input(0, 0), input(0, 100), input(1, 100)], [false, true, false]),
            ([input(0, 200), input(0, 100), input(0, 0)], [true, true, false]),
            ([silent, input(0, 100), input(0, 200)], [false, false, true]),
            ([ahead, input(0, 100), input(0, 100)], [true, false, false]),
            ([at_end, input(0, 100), input(0, 200)], [false, false, true]),
        ] {
            let is_paused: Vec<bool> = paused(&inputs, TASKS).collect();
            assert_eq!(is_paused, expected, "{inputs:?}");
        }
    }
}
