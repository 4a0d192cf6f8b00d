//! Streams made up row by row.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use generator::Generator;
use models::records::{CompleteTrip, JoinedStream, UnmatchedTrip};
use models::{EventTime, Side};
use verify::{Input, Ledger, Place, Progress, Rules, Verdict, judge};

pub(crate) const WINDOW_MS: i64 = 600_000;
/// When the first row of a trip happens.
pub(crate) const START_MS: i64 = 1_795_348_800_000;

pub(crate) fn rules() -> Rules {
    Rules {
        window: Duration::from_millis(WINDOW_MS.unsigned_abs()),
        inputs: ["trips", "drivers", "riders"].map(str::to_owned),
        outputs: ["joined", "unmatched", "rejects"].map(str::to_owned),
    }
}

/// The joiner has read everything.
pub(crate) fn all_read() -> Progress {
    let next = || BTreeMap::from([(0, i64::MAX)]);
    Progress { next: [next(), next(), next()], tasks: 1, ..Progress::default() }
}

fn completion() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(START_MS).expect("a time of this century")
}

pub(crate) fn rows(index: u64) -> CompleteTrip {
    Generator::new(1).complete_trip(index, completion())
}

pub(crate) fn at(offset: i64) -> Place {
    Place { partition: 0, offset }
}

fn ts(ms: i64) -> EventTime {
    EventTime::from_millis(START_MS + ms)
}

/// Streams under construction: each row goes to the next offset of its topic.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) ledger: Ledger,
    inputs: [i64; 3],
    outputs: [i64; 3],
}

impl Streams {
    pub(crate) fn input(&mut self, ms: i64, input: &Input) -> Place {
        let offset = &mut self.inputs[input.side().index()];
        let place = at(*offset);
        *offset += 1;
        self.ledger.input(place, Some(ts(ms)), input);
        place
    }

    pub(crate) fn trip(&mut self, ms: i64, rows: &CompleteTrip) -> Place {
        self.input(ms, &Input::Trip(rows.trip_data.clone()))
    }

    pub(crate) fn driver(&mut self, ms: i64, rows: &CompleteTrip) -> Place {
        self.input(ms, &Input::Driver(rows.driver_earning_data.clone()))
    }

    pub(crate) fn rider(&mut self, ms: i64, rows: &CompleteTrip) -> Place {
        self.input(ms, &Input::Rider(rows.rider_data.clone()))
    }

    /// All three rows, a second apart.
    pub(crate) fn three(&mut self, rows: &CompleteTrip) {
        self.trip(0, rows);
        self.driver(1_000, rows);
        self.rider(2_000, rows);
    }

    pub(crate) fn joined(&mut self, ms: i64, row: &JoinedStream) {
        self.ledger.joined(at(self.outputs[0]), Some(ts(ms)), row);
        self.outputs[0] += 1;
    }

    pub(crate) fn unmatched(&mut self, ms: i64, row: &UnmatchedTrip) {
        self.ledger.unmatched(at(self.outputs[1]), Some(ts(ms)), row);
        self.outputs[1] += 1;
    }

    pub(crate) fn rejected(&mut self, side: Side, origin: Place, reason: &str) {
        self.ledger.rejected(at(self.outputs[2]), side, origin, reason);
        self.outputs[2] += 1;
    }

    pub(crate) fn judge(&self) -> Verdict {
        judge(&self.ledger, &rules(), &all_read())
    }
}

pub(crate) fn join(rows: &CompleteTrip) -> JoinedStream {
    let rows = rows.clone();
    JoinedStream::new(rows.trip_data, rows.driver_earning_data, rows.rider_data)
}

/// The unmatched row of a trip with the sides given.
pub(crate) fn unmatched(rows: &CompleteTrip, sides: &[Side], watermark_ms: i64) -> UnmatchedTrip {
    let has = |side| sides.contains(&side);
    UnmatchedTrip {
        trip_id: rows.trip_id.clone(),
        trip: has(Side::Trip).then(|| rows.trip_data.clone()),
        driver_earning: has(Side::Driver).then(|| rows.driver_earning_data.clone()),
        rider: has(Side::Rider).then(|| rows.rider_data.clone()),
        missing: Side::ALL
            .into_iter()
            .filter(|side| !has(*side))
            .map(|side| side.as_str().to_owned())
            .collect(),
        reason: "window_expired".to_owned(),
        watermark: START_MS + watermark_ms,
    }
}
