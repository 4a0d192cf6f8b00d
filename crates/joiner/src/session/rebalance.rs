//! Partitions come and go (rule 12).
//!
//! The protocol is the classic one with eager rebalances: the group takes all partitions from a member before it
//! assigns the next ones. librdkafka tells of both in a callback, and delivers nothing until it is answered.
//! `group/context.rs` notes the event, and the session's loop answers it, because both answers take long:
//!
//! 1. *Revoked*: [`Session::revoked`] commits what was processed, forgets the tasks, and gives the partitions back
//!    (`unassign`). Only then can the group assign them to another member.
//! 2. *Assigned*: [`Session::assigned`] takes our membership in the new generation of the group. From now on
//!    Kafka refuses a commit of a former owner, because that one names an older generation.
//! 3. It waits until no transaction that contains offsets of these partitions is under way
//!    ([`GroupMember::positions`](crate::group::GroupMember::positions)). Now a former owner has committed all that it
//!    could.
//! 4. It restores the tasks from the changelog, up to its end. So the state fits the offsets.
//! 5. It takes the partitions (`assign`) at these offsets, and the loop reads on.
//!
//! A member that was too slow is thrown out of the group (its assignment is *lost*). It can't commit, so the session
//! ends, and the next one starts from the last commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::read_to_end::Progress;
use models::Partition;
use rdkafka::TopicPartitionList;
use tracing::{error, info};

use super::error::{SessionError, kafka_error};
use super::{Session, stall, wall_time};
use crate::changelog::{RestoreFailure, Restorer};
use crate::processor::OwnTask;
use crate::source_partition::SourcePartition;

/// How long Kafka may take to say where the partitions go on.
const POSITIONS_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before it is asked again, when a former owner's transaction is under way.
const UNSTABLE_PAUSE: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Restores the tasks and takes the partitions: steps 2 to 5, whose order matters.
    pub(super) fn assigned(&mut self, partitions: &TopicPartitionList) -> Result<(), SessionError> {
        if self.processor.tasks.iter().any(Option::is_some) {
            // The group has dropped us and taken us again, without a revocation of the former partitions.
            return Err(SessionError::AssignmentLost);
        }
        self.env.not_ready("restoring the state");
        let topology = &self.env.topology;
        let sources: Vec<SourcePartition> = partitions
            .elements()
            .iter()
            .map(|element| topology.source_of(element.topic(), element.partition()))
            .collect();
        for (element, source) in partitions.elements().iter().zip(&sources) {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            if partition >= topology.partitions_of(*source) {
                return Err(SessionError::Grown { topic, partition });
            }
        }
        let own: Vec<Partition> = sources
            .iter()
            .filter_map(|source| match source {
                SourcePartition::Repartition(partition) => Some(*partition),
                SourcePartition::Input(..) => None,
            })
            .collect();
        let orphans = orphans(sources.into_iter(), &own, topology.tasks());
        self.membership = Some(Arc::new(self.group.membership()));
        let Some(positions) = self.stable_positions(partitions)? else { return Ok(()) };
        if !self.restore(&own)? {
            // The loop sees the request and leaves with nothing to commit.
            return Ok(());
        }
        self.partitions =
            self.group.assign(&positions, topology).map_err(kafka_error("assigning"))?;
        self.partitions.retain(|assigned| !orphans.contains(&assigned.source));
        self.processor.restart_idle(None, wall_time());
        info!(tasks = ?own, partitions = self.partitions.len(), "partitions assigned");
        if orphans.is_empty() {
            self.env.ready();
        } else {
            let why = "the inputs have different partition counts, and the group has split what belongs \
                       together: run one joiner only, or give the inputs equal counts";
            error!(unread = ?orphans, "{why}");
            self.env.not_ready(why);
        }
        Ok(())
    }

    /// Restores the tasks that are ours from now on. False if shutdown was asked for before that.
    fn restore(&mut self, own: &[Partition]) -> Result<bool, SessionError> {
        let started = Instant::now();
        let env = self.env;
        let tell = |progress: Progress| {
            let (percent, all) = (progress.percent(), progress.all);
            let text = format!("restoring the state: {percent} % of {all} changelog offsets");
            info!("{text}");
            env.metrics.restoring(progress);
            env.not_ready(&text);
        };
        let restorer = Restorer {
            kafka: &env.config.kafka,
            changelog: &env.topology.changelog,
            rules: &env.rules,
            inputs: env.topology.input_partitions(),
            shutdown: &env.ctx.shutdown,
            tell: &tell,
        };
        let restored = match restorer.restore(own) {
            Err(RestoreFailure::Stopped) => return Ok(false),
            restored => restored?,
        };
        let bytes: usize = restored.iter().map(|restored| restored.bytes).sum();
        env.metrics.restored(started.elapsed());
        info!(tasks = own.len(), bytes, took = ?started.elapsed(), "state restored");
        for restored in restored {
            let number = restored.task.layout().task() as usize;
            self.processor.tasks[number] = Some(OwnTask::new(restored, &env.topology));
        }
        Ok(true)
    }

    /// The offsets that the partitions are read from, once no former owner can commit others. None if shutdown comes
    /// first.
    fn stable_positions(
        &self,
        partitions: &TopicPartitionList,
    ) -> Result<Option<TopicPartitionList>, SessionError> {
        while !self.env.ctx.shutdown.requested() {
            let positions = self.group.positions(partitions, POSITIONS_TIMEOUT);
            if let Some(positions) = positions.map_err(kafka_error("asking for the offsets"))? {
                return Ok(Some(positions));
            }
            self.env.not_ready("waiting until the group's offsets are stable");
            std::thread::sleep(UNSTABLE_PAUSE);
        }
        Ok(None)
    }

    /// Commits what was processed, and gives the partitions back: step 1.
    pub(super) fn revoked(&mut self) -> Result<(), SessionError> {
        if self.group.assignment_lost() {
            return Err(SessionError::AssignmentLost);
        }
        self.commit_and_wait()?;
        self.membership = None;
        self.partitions.clear();
        stall::forget(self.env);
        self.forget_tasks();
        info!("partitions revoked");
        self.env.not_ready("waiting for partitions of the group");
        self.group.unassign().map_err(kafka_error("giving partitions back"))
    }

    /// From now on the tasks belong to another member, or to our next session.
    pub(super) fn forget_tasks(&mut self) {
        for (number, task) in self.processor.tasks.iter_mut().enumerate() {
            if task.take().is_some() {
                self.env.metrics.gone(number as Partition);
            }
        }
    }
}

/// Those of `sources` whose task is not among our `own`: the group has given its repartition partition to another
/// member.
fn orphans(
    sources: impl Iterator<Item = SourcePartition>,
    own: &[Partition],
    tasks: Partition,
) -> Vec<SourcePartition> {
    sources.filter(|source| !own.contains(&(source.task(tasks) as Partition))).collect()
}
