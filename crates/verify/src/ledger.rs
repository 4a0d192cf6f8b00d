//! All rows that were read, by the trip that they belong to.

use std::collections::{BTreeMap, HashMap};

use models::records::{JoinedStream, UnmatchedTrip};
use models::{EventTime, Partition, Side};
use rustc_hash::FxHashMap;

use crate::rows::{Input, InputRow, JoinedRow, Place, UnmatchedRow};

/// The rows of one trip. Nearly always three inputs and one output.
#[derive(Debug, Default)]
pub(crate) struct TripRows {
    pub(crate) inputs: Vec<InputRow>,
    pub(crate) outputs: Vec<Output>,
}

#[derive(Debug)]
pub(crate) enum Output {
    Joined(JoinedRow),
    // Rare and larger.
    Unmatched(Box<UnmatchedRow>),
}

/// A reject of an input row.
#[derive(Debug, Clone)]
pub(crate) struct Reject {
    pub(crate) place: Place,
    pub(crate) reason: Box<str>,
}

/// How far the joiner has come, as far as that shows from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// For each input, in the order of [`Side::ALL`], the offset that the joiner reads next in each partition.
    /// A partition that is not there has not been read.
    pub next: [BTreeMap<Partition, i64>; 3],
    /// Rows forwarded to their home partition and not read there yet.
    pub forwarded: u64,
    /// Number of the joiner's tasks: the partition count of its repartition topic.
    pub tasks: Partition,
    /// Whether inputs have lost their oldest rows to retention, so that outputs can lack theirs.
    pub inputs_cut: bool,
    /// Whether outputs have lost their oldest rows to retention.
    pub outputs_cut: bool,
}

impl Progress {
    /// Whether the joiner has read the row at `place`.
    pub(crate) fn is_read(&self, side: Side, place: Place) -> bool {
        self.forwarded == 0
            && self.next[side.index()]
                .get(&place.partition)
                .is_some_and(|next| place.offset < *next)
    }
}

/// Collects rows, in any order. [`judge`](crate::judge()) judges them.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) trips: HashMap<Box<str>, TripRows, rustc_hash::FxBuildHasher>,
    pub(crate) unreadable: FxHashMap<(Side, Place), Box<str>>,
    pub(crate) rejects: FxHashMap<(Side, Place), Vec<Reject>>,
    pub(crate) unreadable_outputs: Vec<(String, String)>,
    pub(crate) internal_rejects: u64,
}

impl Ledger {
    /// A row of an input that can be read and names a trip.
    pub fn input(&mut self, place: Place, ts: Option<EventTime>, input: &Input) {
        let row = InputRow::new(place, ts, input);
        let inputs = &mut self.trip(input.trip_id()).inputs;
        if inputs.is_empty() {
            inputs.reserve_exact(3);
        }
        inputs.push(row);
    }

    /// A row of an input that belongs to no trip, and why: it must have been rejected.
    pub fn unreadable_input(&mut self, side: Side, place: Place, why: impl Into<Box<str>>) {
        self.unreadable.insert((side, place), why.into());
    }

    /// A joined row.
    pub fn joined(&mut self, place: Place, ts: Option<EventTime>, row: &JoinedStream) {
        self.output(&row.trip_id, Output::Joined(JoinedRow::new(place, ts, row)));
    }

    /// An unmatched row.
    pub fn unmatched(&mut self, place: Place, ts: Option<EventTime>, row: &UnmatchedTrip) {
        let output = Output::Unmatched(Box::new(UnmatchedRow::new(place, ts, row)));
        self.output(&row.trip_id, output);
    }

    /// A reject of the row at `origin` of the input `side`.
    pub fn rejected(&mut self, place: Place, side: Side, origin: Place, reason: &str) {
        let reject = Reject { place, reason: reason.into() };
        self.rejects.entry((side, origin)).or_default().push(reject);
    }

    /// A reject of something that was in no input, but in the joiner's internal topic.
    pub fn rejected_internal(&mut self) {
        self.internal_rejects += 1;
    }

    /// A row of an output that can't be read: always a fault. `which` is its topic, partition and offset.
    pub fn unreadable_output(&mut self, which: String, why: String) {
        self.unreadable_outputs.push((which, why));
    }

    fn trip(&mut self, trip_id: &str) -> &mut TripRows {
        // Most rows belong to a trip that is known: no text is set aside for those.
        if !self.trips.contains_key(trip_id) {
            self.trips.insert(trip_id.into(), TripRows::default());
        }
        self.trips.get_mut(trip_id).expect("it is there now")
    }

    fn output(&mut self, trip_id: &str, output: Output) {
        let outputs = &mut self.trip(trip_id).outputs;
        if outputs.is_empty() {
            outputs.reserve_exact(1);
        }
        outputs.push(output);
    }
}
