//! One membership in the group with one producer: from joining to the first error that a retry can't mend.
//!
//! Any failure of a transaction ends the session. The next session starts from what was last committed: the
//! offsets of the group and the state in the changelog. So recovery from a failure is the same as a start.

mod commit;
mod environment;
mod error;
mod order;
mod rebalance;
mod stall;
mod turn;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use join::WallTime;
use kafka::transaction::TransactionalProducer;
use rdkafka::consumer::ConsumerGroupMetadata;

use crate::fate_counts::FateCounts;
use crate::group::{AssignedPartition, GroupMember, Rebalance};
use crate::outputs::Outputs;
use crate::processor::Processor;
use crate::transaction::{TransactionPipeline, producer_config};

use commit::PendingCommit;
use error::kafka_error;
use order::Candidate;
use stall::StallCheck;

pub(crate) use environment::Environment;
pub(crate) use error::SessionError;

/// How long one call of the producer may take before it is checked whether to go on.
const PRODUCER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the loop rests when there is nothing to read: at first, and after [`QUIET`].
const SHORT_REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(10);
/// After so long without a row, a rest is long.
const QUIET: Duration = Duration::from_millis(200);

/// A session's loop.
pub(crate) struct Session<'e> {
    env: &'e Environment,
    // Before the group: their queues must be gone when it is left.
    partitions: Vec<AssignedPartition>,
    group: GroupMember,
    /// Our membership as of the present assignment. None between two assignments.
    membership: Option<Arc<ConsumerGroupMetadata>>,
    processor: Processor<'e>,
    /// The commit that was asked for and is not known to have succeeded.
    committing: Option<PendingCommit>,
    /// Commits of this session.
    commits: u64,
    /// When the partitions were last polled for rows.
    last_reading: Instant,
    last_row: Instant,
    stall: StallCheck,
    /// Used again from round to round.
    candidates: Vec<Candidate>,
}

impl<'e> Session<'e> {
    /// Takes over the transactional id, then joins the group.
    pub(crate) fn open(env: &'e Environment) -> Result<Self, SessionError> {
        let id = &env.transactional_id;
        let producer =
            TransactionalProducer::new(&producer_config(&env.config), id, PRODUCER_TIMEOUT)
                .map_err(kafka_error("making a producer"))?;
        let time_limit = env.config.transaction_timeout();
        let transactions =
            TransactionPipeline::new(producer, time_limit, env.ctx.shutdown.clone())?;
        let section = &env.config.joiner;
        let group = GroupMember::join(&env.config.kafka, section, &env.topology)
            .map_err(kafka_error("joining the consumer group"))?;
        let step = section.window / 10;
        let processor = Processor {
            topology: &env.topology,
            schemas: &env.schemas,
            connector: &section.group_id,
            reject_times: &env.reject_times,
            transactions,
            outputs: Outputs::new(env.output_schemas, &env.topology),
            tasks: (0..env.topology.tasks()).map(|_| None).collect(),
            counts: FateCounts::default(),
            decisions: Vec::new(),
            watermark_step_ms: step.as_millis() as i64,
        };
        let now = Instant::now();
        Ok(Self {
            env,
            partitions: Vec::new(),
            group,
            membership: None,
            processor,
            committing: None,
            commits: 0,
            last_reading: now,
            last_row: now,
            stall: StallCheck::new(env),
            candidates: Vec::new(),
        })
    }

    /// Works until shutdown is asked for; then what is under way is committed.
    pub(crate) fn run(&mut self) -> Result<(), SessionError> {
        let outcome = self.work();
        if outcome.is_err() {
            // Before the group is left, so that the next owner of the partitions needn't wait for it.
            self.processor.transactions.give_up();
            self.forget_tasks();
        }
        outcome
    }

    fn work(&mut self) -> Result<(), SessionError> {
        self.env.not_ready("waiting for partitions of the group");
        let mut rest = Duration::ZERO;
        loop {
            match self.group.serve(rest).map_err(kafka_error("consuming"))? {
                Some(Rebalance::Assigned(partitions)) => self.assigned(&partitions)?,
                Some(Rebalance::Revoked) => self.revoked()?,
                None => {}
            }
            if self.processor.transactions.look()? {
                self.committed();
            }
            if self.env.ctx.shutdown.requested() {
                return self.commit_and_wait();
            }
            let section = &self.env.config.joiner;
            let (interval, max_rows) = (section.commit_interval, section.max_transaction_rows);
            let is_full = self.processor.transactions.is_full(max_rows);
            let now = self.excuse_gaps(is_full);
            let mut read = 0;
            if !is_full {
                for index in 0..self.partitions.len() {
                    read += self.read(index, now);
                }
            }
            self.stall.look(&mut self.partitions, self.env)?;
            self.processor.advance(wall_time());
            if self.processor.transactions.is_due(interval, max_rows) {
                self.commit();
            }
            self.processor.transactions.hand_over_if_idle();
            self.order_turns();
            rest = self.rest(read);
        }
    }

    /// Commits of this session.
    pub(crate) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Restarts idle times if no row *could* come: Kafka is away, or this thread stood still, or it reads nothing now
    /// because much waits to be written (`is_full`).
    fn excuse_gaps(&mut self, is_full: bool) -> WallTime {
        let now = wall_time();
        let stood_still = self.last_reading.elapsed() > self.env.config.joiner.idle / 2;
        if !is_full {
            self.last_reading = Instant::now();
        }
        if stood_still {
            stall::excuse(&mut self.partitions);
        }
        if stood_still || !self.env.kafka_is_reachable() {
            self.processor.restart_idle(None, now);
        }
        now
    }

    fn rest(&mut self, read: usize) -> Duration {
        if read > 0 {
            self.last_row = Instant::now();
            return Duration::ZERO;
        }
        self.env.summary.tick();
        if self.last_row.elapsed() < QUIET { SHORT_REST } else { LONG_REST }
    }
}

/// The wall clock, as the join takes it.
fn wall_time() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(since.as_millis() as i64)
}
