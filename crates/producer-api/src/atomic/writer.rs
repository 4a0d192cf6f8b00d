//! The thread that writes: requests that wait while a transaction is committed share the next one (group commit).

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use tracing::{debug, warn};

use super::failure::TransactionFailure;
use super::key_topic::KeyTopic;
use super::metrics::TransactionMetrics;
use super::transactor::{NotOwned, TransactionOutcome, Transactor};
use super::waiting::{Done, TransactionRequest, WaitingRequest};

/// How long nothing has to come until the thread looks after its producer.
const IDLE: Duration = Duration::from_millis(500);
/// Pause before the transactional id is asked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause of a process that another one has taken the id from, doubling from [`PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// What runs on the thread.
struct TransactionWriter {
    transactor: Transactor,
    key_topic: Option<KeyTopic>,
    /// The term for which the topic of keys was read to its end.
    read_for: u64,
    waiting: VecDeque<WaitingRequest>,
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
    key_topic: Option<KeyTopic>,
    metrics: TransactionMetrics,
) -> std::io::Result<(Sender<TransactionRequest>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let writer = TransactionWriter {
        transactor,
        key_topic,
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
fn answer_overdue(group: &mut [WaitingRequest]) {
    let now = Instant::now();
    for waiting in group.iter_mut().filter(|waiting| now >= waiting.deadline) {
        waiting.leave_open("no answer yet");
    }
}

impl TransactionWriter {
    fn run(mut self, requests: &Receiver<TransactionRequest>) {
        loop {
            if self.untidy {
                self.clean_up();
            }
            if self.waiting.is_empty() {
                match requests.recv_timeout(IDLE) {
                    Ok(request) => self.waiting.push_back(request.into()),
                    Err(RecvTimeoutError::Timeout) => self.transactor.poll(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            self.waiting.extend(requests.try_iter().map(WaitingRequest::from));
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
                waiting.finish(Err(TransactionFailure::Refused(reason.to_owned())));
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
        if let Some(KeyTopic { keys, reader, .. }) = &mut self.key_topic
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
                self.metrics.failed(&waiting.encoded, &self.trouble);
                waiting.finish(Err(TransactionFailure::TimedOut(self.trouble.clone())));
            } else {
                self.waiting.push_back(waiting);
            }
        }
    }

    /// Answers requests with a key that was done: by another process meanwhile, or by the transaction that was in
    /// doubt.
    fn answer_what_is_done(&mut self) {
        let Some(KeyTopic { keys, .. }) = &self.key_topic else { return };
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
                        self.metrics.delivered(&waiting.encoded);
                        self.metrics.keyed("new");
                    }
                    waiting.finish(Ok(Some(done)));
                }
                None if waiting.wants_nothing() => {
                    if waiting.in_doubt {
                        self.metrics.failed(&waiting.encoded, &self.trouble);
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
    fn next_group(&mut self) -> Vec<WaitingRequest> {
        let alone = self.waiting.iter().take_while(|waiting| waiting.alone).count();
        if alone > 0 {
            return self.waiting.drain(..1).collect();
        }
        let together = self.waiting.iter().take_while(|waiting| !waiting.alone).count();
        self.waiting.drain(..together).collect()
    }

    fn write(&mut self, group: &mut [WaitingRequest]) -> TransactionOutcome {
        let deadlines = || group.iter().map(|waiting| waiting.deadline);
        let first = deadlines().min().expect("a group has members");
        let last = deadlines().max().expect("a group has members");
        let topic = self.key_topic.as_ref();
        let keys = topic.map_or_else(Vec::new, |topic| topic.records_of(group, now()));
        let keyed = topic.map_or("", KeyTopic::name);
        let of_keys = keys.iter().map(|key| key.as_record(keyed));
        let encoded = group.iter().flat_map(|waiting| waiting.encoded.records());
        // Who is the first to run out of time ends what can be ended for all. Once it is to be committed it can't be, and
        // the others have more time to hear how that went.
        let sent = self.transactor.send(encoded.chain(of_keys), first);
        let verdict = sent.map_or_else(
            |verdict| verdict,
            |()| self.transactor.commit(last, || answer_overdue(group)),
        );
        if verdict == TransactionOutcome::Committed
            && let Some(topic) = &self.key_topic
        {
            topic.committed(group, keys);
            self.metrics.keys(topic.keys.len());
        }
        verdict
    }

    /// Tells those of a transaction what became of it, or keeps them for another attempt.
    fn conclude(&mut self, group: Vec<WaitingRequest>, verdict: TransactionOutcome) {
        match verdict {
            TransactionOutcome::Committed => {
                self.losses = 0;
                for waiting in group {
                    self.metrics.delivered(&waiting.encoded);
                    let done = waiting.once.as_ref().map(|_| Done::Now);
                    if done.is_some() {
                        self.metrics.keyed("new");
                    }
                    waiting.finish(Ok(done));
                }
            }
            TransactionOutcome::Aborted { reason, timed_out: false } if group.len() == 1 => {
                for waiting in group {
                    self.metrics.failed(&waiting.encoded, &reason);
                    waiting.finish(Err(TransactionFailure::Refused(reason.clone())));
                }
            }
            TransactionOutcome::Aborted { reason, timed_out } => {
                warn!(reason, requests = group.len(), "transaction aborted");
                self.trouble = reason;
                self.keep(group, |waiting| waiting.alone = !timed_out);
            }
            TransactionOutcome::Fenced { reason } => {
                self.keep(group, |_| {});
                self.was_fenced(reason);
            }
            TransactionOutcome::Unknown { reason } => {
                let (keyed, others): (Vec<_>, Vec<_>) =
                    group.into_iter().partition(|waiting| waiting.once.is_some());
                for waiting in others {
                    self.metrics.failed(&waiting.encoded, &reason);
                    waiting.finish(Err(TransactionFailure::Unknown(reason.clone())));
                }
                self.trouble = reason;
                self.keep(keyed, |waiting| waiting.in_doubt = true);
            }
        }
    }

    /// Puts those of a group back in front of the others.
    fn keep(&mut self, group: Vec<WaitingRequest>, mark: impl Fn(&mut WaitingRequest)) {
        for mut waiting in group.into_iter().rev() {
            mark(&mut waiting);
            self.waiting.push_front(waiting);
        }
    }

    /// Lets the other process finish: two that take the id from each other at once get nothing done.
    fn was_fenced(&mut self, reason: String) {
        let id = self.transactor.id();
        if self.key_topic.is_some() {
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
