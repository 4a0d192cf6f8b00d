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
    /// `max_in_flight` requests ran ([`Overrun::Overlap`]).
    InFlightFull,
    /// Its time passed unseen: the schedule found it over when it looked again.
    Missed,
}

impl SkipReason {
    /// The name used in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            SkipReason::Busy => "busy",
            SkipReason::QueueFull => "queue_full",
            SkipReason::InFlightFull => "in_flight_full",
            SkipReason::Missed => "missed",
        }
    }
}

/// What [`Admission::offer`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Start it now; it counts as running until [`Admission::finish`].
    Start(T),
    /// It waits for [`Admission::finish`].
    Queued,
    /// It will not start.
    Skip(SkipReason),
}

/// Decides over ticks of type `T`. At no time do more run than the policy and `max_in_flight` allow.
#[derive(Debug)]
pub struct Admission<T> {
    policy: Overrun,
    at_once: usize,
    queue_limit: usize,
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Admission<T> {
    /// `queue_limit` bounds the ticks that wait under [`Overrun::Queue`], `max_in_flight` (at least 1) the requests
    /// that run under [`Overrun::Overlap`]. The other two policies run one at a time.
    pub fn new(policy: Overrun, queue_limit: usize, max_in_flight: usize) -> Self {
        let at_once = if policy == Overrun::Overlap { max_in_flight.max(1) } else { 1 };
        Self { policy, at_once, queue_limit, running: 0, waiting: VecDeque::new() }
    }

    /// A tick is due.
    pub fn offer(&mut self, tick: T) -> Verdict<T> {
        if self.running < self.at_once {
            self.running += 1;
            return Verdict::Start(tick);
        }
        match self.policy {
            Overrun::Skip => Verdict::Skip(SkipReason::Busy),
            Overrun::Overlap => Verdict::Skip(SkipReason::InFlightFull),
            Overrun::Queue if self.waiting.len() < self.queue_limit => {
                self.waiting.push_back(tick);
                Verdict::Queued
            }
            Overrun::Queue => Verdict::Skip(SkipReason::QueueFull),
        }
    }

    /// A running request ended. Returns the tick to start in its place, which then counts as running.
    pub fn finish(&mut self) -> Option<T> {
        self.running = self.running.saturating_sub(1);
        let next = self.waiting.pop_front();
        self.running += usize::from(next.is_some());
        next
    }

    /// Gives up the ticks that wait and returns how many they were.
    pub fn drop_waiting(&mut self) -> u64 {
        let waiting = self.waiting.len() as u64;
        self.waiting.clear();
        waiting
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `o` offers the next number, `f` finishes a request; the answer has one word a step.
    fn check(policy: Overrun, queue_limit: usize, max_in_flight: usize, steps: &str, want: &str) {
        let mut admission = Admission::new(policy, queue_limit, max_in_flight);
        let mut next = 0;
        let got: Vec<String> = steps
            .chars()
            .map(|step| match step {
                'o' => {
                    next += 1;
                    match admission.offer(next) {
                        Verdict::Start(tick) => format!("start{tick}"),
                        Verdict::Queued => format!("wait{next}"),
                        Verdict::Skip(reason) => reason.as_str().to_owned(),
                    }
                }
                _ => admission.finish().map_or("idle".to_owned(), |tick| format!("start{tick}")),
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
        let mut admission = Admission::new(Overrun::Queue, 5, 1);
        for tick in 0..4 {
            admission.offer(tick);
        }
        assert_eq!(admission.drop_waiting(), 3);
        assert_eq!(admission.finish(), None);
        assert_eq!(admission.running(), 0);
    }

    proptest! {
        #[test]
        fn every_tick_starts_waits_or_is_skipped_and_the_limit_holds(
            policy in prop::sample::select(&Overrun::ALL[..]),
            queue_limit in 0usize..4,
            max_in_flight in 1usize..4,
            steps in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut admission = Admission::new(policy, queue_limit, max_in_flight);
            let (mut offered, mut started, mut skipped) = (0u64, 0u64, 0u64);
            for offers in steps {
                if offers {
                    offered += 1;
                    match admission.offer(offered) {
                        Verdict::Start(_) => started += 1,
                        Verdict::Queued => {}
                        Verdict::Skip(_) => skipped += 1,
                    }
                } else if admission.running() > 0 && admission.finish().is_some() {
                    started += 1;
                }
                prop_assert!(admission.running() <= max_in_flight);
                prop_assert!(admission.waiting() <= queue_limit);
                prop_assert_eq!(offered, started + skipped + admission.waiting() as u64);
            }
        }
    }
}
