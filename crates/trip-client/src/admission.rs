//! Which ticks start, wait or are skipped when earlier requests still run: a state machine without time.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What becomes of a tick that is due while an earlier request still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Overrun {
    /// It is skipped.
    Skip,
    /// It waits in a bounded queue; when that is full it is skipped.
    Queue,
    /// It starts beside the others while fewer than `max_in_flight` run, else it is skipped.
    Overlap,
}

impl Overrun {
    /// All policies.
    pub const ALL: [Overrun; 3] = [Overrun::Skip, Overrun::Queue, Overrun::Overlap];

    /// The name used in the configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Overrun::Skip => "skip",
            Overrun::Queue => "queue",
            Overrun::Overlap => "overlap",
        }
    }
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Overrun {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of skip, queue, overlap"))
    }
}

impl TryFrom<String> for Overrun {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why a tick was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The request before it still ran ([`Overrun::Skip`]).
    Busy,
    /// The queue was full ([`Overrun::Queue`]).
    QueueFull,
    /// `max_in_flight` requests ran, this job's and those of others.
    InFlightFull,
    /// Its time passed unseen: the schedule found it over when it looked again.
    Missed,
    /// The API was down, and another request was finding out whether it is back.
    CircuitOpen,
}

impl SkipReason {
    /// The name used in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            SkipReason::Busy => "busy",
            SkipReason::QueueFull => "queue_full",
            SkipReason::InFlightFull => "in_flight_full",
            SkipReason::Missed => "missed",
            SkipReason::CircuitOpen => "circuit_open",
        }
    }
}

/// What [`Admission::offer`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionDecision<T> {
    /// Start it now; it counts as running until [`Admission::finish`].
    Start(T),
    /// It waits for [`Admission::finish`].
    Queued,
    /// It will not start.
    Skip(SkipReason),
}

/// The ticks of one job.
#[derive(Debug)]
struct Lane<T> {
    policy: Overrun,
    at_once: usize,
    queue_limit: usize,
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Lane<T> {
    fn is_free(&self) -> bool {
        self.running < self.at_once
    }
}

/// Decides over ticks of type `T`, each in the lane of its job. At no time do more run than a lane's policy allows, nor
/// more than `max_in_flight` in all lanes together.
#[derive(Debug)]
pub struct Admission<T> {
    max_in_flight: usize,
    running: usize,
    lanes: Vec<Lane<T>>,
    /// The lane whose waiting tick is looked at first when a place is free.
    turn: usize,
}

impl<T> Admission<T> {
    /// A lane for each policy, with the most ticks that may wait in it under [`Overrun::Queue`]. `max_in_flight` (at
    /// least 1) bounds all that runs; under the two policies other than [`Overrun::Overlap`] one of a lane runs at a
    /// time.
    pub fn new(lanes: impl IntoIterator<Item = (Overrun, usize)>, max_in_flight: usize) -> Self {
        let max_in_flight = max_in_flight.max(1);
        let lane = |(policy, queue_limit)| {
            let at_once = if policy == Overrun::Overlap { max_in_flight } else { 1 };
            Lane { policy, at_once, queue_limit, running: 0, waiting: VecDeque::new() }
        };
        let lanes = lanes.into_iter().map(lane).collect();
        Self { max_in_flight, running: 0, lanes, turn: 0 }
    }

    /// A tick of `lane` is due.
    pub fn offer(&mut self, lane: usize, tick: T) -> AdmissionDecision<T> {
        let has_place = self.running < self.max_in_flight;
        let lane = &mut self.lanes[lane];
        if has_place && lane.is_free() {
            self.running += 1;
            lane.running += 1;
            return AdmissionDecision::Start(tick);
        }
        match lane.policy {
            Overrun::Queue if lane.waiting.len() < lane.queue_limit => {
                lane.waiting.push_back(tick);
                AdmissionDecision::Queued
            }
            Overrun::Queue => AdmissionDecision::Skip(SkipReason::QueueFull),
            Overrun::Skip if !lane.is_free() => AdmissionDecision::Skip(SkipReason::Busy),
            Overrun::Skip | Overrun::Overlap => AdmissionDecision::Skip(SkipReason::InFlightFull),
        }
    }

    /// A running request of `lane` ended. Returns the tick to start in its place, of whichever lane, which then counts
    /// as running; lanes take turns.
    pub fn finish(&mut self, lane: usize) -> Option<T> {
        self.running = self.running.saturating_sub(1);
        let ended = &mut self.lanes[lane];
        ended.running = ended.running.saturating_sub(1);
        for step in 0..self.lanes.len() {
            let index = (self.turn + step) % self.lanes.len();
            let lane = &mut self.lanes[index];
            if lane.is_free()
                && let Some(next) = lane.waiting.pop_front()
            {
                lane.running += 1;
                self.running += 1;
                self.turn = index + 1;
                return Some(next);
            }
        }
        None
    }

    /// Gives up the ticks that wait and returns them.
    pub fn drop_waiting(&mut self) -> Vec<T> {
        self.lanes.iter_mut().flat_map(|lane| std::mem::take(&mut lane.waiting)).collect()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `o` offers the next number, `f` finishes a request; the answer has one word a step.
    fn check(policy: Overrun, queue_limit: usize, max_in_flight: usize, steps: &str, want: &str) {
        let mut admission = Admission::new([(policy, queue_limit)], max_in_flight);
        let mut next = 0;
        let got: Vec<String> = steps
            .chars()
            .map(|step| match step {
                'o' => {
                    next += 1;
                    match admission.offer(0, next) {
                        AdmissionDecision::Start(tick) => format!("start{tick}"),
                        AdmissionDecision::Queued => format!("wait{next}"),
                        AdmissionDecision::Skip(reason) => reason.as_str().to_owned(),
                    }
                }
                _ => admission.finish(0).map_or("idle".to_owned(), |tick| format!("start{tick}")),
            })
            .collect();
        assert_eq!(got.join(" "), want, "{policy} queue={queue_limit} max={max_in_flight} {steps}");
    }

    #[test]
    fn each_policy_treats_overrun_in_its_own_way() {
        check(Overrun::Skip, 9, 9, "ooofo", "start1 busy busy idle start4");
        check(Overrun::Queue, 2, 9, "oooofff", "start1 wait2 wait3 queue_full start2 start3 idle");
        check(Overrun::Queue, 0, 9, "oof", "start1 queue_full idle");
        check(Overrun::Overlap, 9, 2, "ooofo", "start1 start2 in_flight_full idle start4");
        check(Overrun::Overlap, 9, 0, "oo", "start1 in_flight_full");
    }

    #[test]
    fn policies_are_read_by_name_and_others_refused_with_the_names() {
        for policy in Overrun::ALL {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.as_str());
            assert_eq!(serde_json::from_value::<Overrun>(policy.as_str().into()).unwrap(), policy);
        }
        let error = serde_json::from_value::<Overrun>("later".into()).unwrap_err();
        assert_eq!(error.to_string(), "\"later\" is none of skip, queue, overlap");
    }

    #[test]
    fn ticks_that_wait_at_the_end_are_counted_and_gone() {
        let mut admission = Admission::new([(Overrun::Queue, 5)], 1);
        for tick in 0..4 {
            admission.offer(0, tick);
        }
        assert_eq!(admission.drop_waiting(), [1, 2, 3]);
        assert_eq!(admission.finish(0), None);
        assert_eq!(admission.running(), 0);
    }

    #[test]
    fn lanes_hold_each_other_up_only_at_the_common_limit_and_take_turns() {
        let lanes = [(Overrun::Queue, 9), (Overrun::Queue, 9), (Overrun::Skip, 0)];
        let mut admission = Admission::new(lanes, 2);
        assert_eq!(admission.offer(0, "a1"), AdmissionDecision::Start("a1"));
        assert_eq!(admission.offer(0, "a2"), AdmissionDecision::Queued, "one of a lane at a time");
        assert_eq!(admission.offer(1, "b1"), AdmissionDecision::Start("b1"));
        assert_eq!(admission.offer(1, "b2"), AdmissionDecision::Queued);
        assert_eq!(admission.offer(2, "c1"), AdmissionDecision::Skip(SkipReason::InFlightFull));
        assert_eq!(admission.finish(0), Some("a2"));
        assert_eq!(admission.offer(0, "a3"), AdmissionDecision::Queued);
        assert_eq!(admission.finish(0), Some("a3"), "b1 still runs, so b2 waits");
        assert_eq!(admission.finish(1), Some("b2"));
        assert_eq!(admission.finish(0), None);
        assert_eq!(admission.offer(2, "c2"), AdmissionDecision::Start("c2"));
        assert_eq!(admission.offer(2, "c3"), AdmissionDecision::Skip(SkipReason::Busy));
    }

    proptest! {
        #[test]
        fn every_tick_starts_waits_or_is_skipped_and_the_limits_hold(
            lanes in prop::collection::vec(
                (prop::sample::select(&Overrun::ALL[..]), 0usize..4), 1..4),
            max_in_flight in 1usize..4,
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
        ) {
            let mut admission = Admission::new(lanes.clone(), max_in_flight);
            let (mut offered, mut skipped) = (0, 0);
            // The lanes of the ticks that started, and of those that run.
            let (mut started, mut running) = (0, Vec::new());
            for (offers, pick) in steps {
                let next = if offers {
                    offered += 1;
                    let lane = pick.index(lanes.len());
                    match admission.offer(lane, lane) {
                        AdmissionDecision::Start(lane) => Some(lane),
                        AdmissionDecision::Queued => None,
                        AdmissionDecision::Skip(_) => {
                            skipped += 1;
                            None
                        }
                    }
                } else if running.is_empty() {
                    None
                } else {
                    let ended = running.swap_remove(pick.index(running.len()));
                    admission.finish(ended)
                };
                started += usize::from(next.is_some());
                running.extend(next);
                prop_assert!(running.len() <= max_in_flight);
                prop_assert_eq!(admission.running(), running.len());
                for (lane, (policy, _)) in lanes.iter().enumerate() {
                    let of_lane = running.iter().filter(|running| **running == lane).count();
                    prop_assert!(*policy == Overrun::Overlap || of_lane <= 1);
                }
                let limit: usize = lanes.iter().map(|(_, queue_limit)| queue_limit).sum();
                prop_assert!(admission.waiting() <= limit);
                prop_assert_eq!(offered, started + skipped + admission.waiting());
                prop_assert!(running.len() == max_in_flight || admission.waiting() == 0
                    || !running.is_empty(), "what waits has something to wait for");
            }
        }
    }
}
