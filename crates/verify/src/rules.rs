//! What a verdict must know of the joiner's settings.

use std::time::Duration;

use models::Side;

use crate::rows::Place;

/// What the joiner was set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How far apart the rows of one trip may be.
    pub window: Duration,
    /// What the inputs are called, in the order of [`Side::ALL`].
    pub inputs: [String; 3],
    /// What the outputs are called: joined, unmatched, rejects.
    pub outputs: [String; 3],
}

impl Rules {
    pub(crate) fn window_ms(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX)
    }

    /// Where an input row lies, for people: `hw.fake.trips/2/41`.
    pub(crate) fn input(&self, side: Side, place: Place) -> String {
        format!("{}/{place}", self.inputs[side.index()])
    }

    pub(crate) fn joined(&self, place: Place) -> String {
        format!("{}/{place}", self.outputs[0])
    }

    pub(crate) fn unmatched(&self, place: Place) -> String {
        format!("{}/{place}", self.outputs[1])
    }

    pub(crate) fn reject(&self, place: Place) -> String {
        format!("{}/{place}", self.outputs[2])
    }
}
