//! What the checker found.

use std::collections::BTreeMap;

use serde::Serialize;

use models::{EventTime, Side};

/// What became of an input row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Part of a joined row.
    Joined,
    /// Part of an unmatched row.
    Unmatched,
    /// Another row had its side of the trip; dropped.
    Duplicate,
    /// On the rejects topic.
    Rejected,
    /// The joiner has not read it yet, or it is on its way to its home partition.
    Unread,
    /// Read, and waiting for the rest of its trip: no watermark that showed has passed its window.
    Waiting,
    /// It should be in an output, and is in none.
    Missing,
    /// Retention has taken the rows that would tell.
    Unjudged,
}

impl Fate {
    /// All fates, in the order in which they index arrays and are shown.
    pub const ALL: [Fate; 8] = [
        Fate::Joined,
        Fate::Unmatched,
        Fate::Duplicate,
        Fate::Rejected,
        Fate::Unread,
        Fate::Waiting,
        Fate::Missing,
        Fate::Unjudged,
    ];
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A trip that can be joined and is not.
    Lost,
    /// A row with more than one fate.
    Twice,
    /// A row without a fate that it should have, or an output without the rows that it is made of.
    Unaccounted,
    /// An output that does not say what its rows say.
    Wrong,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Offence {
    /// What kind of thing.
    pub kind: Kind,
    /// The trip, if the row belongs to one.
    pub trip_id: Option<String>,
    /// What exactly, with the places of the rows.
    pub why: String,
}

/// Numbers of offences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OffenceCounts {
    /// See [`Kind::Lost`].
    pub lost: u64,
    /// See [`Kind::Twice`].
    pub twice: u64,
    /// See [`Kind::Unaccounted`].
    pub unaccounted: u64,
    /// See [`Kind::Wrong`].
    pub wrong: u64,
}

/// Numbers of input rows by side, in the order of [`Side::ALL`], and fate, in the order of [`Fate::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fates([[u64; 8]; 3]);

/// What the checker found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What became of the input rows.
    pub fates: Fates,
    /// Rows on the output of joined rows.
    pub joined: u64,
    /// Rows on the output of unmatched rows.
    pub unmatched: u64,
    /// Sides in them.
    pub unmatched_sides: u64,
    /// Rows on the output of rejects, by their reason.
    pub rejects: BTreeMap<String, u64>,
    /// Timestamp of the oldest row that waits.
    pub oldest_waiting: Option<EventTime>,
    /// Outputs whose rows retention may have taken.
    pub unjudged_outputs: u64,
    /// How many things are wrong.
    pub counts: OffenceCounts,
    /// What is wrong, sorted: all of it up to [`Verdict::KEPT`].
    pub offences: Vec<Offence>,
}

impl Fates {
    pub(crate) fn add(&mut self, side: Side, fate: Fate) {
        self.0[side.index()][fate as usize] += 1;
    }

    /// Rows of `side` with `fate`.
    pub fn of(&self, side: Side, fate: Fate) -> u64 {
        self.0[side.index()][fate as usize]
    }

    /// Rows of all sides with `fate`.
    pub fn total(&self, fate: Fate) -> u64 {
        Side::ALL.into_iter().map(|side| self.of(side, fate)).sum()
    }

    /// All rows of `side`.
    pub fn rows(&self, side: Side) -> u64 {
        self.0[side.index()].iter().sum()
    }

    /// All rows.
    pub fn all(&self) -> u64 {
        Side::ALL.into_iter().map(|side| self.rows(side)).sum()
    }

    /// Rows that are not decided yet.
    pub fn open(&self) -> u64 {
        self.total(Fate::Unread) + self.total(Fate::Waiting)
    }
}

impl Verdict {
    /// How many offences are described at most; all are counted.
    pub const KEPT: usize = 10_000;

    /// Whether nothing is wrong. Rows may still be open.
    pub fn is_clean(&self) -> bool {
        self.counts == OffenceCounts::default() && self.is_conserved()
    }

    /// All rejects.
    pub fn rejected(&self) -> u64 {
        self.rejects.values().sum()
    }

    /// The conservation law, with what was counted on the outputs: rows in = 3 x joined + sides in unmatched +
    /// duplicates + rejected + open.
    pub fn is_conserved(&self) -> bool {
        let unjudged = self.fates.total(Fate::Unjudged) + self.unjudged_outputs;
        let decided = 3 * self.joined
            + self.unmatched_sides
            + self.fates.total(Fate::Duplicate)
            + self.fates.total(Fate::Rejected);
        // With rows gone on either side, the outputs can't be held against the inputs.
        unjudged > 0 || self.fates.all() == decided + self.fates.open()
    }

    pub(crate) fn offence(&mut self, kind: Kind, trip_id: Option<&str>, why: String) {
        let count = match kind {
            Kind::Lost => &mut self.counts.lost,
            Kind::Twice => &mut self.counts.twice,
            Kind::Unaccounted => &mut self.counts.unaccounted,
            Kind::Wrong => &mut self.counts.wrong,
        };
        *count += 1;
        if self.offences.len() < Self::KEPT {
            self.offences.push(Offence { kind, trip_id: trip_id.map(str::to_owned), why });
        }
    }
}
