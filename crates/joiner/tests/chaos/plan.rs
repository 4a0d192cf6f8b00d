//! What is written, what goes wrong, and what must come out: all of it follows from a seed.
//!
//! The fates are the same whatever goes wrong and however long it takes. Event time goes by in [`Epoch`]s that lie an
//! hour apart. Within one, no row can be late, as its rows lie closer together than the window. Then a marker row in
//! each partition of each input moves all watermarks into the next epoch at once. What is written of an epoch after
//! that is late beyond doubt, and nothing remembers its trips.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use devstack::{ApiKey, ResponseError};
use kafka::partitioner::partition_for;
use models::{Partition, Side};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

/// The joiner's rules that fit the plan.
pub const WINDOW: Duration = Duration::from_secs(600);
pub const GRACE: Duration = Duration::from_secs(60);
/// No partition is taken for idle: whether a fault lasts longer than that would be a matter of luck.
pub const IDLE: Duration = Duration::from_secs(600);

const EPOCHS: usize = 2;
const EPOCH_MS: i64 = 3_600_000;
/// Rows of a trip are this far apart at most, and its first one lies within so much of the epoch's start.
const SPREAD_MS: i64 = 60_000;
const STARTS_MS: i64 = 240_000;
/// Further ahead of the clock than any row may be.
const FUTURE_MS: i64 = 48 * EPOCH_MS;
/// In each epoch.
const TRIPS: usize = 120;
const FAULTY_ROWS: usize = 14;
const STRAGGLERS: usize = 8;
const CHUNKS: usize = 8;

/// What is in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What belongs there.
    Row,
    Garbage,
    Tombstone,
    /// A row without a trip.
    EmptyTripId,
    /// A row of another side.
    WrongType,
    /// A schema that the registry does not know.
    UnknownSchema,
}

impl Content {
    const FAULTY: [(Self, &str); 5] = [
        (Self::Garbage, "undecodable"),
        (Self::Tombstone, "tombstone"),
        (Self::EmptyTripId, "empty_trip_id"),
        (Self::WrongType, "wrong_type"),
        (Self::UnknownSchema, "unknown_schema"),
    ];
}

/// A row to write. Times count from the start of the first epoch.
#[derive(Debug, Clone)]
pub struct Line {
    pub side: Side,
    pub partition: Partition,
    pub key: String,
    pub content: Content,
    pub ts: i64,
}

/// What goes wrong with a request of a joiner.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    Delay(Duration),
    Disconnect,
    LoseAnswer,
    CrashBefore { back_after: Duration },
    CrashAfter { back_after: Duration },
    Error(ResponseError),
}

/// Something that goes wrong. Joiner 0 is there all the time, joiner 1 comes and goes.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    Request {
        api: ApiKey,
        trouble: Trouble,
        pass: u64,
        times: u64,
    },
    BrokerDown(Duration),
    KillAndRestart {
        joiner: usize,
        after: Duration,
    },
    /// SIGSTOP, and the group goes on without it.
    Zombie {
        joiner: usize,
        lasts: Duration,
    },
    SessionsExpire,
    TransactionTimesOut {
        joiner: usize,
    },
    SecondComes,
    SecondGoes,
    /// And stays away; what it left open ends after this time.
    SecondIsKilled {
        cleared_after: Duration,
    },
}

/// One joiner is slow with what is written to it, so slow that the group goes on without it, and then it goes on, too.
#[derive(Debug, Clone, Copy)]
pub struct TakeOver {
    pub joiner: usize,
    pub slow: Slow,
    /// How long that request takes: longer than the other joiner needs to be thrown out of the group, to come back,
    /// and to have the partitions of both.
    pub takes: Duration,
}

/// What is slow when partitions are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// Its transaction is prepared with its offsets, and ends after the new owner has come: who doesn't wait until the
    /// offsets and the changelog are stable has less state than the offsets say.
    EndOfTransaction,
    /// It has read rows and can't write what comes of them, so that their transaction is still open when it is no longer
    /// the owner. Of the nameless only: the others are refused by their name.
    Production,
}

#[derive(Debug, Clone)]
pub enum Step {
    Write(Vec<Line>),
    /// The rows are written, and become somebody else's before they are committed.
    WriteAndTakeOver(Vec<Line>, TakeOver),
    Mayhem(Event),
    /// Leaves the joiners some time. Nothing depends on how far they come.
    Rest(Duration),
    /// Until so many trips are decided unmatched.
    AwaitUnmatched(usize),
}

/// An unmatched trip, as it must be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incomplete {
    pub missing: Vec<String>,
    pub ts: i64,
}

/// What must come out. Times count as in the plan.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub joined: BTreeMap<String, i64>,
    pub unmatched: BTreeMap<String, Incomplete>,
    /// How often, by key, side and reason.
    pub rejects: BTreeMap<(String, String, String), usize>,
    /// Rows that are dropped as duplicates.
    pub dropped: usize,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub partitions: [Partition; 3],
    pub reject_duplicates: bool,
    /// The joiners have no instance ids, by which Kafka would know one again that it has thrown out. And their producers
    /// hold so few records that they wait for Kafka again and again while they process rows.
    pub nameless: bool,
    pub steps: Vec<Step>,
    pub outcome: Outcome,
    pub rows: usize,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // Two joiners can share inputs of equal partition counts only.
        let two_joiners = rng.random();
        let partitions = if two_joiners {
            [rng.random_range(1..=4); 3]
        } else {
            [(); 3].map(|()| rng.random_range(1..=3))
        };
        let reject_duplicates = rng.random();
        let mut writing = Writing {
            partitions,
            reject_duplicates,
            outcome: Outcome::default(),
            trips: Vec::new(),
            rows: 0,
        };
        let nameless = two_joiners && rng.random_ratio(2, 3);
        let mut mayhem = Mayhem { two_joiners, nameless, second_is_there: false };
        let mut steps = Vec::new();
        for epoch in 0..EPOCHS {
            let mut lines = writing.stragglers(&mut rng);
            lines.extend(writing.epoch(&mut rng, epoch));
            lines.shuffle(&mut rng);
            writing.rows += lines.len();
            let size = lines.len().div_ceil(CHUNKS);
            for chunk in lines.chunks(size) {
                steps.extend(mayhem.perhaps(&mut rng, 2, 3));
                steps.push(match mayhem.perhaps_take_over(&mut rng) {
                    Some(take_over) => Step::WriteAndTakeOver(chunk.to_vec(), take_over),
                    None => Step::Write(chunk.to_vec()),
                });
                steps.push(Step::Rest(up_to(&mut rng, 60)));
            }
            steps.extend(mayhem.perhaps(&mut rng, 2, 3));
            let markers = writing.markers(epoch + 1);
            writing.rows += markers.len();
            steps.push(Step::Write(markers));
            steps.extend(mayhem.perhaps(&mut rng, 2, 3));
            steps.push(Step::AwaitUnmatched(writing.outcome.unmatched.len()));
        }
        let Writing { outcome, rows, .. } = writing;
        Self { partitions, reject_duplicates, nameless, steps, outcome, rows }
    }

    /// The same stream, and nothing goes wrong.
    pub fn without_mayhem(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Mayhem(_)));
        for step in &mut self.steps {
            if let Step::WriteAndTakeOver(lines, _) = step {
                *step = Step::Write(std::mem::take(lines));
            }
        }
        self
    }

    pub fn events(&self) -> usize {
        let is_event = |step: &&Step| matches!(step, Step::Mayhem(_) | Step::WriteAndTakeOver(..));
        self.steps.iter().filter(is_event).count()
    }
}

/// The mayhem between the writes; the rows are the seed's business.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partitions, reject_duplicates, nameless, .. } = self;
        writeln!(
            f,
            "partitions {partitions:?}, duplicates rejected: {reject_duplicates}, nameless: {nameless}"
        )?;
        for step in &self.steps {
            match step {
                Step::Write(lines) => writeln!(f, "  write {} rows", lines.len())?,
                Step::WriteAndTakeOver(lines, take_over) => {
                    writeln!(f, "  write {} rows, {take_over:?}", lines.len())?;
                }
                Step::Mayhem(event) => writeln!(f, "  {event:?}")?,
                Step::Rest(time) => writeln!(f, "  rest {time:?}")?,
                Step::AwaitUnmatched(count) => writeln!(f, "  await {count} unmatched")?,
            }
        }
        Ok(())
    }
}

fn up_to(rng: &mut StdRng, ms: u64) -> Duration {
    Duration::from_millis(rng.random_range(0..=ms))
}

/// A trip of the epoch that was written last.
struct Written {
    trip_id: String,
    ts: i64,
    present: Vec<Side>,
}

/// The stream as it grows.
struct Writing {
    partitions: [Partition; 3],
    reject_duplicates: bool,
    outcome: Outcome,
    trips: Vec<Written>,
    rows: usize,
}

impl Writing {
    fn tasks(&self) -> Partition {
        self.partitions.into_iter().max().unwrap()
    }

    /// Half of the rows lie where their key belongs, half anywhere.
    fn line(&self, rng: &mut StdRng, side: Side, key: &str, content: Content, ts: i64) -> Line {
        let partitions = self.partitions[side.index()];
        let partition = if rng.random() {
            partition_for(key.as_bytes(), partitions)
        } else {
            rng.random_range(0..partitions)
        };
        Line { side, partition, key: key.to_owned(), content, ts }
    }

    fn rejected(&mut self, key: &str, side: Side, reason: &str) {
        let key = (key.to_owned(), side.as_str().to_owned(), reason.to_owned());
        *self.outcome.rejects.entry(key).or_default() += 1;
    }

    /// Rows that are not late, complete and incomplete trips, some twice, and rows that no trip can have.
    fn epoch(&mut self, rng: &mut StdRng, epoch: usize) -> Vec<Line> {
        let start = epoch as i64 * EPOCH_MS;
        self.trips.clear();
        let mut lines = Vec::new();
        for n in 0..TRIPS {
            let present = match rng.random_range(0..6) {
                0 => {
                    let count = rng.random_range(1..=2);
                    Side::ALL.sample(rng, count).copied().collect()
                }
                _ => Side::ALL.to_vec(),
            };
            lines.extend(self.trip(rng, format!("epoch-{epoch}-{n}"), start, present));
        }
        // Each task decides one at least: by that it shows that its watermark has moved on.
        for task in 0..self.tasks() {
            let mut ids = (0..).map(|n| format!("alone-{epoch}-{n}"));
            let id = ids.find(|id| partition_for(id.as_bytes(), self.tasks()) == task).unwrap();
            let side = *Side::ALL.choose(rng).unwrap();
            lines.extend(self.trip(rng, id, start, vec![side]));
        }
        for n in 0..FAULTY_ROWS {
            let side = *Side::ALL.choose(rng).unwrap();
            let key = format!("faulty-{epoch}-{n}");
            let faulty = Content::FAULTY.choose(rng);
            // One in eight is faulty by its time.
            let (content, reason, ts) = match faulty.filter(|_| rng.random_ratio(7, 8)) {
                Some((content, reason)) => (*content, *reason, start),
                None => (Content::Row, "timestamp", FUTURE_MS),
            };
            lines.push(self.line(rng, side, &key, content, ts));
            self.rejected(&key, side, reason);
        }
        lines
    }

    fn trip(
        &mut self,
        rng: &mut StdRng,
        trip_id: String,
        start: i64,
        present: Vec<Side>,
    ) -> Vec<Line> {
        let first = start + rng.random_range(0..STARTS_MS);
        let mut lines = Vec::new();
        for &side in &present {
            let ts = first + rng.random_range(0..SPREAD_MS);
            lines.push(self.line(rng, side, &trip_id, Content::Row, ts));
        }
        let last = lines.iter().map(|line| line.ts).max().unwrap();
        if rng.random_ratio(1, 6) {
            // Which of the two comes first is a matter of luck, so they are equal.
            let Line { side, ts, .. } = *lines.choose(rng).unwrap();
            lines.push(self.line(rng, side, &trip_id, Content::Row, ts));
            if self.reject_duplicates {
                self.rejected(&trip_id, side, "duplicate");
            } else {
                self.outcome.dropped += 1;
            }
        }
        let missing = Side::ALL.into_iter().filter(|side| !present.contains(side));
        let missing: Vec<String> = missing.map(|side| side.as_str().to_owned()).collect();
        if missing.is_empty() {
            self.outcome.joined.insert(trip_id.clone(), last);
        } else {
            let incomplete = Incomplete { missing, ts: last };
            self.outcome.unmatched.insert(trip_id.clone(), incomplete);
        }
        self.trips.push(Written { trip_id, ts: last, present });
        lines
    }

    /// Late rows of the epoch before, once it is over: of trips that are decided, and of trips never heard of.
    fn stragglers(&mut self, rng: &mut StdRng) -> Vec<Line> {
        let trips = std::mem::take(&mut self.trips);
        let mut lines = Vec::new();
        for trip in &trips {
            if rng.random_ratio(1, 5) {
                let missing = Side::ALL.iter().filter(|side| !trip.present.contains(side));
                // The row that the trip lacked, or one that it had.
                let side = missing.copied().next().unwrap_or(trip.present[0]);
                lines.push(self.line(rng, side, &trip.trip_id, Content::Row, trip.ts));
                self.rejected(&trip.trip_id, side, "late");
            }
        }
        for (n, trip) in trips.iter().take(STRAGGLERS).enumerate() {
            let key = format!("straggler-{n}-{}", trip.trip_id);
            lines.push(self.line(rng, Side::ALL[n % 3], &key, Content::Row, trip.ts));
            self.rejected(&key, Side::ALL[n % 3], "late");
        }
        lines
    }

    /// A row of a complete trip in each partition.
    fn markers(&mut self, epoch: usize) -> Vec<Line> {
        let ts = epoch as i64 * EPOCH_MS;
        let mut lines = Vec::new();
        for n in 0..self.tasks() {
            let key = format!("marker-{epoch}-{n}");
            for side in Side::ALL {
                let partition = n % self.partitions[side.index()];
                let key = key.clone();
                lines.push(Line { side, partition, key, content: Content::Row, ts });
            }
            self.outcome.joined.insert(key, ts);
        }
        lines
    }
}

/// The requests of a joiner, and what a broker may refuse them with.
const REQUESTS: &[(ApiKey, &[ResponseError])] = {
    use ResponseError as E;
    &[
        (ApiKey::Produce, &[E::NotLeaderOrFollower, E::NotEnoughReplicas, E::InvalidProducerEpoch]),
        (
            ApiKey::EndTxn,
            &[
                E::ConcurrentTransactions,
                E::CoordinatorNotAvailable,
                E::NotCoordinator,
                E::ProducerFenced,
            ],
        ),
        (
            ApiKey::TxnOffsetCommit,
            &[
                E::CoordinatorLoadInProgress,
                E::NotCoordinator,
                E::IllegalGeneration,
                E::UnknownMemberId,
            ],
        ),
        (ApiKey::AddPartitionsToTxn, &[E::ConcurrentTransactions, E::CoordinatorNotAvailable]),
        (ApiKey::AddOffsetsToTxn, &[E::ConcurrentTransactions, E::NotCoordinator]),
        (ApiKey::InitProducerId, &[E::ConcurrentTransactions, E::CoordinatorNotAvailable]),
        (ApiKey::JoinGroup, &[E::CoordinatorNotAvailable, E::NotCoordinator, E::UnknownMemberId]),
        (ApiKey::SyncGroup, &[E::RebalanceInProgress, E::NotCoordinator, E::UnknownMemberId]),
        (ApiKey::Heartbeat, &[E::RebalanceInProgress, E::NotCoordinator, E::UnknownMemberId]),
        (ApiKey::Fetch, &[E::NotLeaderOrFollower, E::UnknownTopicOrPartition]),
        (ApiKey::OffsetFetch, &[E::UnstableOffsetCommit, E::NotCoordinator]),
        (ApiKey::ListOffsets, &[E::NotLeaderOrFollower]),
        (ApiKey::FindCoordinator, &[E::CoordinatorNotAvailable]),
        (ApiKey::DeleteRecords, &[E::NotLeaderOrFollower]),
    ]
};

/// Draws what goes wrong next.
struct Mayhem {
    two_joiners: bool,
    nameless: bool,
    second_is_there: bool,
}

impl Mayhem {
    fn perhaps(&mut self, rng: &mut StdRng, numerator: u32, denominator: u32) -> Option<Step> {
        rng.random_ratio(numerator, denominator).then(|| Step::Mayhem(self.event(rng)))
    }

    /// While there is somebody to take over.
    fn perhaps_take_over(&self, rng: &mut StdRng) -> Option<TakeOver> {
        let slow =
            if self.nameless && rng.random() { Slow::Production } else { Slow::EndOfTransaction };
        let joiner = usize::from(rng.random::<bool>());
        let takes = Duration::from_millis(rng.random_range(1_000..=2_500));
        let is_there = self.second_is_there && rng.random_ratio(1, 4);
        is_there.then_some(TakeOver { joiner, slow, takes })
    }

    fn event(&mut self, rng: &mut StdRng) -> Event {
        let joiner = usize::from(self.second_is_there && rng.random());
        match rng.random_range(0..20) {
            // For most of the time there are two, if there may be.
            _ if self.two_joiners && !self.second_is_there && rng.random() => {
                self.second_is_there = true;
                Event::SecondComes
            }
            0..=1 => Event::BrokerDown(up_to(rng, 300)),
            2..=4 => Event::KillAndRestart { joiner, after: up_to(rng, 200) },
            5 => Event::SessionsExpire,
            6 => Event::TransactionTimesOut { joiner },
            7 => Event::Zombie { joiner, lasts: up_to(rng, 400) },
            8..=9 if self.two_joiners => {
                self.second_is_there = !self.second_is_there;
                match (self.second_is_there, rng.random()) {
                    (true, _) => Event::SecondComes,
                    (false, true) => Event::SecondGoes,
                    (false, false) => Event::SecondIsKilled { cleared_after: up_to(rng, 300) },
                }
            }
            _ => request(rng),
        }
    }
}

fn request(rng: &mut StdRng) -> Event {
    let (api, errors) = *REQUESTS.choose(rng).unwrap();
    let back_after = up_to(rng, 200);
    let trouble = match rng.random_range(0..10) {
        0 => Trouble::Delay(up_to(rng, 300)),
        1..=2 => Trouble::Disconnect,
        3..=4 => Trouble::LoseAnswer,
        5 => Trouble::CrashBefore { back_after },
        6 => Trouble::CrashAfter { back_after },
        _ => Trouble::Error(*errors.choose(rng).unwrap()),
    };
    let times = match trouble {
        Trouble::CrashBefore { .. } | Trouble::CrashAfter { .. } => 1,
        _ => rng.random_range(1..=3),
    };
    Event::Request { api, trouble, pass: rng.random_range(0..5), times }
}
