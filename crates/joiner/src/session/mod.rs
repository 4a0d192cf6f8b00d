//! One membership in the group with one producer: from joining to the first error that can't be retried.
//!
//! Whatever goes wrong with a transaction ends the session. The next one starts from what was last committed:
//! offsets from the group, state from the changelog. So there is one way back, and it is the one that every
//! start takes.

mod commit;
mod order;
mod rebalance;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use join::WallTime;
use kafka::transaction::{TransactionError, TransactionalProducer};
use models::{EventTime, Partition};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use tracing::{debug, warn};

use crate::changelog::RestoreFailure;
use crate::environment::Environment;
use crate::group::{Feed, Group, Rebalance};
use crate::outputs::Outputs;
use crate::rows::Incoming;
use crate::schemas::Answer;
use crate::silence::Silence;
use crate::tally::Tally;
use crate::transaction::Transactions;
use crate::work::{Step, Work};
use commit::Receipt;
pub(crate) use order::Position;
use order::TURN;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// A step of a transaction failed.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// librdkafka can't make a client, or its consumer is of no use any more.
    #[error("{doing}")]
    Kafka { doing: &'static str, source: KafkaError },
    /// The state can't be restored.
    #[error(transparent)]
    Restore(#[from] RestoreFailure),
    /// A topic has more partitions than when the tasks were laid out.
    #[error(
        "{topic} has got a partition {partition} while the joiner was running; start it again to have it read"
    )]
    Grown { topic: String, partition: Partition },
    /// The group has gone on without us.
    #[error("the partitions were given to another joiner: ours was silent for too long")]
    AssignmentLost,
    /// A partition is not read, and nobody knows why.
    #[error(
        "{topic}/{partition} has delivered nothing for {after:.0?}, though there is more to read"
    )]
    Stalled { topic: String, partition: Partition, after: Duration },
}

impl SessionError {
    /// Whether another session would end in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Restore(failure) => failure.is_final(),
            Self::Kafka { source, .. } => {
                matches!(source, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_))
            }
            Self::Grown { .. } => true,
            Self::Transaction(_) | Self::AssignmentLost | Self::Stalled { .. } => false,
        }
    }
}

fn kafka_error(doing: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |source| SessionError::Kafka { doing, source }
}

/// How long one call of the producer may take before it is looked whether to go on.
const PRODUCER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the loop rests when there is nothing to read: at first, and after a while.
const SHORT_REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(10);
/// From when on a rest is long.
const QUIET: Duration = Duration::from_millis(200);

/// A session's loop.
pub(crate) struct Session<'e> {
    env: &'e Environment,
    // Before the group: their queues must be gone when it is left.
    feeds: Vec<Feed>,
    group: Group,
    /// As of the assignment that is worked on; none between two.
    membership: Option<Arc<ConsumerGroupMetadata>>,
    work: Work<'e>,
    /// What is to be done once the commit that is under way has succeeded.
    committing: Option<Receipt>,
    /// Commits of this session.
    commits: u64,
    /// When the partitions were looked at for rows last.
    last_reading: Instant,
    last_row: Instant,
    silence: Silence,
    /// Used again from round to round.
    inputs: Vec<order::Input>,
}

impl<'e> Session<'e> {
    /// Takes over the transactional id, then joins the group.
    pub(crate) fn open(env: &'e Environment) -> Result<Self, SessionError> {
        let id = &env.transactional_id;
        let producer = TransactionalProducer::new(&env.producer_config(), id, PRODUCER_TIMEOUT)
            .map_err(kafka_error("making a producer"))?;
        let time_limit = env.config.transaction_timeout();
        let transactions = Transactions::new(producer, time_limit, env.ctx.shutdown.clone())?;
        let section = &env.config.joiner;
        let group = Group::join(&env.config.kafka, section, &env.topology)
            .map_err(kafka_error("joining the consumer group"))?;
        let step = section.window / 10;
        let work = Work {
            topology: &env.topology,
            schemas: &env.schemas,
            connector: &section.group_id,
            reject_times: &env.reject_times,
            transactions,
            outputs: Outputs::new(env.output_schemas, &env.topology),
            tasks: (0..env.topology.tasks()).map(|_| None).collect(),
            tally: Tally::default(),
            decisions: Vec::new(),
            mark_step_ms: step.as_millis() as i64,
        };
        let now = Instant::now();
        Ok(Self {
            env,
            feeds: Vec::new(),
            group,
            membership: None,
            work,
            committing: None,
            commits: 0,
            last_reading: now,
            last_row: now,
            silence: Silence::new(env),
            inputs: Vec::new(),
        })
    }

    /// Works until shutdown is asked for; then what is under way is committed.
    pub(crate) fn run(&mut self) -> Result<(), SessionError> {
        let outcome = self.work_on();
        if outcome.is_err() {
            // Before the group is left, so that the next owner of the partitions needn't wait for it.
            self.work.transactions.give_up();
            self.forget_tasks();
        }
        outcome
    }

    fn work_on(&mut self) -> Result<(), SessionError> {
        self.env.not_ready("waiting for partitions of the group");
        let mut rest = Duration::ZERO;
        loop {
            match self.group.serve(rest).map_err(kafka_error("consuming"))? {
                Some(Rebalance::Assigned(partitions)) => self.assigned(&partitions)?,
                Some(Rebalance::Revoked) => self.revoked()?,
                None => {}
            }
            if self.work.transactions.look()? {
                self.committed();
            }
            if self.env.ctx.shutdown.requested() {
                return self.commit_and_wait();
            }
            let section = &self.env.config.joiner;
            let (interval, max_rows) = (section.commit_interval, section.max_transaction_rows);
            let is_full = self.work.transactions.is_full(max_rows);
            let now = self.mind_the_gap(is_full);
            let mut read = 0;
            if !is_full {
                for index in 0..self.feeds.len() {
                    read += self.read(index, now);
                }
            }
            self.silence.look(&mut self.feeds, self.env)?;
            self.work.advance(wall_time());
            if self.work.transactions.is_due(interval, max_rows) {
                self.commit();
            }
            self.work.transactions.hand_over_if_idle();
            self.order_turns();
            rest = self.rest(read);
        }
    }

    /// Commits of this session.
    pub(crate) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Restarts idle times where nothing *could* come: Kafka is away, or this thread stood still, or it waits for what it
    /// has written.
    fn mind_the_gap(&mut self, waits: bool) -> WallTime {
        let now = wall_time();
        let stood_still = self.last_reading.elapsed() > self.env.config.joiner.idle / 2;
        if !waits {
            self.last_reading = Instant::now();
        }
        if stood_still {
            Silence::excuse(&mut self.feeds);
        }
        if stood_still || !self.env.kafka_is_reachable() {
            self.work.restart_idle(None, now);
        }
        now
    }

    /// One turn of one partition; how many records were read.
    fn read(&mut self, index: usize, now: WallTime) -> usize {
        let feed = &mut self.feeds[index];
        if feed.waits {
            self.work.paused(feed.source, now);
            return 0;
        }
        if let Some((message, id)) = feed.held.take() {
            let missing = match self.env.schemas.answer(id) {
                Answer::Pending => {
                    self.work.restart_idle(Some(feed.source.task(self.env.topology.tasks())), now);
                    feed.held = Some((message, id));
                    return 0;
                }
                Answer::Known => None,
                Answer::Missing => Some(id),
            };
            let offset = rdkafka::Message::offset(&message);
            match self.work.process(feed.source, &Incoming::from(&message), missing, now) {
                Step::Done => feed.done(offset),
                Step::NeedsSchema(id) => {
                    feed.held = Some((message, id));
                    return 0;
                }
            }
            self.work.transactions.count_row();
        }
        let mut read = 0;
        let mut last = None;
        let mut at_end = false;
        while read < TURN {
            match feed.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let incoming = Incoming::from(&message);
                    let offset = incoming.offset;
                    last = incoming.timestamp_ms.or(last);
                    match self.work.process(feed.source, &incoming, None, now) {
                        Step::Done => feed.done(offset),
                        Step::NeedsSchema(id) => {
                            debug!(schema = %id, topic = feed.topic, "a row waits for its schema");
                            feed.held = Some((message.detach(), id));
                            break;
                        }
                    }
                    self.work.transactions.count_row();
                    read += 1;
                    at_end = false;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.work.end(feed.source, now);
                    at_end = true;
                }
                Some(Err(error)) => {
                    warn!(topic = feed.topic, partition = feed.partition, %error, "reading");
                    break;
                }
                None => break,
            }
        }
        if read > 0 {
            let last = last.map(|ms| EventTime::from_millis(ms.min(now.as_millis())));
            feed.position.advance(read, last);
        }
        if at_end {
            feed.pulse.end(Instant::now());
        } else if read > 0 {
            feed.pulse.rows(Instant::now());
        }
        read
    }

    fn rest(&mut self, read: usize) -> Duration {
        if read > 0 {
            self.last_row = Instant::now();
            return Duration::ZERO;
        }
        self.env.report.tick();
        if self.last_row.elapsed() < QUIET { SHORT_REST } else { LONG_REST }
    }
}

/// The wall clock, as the join takes it.
fn wall_time() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(since.as_millis() as i64)
}
