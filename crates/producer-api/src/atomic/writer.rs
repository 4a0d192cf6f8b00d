//! The thread that writes: requests that wait while a transaction is committed share the next one (group commit).

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use kafka::transaction::Record;
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::failure::Failure;
use super::metrics::TransactionMetrics;
use super::rows::Rows;
use super::transactor::{NotOwned, Transactor, Verdict};
use crate::idempotency::entry::Entry;
use crate::idempotency::key::Key;
use crate::idempotency::reader::{PARTITION, Reader};
use crate::idempotency::{Keys, Running};
use crate::publisher::capacity::Room;

/// How long nothing has to come until the thread looks after its producer.
const IDLE: Duration = Duration::from_millis(500);
/// Pause before the transactional id is asked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause of a process that another one has taken the id from, doubling from [`PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// A request that waits for its transaction.
pub(crate) struct Job {
    pub(crate) rows: Rows,
    /// What to write with them so that they are written once.
    pub(crate) once: Option<(Running, Entry)>,
    /// After this it isn't worth beginning.
    pub(crate) begin_by: Instant,
    /// When it must be answered.
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<Answer>,
    pub(crate) room: Room,
}

/// What became of a request with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done {
    /// It was written for this request.
    Now,
    /// It was done before, by the request of this entry. Two processes that begin at the same moment make equal entries,
    /// so the entry alone doesn't tell whose it is.
    Before(Entry),
}

/// What became of a request; of one without a key there is nothing more to say than that it was written.
pub(crate) type Answer = Result<Option<Done>, Failure>;

/// A job on this side of the channel.
struct Waiting {
    rows: Rows,
    once: Option<(Running, Entry)>,
    begin_by: Instant,
    deadline: Instant,
    /// Gone when it was answered before its fate was known.
    answer: Option<oneshot::Sender<Answer>>,
    /// Kafka was asked to commit it, and has not said whether it did.
    in_doubt: bool,
    /// It shared a transaction that failed; it may be the one that is to blame.
    alone: bool,
    _room: Room,
}

impl From<Job> for Waiting {
    fn from(job: Job) -> Self {
        let Job { rows, once, begin_by, deadline, answer, room } = job;
        Self {
            rows,
            once,
            begin_by,
            deadline,
            answer: Some(answer),
            in_doubt: false,
            alone: false,
            _room: room,
        }
    }
}

impl Waiting {
    fn key(&self) -> Option<&Key> {
        self.once.as_ref().map(|(running, _)| running.key())
    }

    /// Answers, after the key is free: who hears the answer may send it again at once.
    fn finish(self, answer: Answer) {
        drop(self.once);
        if let Some(sender) = self.answer {
            // An error means that the client has gone.
            let _ = sender.send(answer);
        }
    }

    /// Answers that its fate is not known, and keeps its key in use.
    fn leave_open(&mut self, reason: &str) {
        let Some(sender) = self.answer.take() else { return };
        let failure = if self.once.is_some() {
            Failure::UnknownUntilSentAgain(reason.to_owned())
        } else {
            Failure::Unknown(reason.to_owned())
        };
        let _ = sender.send(Err(failure));
    }

    fn wants_nothing(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// The topic of keys, for the writer that keeps it.
pub(crate) struct Ledger {
    pub(crate) keys: Keys,
    pub(crate) topic: String,
    pub(crate) reader: Reader,
}

/// What runs on the thread.
struct Writer {
    transactor: Transactor,
    ledger: Option<Ledger>,
    /// The term for which the ledger was read to its end.
    read_for: u64,
    waiting: VecDeque<Waiting>,
    /// Why the last attempt failed, for those whose time runs out.
    trouble: String,
    /// Whether a killed process of this id may have left something open.
    untidy: bool,
    /// How often the id was lost without a commit in between.
    losses: u32,
    metrics: TransactionMetrics,
}

/// Starts a writer. Its thread ends when the sender is gone.
pub(crate) fn start(
    transactor: Transactor,
    ledger: Option<Ledger>,
    metrics: TransactionMetrics,
) -> std::io::Result<(Sender<Job>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let writer = Writer {
        transactor,
        ledger,
        read_for: 0,
        waiting: VecDeque::new(),
        trouble: "Kafka was not reached".to_owned(),
        untidy: true,
        losses: 0,
        metrics,
    };
    let thread = std::thread::Builder::new().name("transactions".to_owned());
    Ok((sender, thread.spawn(move || writer.run(&receiver))?))
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Answers those of a group whose time is up while Kafka is asked to commit it.
fn answer_overdue(group: &mut [Waiting]) {
    let now = Instant::now();
    for waiting in group.iter_mut().filter(|waiting| now >= waiting.deadline) {
        waiting.leave_open("no answer yet");
    }
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            if self.untidy {
                self.clean_up();
            }
            if self.waiting.is_empty() {
                match jobs.recv_timeout(IDLE) {
                    Ok(job) => self.waiting.push_back(job.into()),
                    Err(RecvTimeoutError::Timeout) => self.transactor.poll(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            self.waiting.extend(jobs.try_iter().map(Waiting::from));
            self.expire();
            if !self.waiting.is_empty() {
                self.turn();
            }
        }
    }

    /// Ends what a process of this id that was killed has left open: readers of the topics wait for it.
    fn clean_up(&mut self) {
        let owned = self.transactor.own();
        self.untidy = matches!(owned, Err(NotOwned { refused: false, .. }));
        if let Err(NotOwned { reason, refused: true }) = owned {
            warn!(
                transactional_id = self.transactor.id(),
                "requests for transactions will be refused: {reason}"
            );
        }
    }

    /// One transaction, if it can be had now.
    fn turn(&mut self) {
        match self.prepare() {
            Ok(()) => {}
            Err(NotOwned { reason, refused: true }) => {
                self.refuse(&reason);
                return;
            }
            Err(NotOwned { reason, refused: false }) => {
                debug!(transactional_id = self.transactor.id(), reason, "no transaction can begin");
                self.trouble = reason;
                std::thread::sleep(PAUSE);
                return;
            }
        }
        self.answer_what_is_done();
        // To get here may have taken long.
        self.expire();
        let mut group = self.next_group();
        if !group.is_empty() {
            let verdict = self.write(&mut group);
            self.metrics.transaction(&verdict);
            self.conclude(group, verdict);
        }
    }

    /// Answers all, since no transaction can begin. Of those in doubt one may be written; they stay until somebody lets
    /// us look.
    fn refuse(&mut self, reason: &str) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.in_doubt {
                waiting.leave_open(reason);
                self.waiting.push_back(waiting);
            } else {
                waiting.finish(Err(Failure::Refused(reason.to_owned())));
            }
        }
        if !self.waiting.is_empty() {
            // They make us ask again, and nobody waits for the answer.
            std::thread::sleep(LONGEST_PAUSE);
        }
    }

    /// Makes sure that the id is ours and all is known that its former owners wrote.
    fn prepare(&mut self) -> Result<(), NotOwned> {
        let term = self.transactor.own()?;
        if let Some(Ledger { keys, reader, .. }) = &mut self.ledger
            && self.read_for != term
        {
            let read = reader.catch_up(|key, entry| keys.apply(key, entry));
            read.map_err(|error| NotOwned { reason: error.to_string(), refused: false })?;
            self.read_for = term;
        }
        Ok(())
    }

    /// Answers those whose time is up, and forgets those whose clients have gone.
    fn expire(&mut self) {
        let now = Instant::now();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.in_doubt {
                // It stays until it is decided: its key is in use until then.
                if now >= waiting.deadline {
                    waiting.leave_open(&self.trouble);
                }
                self.waiting.push_back(waiting);
            } else if waiting.wants_nothing() {
                drop(waiting);
            } else if now >= waiting.begin_by {
                self.metrics.failed(&waiting.rows, &self.trouble);
                waiting.finish(Err(Failure::TimedOut(self.trouble.clone())));
            } else {
                self.waiting.push_back(waiting);
            }
        }
    }

    /// Answers requests with a key that was done: by another process meanwhile, or by the transaction that was in
    /// doubt.
    fn answer_what_is_done(&mut self) {
        let Some(Ledger { keys, .. }) = &self.ledger else { return };
        let now = now();
        for mut waiting in std::mem::take(&mut self.waiting) {
            let is_written = waiting.in_doubt
                && waiting.once.as_ref().is_some_and(|(own, entry)| keys.holds(own.key(), *entry));
            let done = if is_written {
                Some(Done::Now)
            } else {
                waiting.key().and_then(|key| keys.done(key, now)).map(Done::Before)
            };
            match done {
                Some(done) => {
                    if is_written {
                        self.metrics.delivered(&waiting.rows);
                        self.metrics.keyed("new");
                    }
                    waiting.finish(Ok(Some(done)));
                }
                None if waiting.wants_nothing() => {
                    if waiting.in_doubt {
                        self.metrics.failed(&waiting.rows, &self.trouble);
                    }
                }
                None => {
                    waiting.in_doubt = false;
                    self.waiting.push_back(waiting);
                }
            }
        }
    }

    /// Those who share the next transaction.
    fn next_group(&mut self) -> Vec<Waiting> {
        let alone = self.waiting.iter().take_while(|waiting| waiting.alone).count();
        if alone > 0 {
            return self.waiting.drain(..1).collect();
        }
        let together = self.waiting.iter().take_while(|waiting| !waiting.alone).count();
        self.waiting.drain(..together).collect()
    }

    fn write(&mut self, group: &mut [Waiting]) -> Verdict {
        let deadlines = || group.iter().map(|waiting| waiting.deadline);
        let first = deadlines().min().expect("a group has members");
        let last = deadlines().max().expect("a group has members");
        let entries: Vec<_> = group
            .iter()
            .filter_map(|waiting| waiting.once.as_ref())
            .map(|(running, entry)| (running.key().clone(), Some(entry.to_value())))
            .collect();
        let of_entries = group.iter().filter(|waiting| waiting.once.is_some());
        let headers: Vec<_> = of_entries.map(|waiting| waiting.rows.headers()).collect();
        let stale = self.ledger.as_ref().map(|ledger| ledger.keys.stale(entries.len(), now()));
        let mut kept = stale.unwrap_or_default();
        // One key may be stale and come again, with a new request.
        kept.retain(|key| entries.iter().all(|(coming, _)| coming != key));
        let of_ledger: Vec<_> =
            entries.into_iter().chain(kept.into_iter().map(|key| (key, None))).collect();
        let topic = self.ledger.as_ref().map_or("", |ledger| ledger.topic.as_str());
        // Nobody asked for those that are forgotten.
        let headers = headers.into_iter().chain(std::iter::repeat(None));
        let of_ledger_records =
            of_ledger.iter().zip(headers).map(|((key, value), headers)| Record {
                topic,
                partition: PARTITION,
                key: Some(key.as_str().as_bytes()),
                value: value.as_deref(),
                headers,
                ..Record::default()
            });
        let rows = group.iter().flat_map(|waiting| waiting.rows.records());
        // Who is the first to run out of time ends what can be ended for all. Once it is to be committed it can't be, and
        // the others have more time to hear how that went.
        let sent = self.transactor.send(rows.chain(of_ledger_records), first);
        let verdict = sent.map_or_else(
            |verdict| verdict,
            |()| self.transactor.commit(last, || answer_overdue(group)),
        );
        if verdict == Verdict::Committed
            && let Some(Ledger { keys, .. }) = &self.ledger
        {
            for (running, entry) in group.iter().filter_map(|waiting| waiting.once.as_ref()) {
                keys.apply(running.key().clone(), Some(*entry));
            }
            for (key, _) in of_ledger.into_iter().filter(|(_, value)| value.is_none()) {
                keys.apply(key, None);
            }
            self.metrics.keys(keys.len());
        }
        verdict
    }

    /// Tells those of a transaction what became of it, or keeps them for another attempt.
    fn conclude(&mut self, group: Vec<Waiting>, verdict: Verdict) {
        match verdict {
            Verdict::Committed => {
                self.losses = 0;
                for waiting in group {
                    self.metrics.delivered(&waiting.rows);
                    let done = waiting.once.as_ref().map(|_| Done::Now);
                    if done.is_some() {
                        self.metrics.keyed("new");
                    }
                    waiting.finish(Ok(done));
                }
            }
            Verdict::Aborted { reason, timed_out: false } if group.len() == 1 => {
                for waiting in group {
                    self.metrics.failed(&waiting.rows, &reason);
                    waiting.finish(Err(Failure::Refused(reason.clone())));
                }
            }
            Verdict::Aborted { reason, timed_out } => {
                warn!(reason, requests = group.len(), "transaction aborted");
                self.trouble = reason;
                self.keep(group, |waiting| waiting.alone = !timed_out);
            }
            Verdict::Fenced { reason } => {
                self.keep(group, |_| {});
                self.was_fenced(reason);
            }
            Verdict::Unknown { reason } => {
                let (keyed, others): (Vec<_>, Vec<_>) =
                    group.into_iter().partition(|waiting| waiting.once.is_some());
                for waiting in others {
                    self.metrics.failed(&waiting.rows, &reason);
                    waiting.finish(Err(Failure::Unknown(reason.clone())));
                }
                self.trouble = reason;
                self.keep(keyed, |waiting| waiting.in_doubt = true);
            }
        }
    }

    /// Puts those of a group back in front of the others.
    fn keep(&mut self, group: Vec<Waiting>, mark: impl Fn(&mut Waiting)) {
        for mut waiting in group.into_iter().rev() {
            mark(&mut waiting);
            self.waiting.push_front(waiting);
        }
    }

    /// Lets the other process finish: two that take the id from each other at once get nothing done.
    fn was_fenced(&mut self, reason: String) {
        let id = self.transactor.id();
        if self.ledger.is_some() {
            debug!(transactional_id = id, reason, "another process writes idempotency keys");
        } else {
            warn!(
                transactional_id = id,
                reason,
                "the transactional id was taken over: give each process its own, see producer.transactional_id"
            );
        }
        let longest = (PAUSE * 2_u32.saturating_pow(self.losses)).min(LONGEST_PAUSE);
        self.losses += 1;
        self.trouble = reason;
        std::thread::sleep(longest.mul_f64(rand::random()));
    }
}
