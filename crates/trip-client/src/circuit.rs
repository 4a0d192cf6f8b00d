//! A circuit breaker (Nygard, "Release It!"): while the API is down, one request at a time finds out whether it is back.
//! A state machine without a clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// Leave to send one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitPass {
    /// The circuit is closed.
    Free,
    /// The circuit is open, and this attempt is its one probe.
    Probe {
        /// The number of the outage that it asks about. Another one may be under way when it ends: a late answer to an
        /// attempt from before may have closed the circuit meanwhile.
        outage: u64,
    },
}

/// The circuit of one API. It opens after so many attempts in a row that found nobody there, and closes with the first
/// answer, whatever that says.
#[derive(Debug)]
pub(crate) struct Circuit {
    open_after: u32,
    backoff: Backoff,
    failures: u32,
    /// How many outages there were; the number of the last one.
    outages: u64,
    open: Option<OpenCircuit>,
}

#[derive(Debug)]
struct OpenCircuit {
    failed_probes: u32,
    next_probe: Instant,
    probing: bool,
}

impl Circuit {
    /// `backoff` says how long after one probe the next may go.
    pub(crate) fn new(open_after: u32, backoff: Backoff) -> Self {
        Self { open_after, backoff, failures: 0, outages: 0, open: None }
    }

    /// May an attempt go at `now`? A probe must end in [`Circuit::answered`], [`Circuit::failed`] or
    /// [`Circuit::give_back`].
    pub(crate) fn ask(&mut self, now: Instant) -> Option<CircuitPass> {
        match &mut self.open {
            None => Some(CircuitPass::Free),
            Some(open) if !open.probing && now >= open.next_probe => {
                open.probing = true;
                Some(CircuitPass::Probe { outage: self.outages })
            }
            Some(_) => None,
        }
    }

    /// The attempt is not made after all.
    pub(crate) fn give_back(&mut self, pass: CircuitPass) {
        if let Some(open) = &mut self.open
            && pass == (CircuitPass::Probe { outage: self.outages })
        {
            open.probing = false;
        }
    }

    /// The API answered.
    pub(crate) fn answered(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// Nobody answered at `now`, or one who asks to come back after `asked`. `random` is as for [`Backoff::delay`].
    pub(crate) fn failed(
        &mut self,
        pass: CircuitPass,
        now: Instant,
        asked: Option<Duration>,
        random: f64,
    ) {
        self.failures = self.failures.saturating_add(1);
        let failed_probes = match (&self.open, pass) {
            (None, _) if self.failures >= self.open_after => {
                self.outages += 1;
                0
            }
            (Some(open), CircuitPass::Probe { outage }) if outage == self.outages => {
                open.failed_probes.saturating_add(1)
            }
            // One more that was sent before the circuit opened, or the probe of an earlier outage.
            _ => return,
        };
        let delay = self.backoff.delay_at_least(asked, failed_probes, random);
        self.open = Some(OpenCircuit { failed_probes, next_probe: now + delay, probing: false });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff =
        Backoff { initial: Duration::from_millis(100), max: Duration::from_millis(300) };

    /// The probe of the first outage.
    const PROBE: CircuitPass = CircuitPass::Probe { outage: 1 };

    #[test]
    fn an_outage_is_probed_by_one_attempt_at_a_time_and_ends_with_the_first_answer() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut circuit = Circuit::new(2, BACKOFF);
        assert_eq!(circuit.ask(at(0)), Some(CircuitPass::Free));
        circuit.failed(CircuitPass::Free, at(0), None, 1.0);
        assert_eq!(circuit.ask(at(0)), Some(CircuitPass::Free), "one failure is no outage");
        circuit.failed(CircuitPass::Free, at(0), None, 1.0);
        // (milliseconds, what may go); each probe fails at once
        for (ms, want) in [
            (0, None),
            (99, None),
            (100, Some(PROBE)),
            (299, None),
            (300, Some(PROBE)),
            (599, None),
            (600, Some(PROBE)),
        ] {
            assert_eq!(circuit.ask(at(ms)), want, "at {ms} ms");
            assert_eq!(circuit.ask(at(ms)), None, "a second one at {ms} ms");
            if let Some(pass) = want {
                circuit.failed(pass, at(ms), None, 1.0);
            }
        }
        assert_eq!(circuit.ask(at(900)), Some(PROBE));
        circuit.answered();
        assert_eq!(circuit.ask(at(900)), Some(CircuitPass::Free));
        circuit.failed(CircuitPass::Free, at(900), None, 1.0);
        assert_eq!(circuit.ask(at(900)), Some(CircuitPass::Free), "the count began anew");
    }

    #[test]
    fn a_probe_that_is_not_sent_leaves_its_place_to_another() {
        let start = Instant::now();
        let mut circuit = Circuit::new(1, BACKOFF);
        circuit.failed(CircuitPass::Free, start, None, 1.0);
        let later = start + Duration::from_secs(1);
        let pass = circuit.ask(later).unwrap();
        circuit.give_back(pass);
        assert_eq!(circuit.ask(later), Some(PROBE));
    }

    #[test]
    fn a_late_failure_from_before_the_outage_does_not_put_off_the_probe() {
        let start = Instant::now();
        let mut circuit = Circuit::new(1, BACKOFF);
        circuit.failed(CircuitPass::Free, start, None, 1.0);
        let probe_at = start + Duration::from_millis(100);
        circuit.failed(CircuitPass::Free, probe_at, None, 1.0);
        assert_eq!(circuit.ask(probe_at), Some(PROBE));
    }

    #[test]
    fn the_api_may_ask_for_a_longer_wait_up_to_the_limit() {
        for (asked_s, probe_ms) in [(0, 100), (1, 300)] {
            let start = Instant::now();
            let mut circuit = Circuit::new(1, BACKOFF);
            circuit.failed(CircuitPass::Free, start, Some(Duration::from_secs(asked_s)), 1.0);
            assert_eq!(circuit.ask(start + Duration::from_millis(probe_ms - 1)), None);
            let probe = circuit.ask(start + Duration::from_millis(probe_ms));
            assert_eq!(probe, Some(PROBE), "{asked_s} s");
        }
    }

    #[test]
    fn a_probe_of_an_earlier_outage_takes_nothing_from_the_next_one() {
        type End = fn(&mut Circuit, CircuitPass, Instant);
        let ends: [End; 2] = [
            |circuit, probe, now| circuit.failed(probe, now, None, 1.0),
            |circuit, probe, _| circuit.give_back(probe),
        ];
        for end in ends {
            let start = Instant::now();
            let at = |s| start + Duration::from_secs(s);
            let mut circuit = Circuit::new(1, BACKOFF);
            circuit.failed(CircuitPass::Free, at(0), None, 1.0);
            let early = circuit.ask(at(1)).unwrap();
            // One that was sent before the outage has its answer now, while the probe waits for its own.
            circuit.answered();
            circuit.failed(CircuitPass::Free, at(2), None, 1.0);
            assert!(circuit.ask(at(3)).is_some(), "the next outage has its own probe");
            end(&mut circuit, early, at(4));
            assert_eq!(circuit.ask(at(5)), None, "that one is still under way");
        }
    }

    const OPEN_AFTER: u32 = 2;

    /// Something that happened to an attempt.
    #[derive(Debug, Clone, Copy)]
    struct Event {
        attempt: usize,
        at: Instant,
        what: What,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum What {
        Admitted,
        Answered,
        Failed { asked: Option<Duration>, random: f64 },
        GivenBack,
    }

    impl Event {
        fn is_failure(&self) -> bool {
            matches!(self.what, What::Failed { .. })
        }
    }

    /// All that happened, in order. What is to be is found by looking through all of it.
    #[derive(Debug, Default)]
    struct History(Vec<Event>);

    impl History {
        /// What happened in the outage that still lasts, from the failure that began it on.
        fn outage(&self) -> Option<&[Event]> {
            let answer = self.0.iter().rposition(|event| event.what == What::Answered);
            let since = &self.0[answer.map_or(0, |answer| answer + 1)..];
            let mut failures = (0..since.len()).filter(|at| since[*at].is_failure());
            Some(&since[failures.nth(OPEN_AFTER as usize - 1)?..])
        }

        /// Whether an attempt may go at `now`, and if so whether it is a probe.
        fn admits(&self, now: Instant) -> Option<bool> {
            let Some(outage) = self.outage() else { return Some(false) };
            let is_probe = |attempt| {
                let mut admitted = outage.iter().filter(|event| event.what == What::Admitted);
                admitted.any(|event| event.attempt == attempt)
            };
            let of_probes = || outage.iter().filter(|event| is_probe(event.attempt));
            let sent = of_probes().filter(|event| event.what == What::Admitted).count();
            if of_probes().count() != 2 * sent {
                return None;
            }
            let failed_probes: Vec<_> = of_probes().filter(|event| event.is_failure()).collect();
            let last = failed_probes.last().map_or(outage[0], |event| **event);
            let What::Failed { asked, random } = last.what else { unreachable!("a failure") };
            let delay = BACKOFF.delay_at_least(asked, failed_probes.len() as u32, random);
            (now >= last.at + delay).then_some(true)
        }
    }

    proptest! {
        #[test]
        fn attempts_go_as_a_model_says_that_keeps_all_events(
            steps in prop::collection::vec(
                (0u64..150, 0u8..12, any::<prop::sample::Index>(), prop::option::of(0u64..2), 0.0..1.0),
                1..200,
            ),
        ) {
            let mut circuit = Circuit::new(OPEN_AFTER, BACKOFF);
            let (mut now, mut history) = (Instant::now(), History::default());
            let (mut attempts, mut under_way) = (0, Vec::new());
            for (ms, step, pick, asked, random) in steps {
                now += Duration::from_millis(ms);
                if step < 5 || under_way.is_empty() {
                    let pass = circuit.ask(now);
                    let probes = pass.map(|pass| matches!(pass, CircuitPass::Probe { .. }));
                    prop_assert_eq!(probes, history.admits(now), "{:#?}", history);
                    if let Some(pass) = pass {
                        under_way.push((attempts, pass));
                        history.0.push(Event { attempt: attempts, at: now, what: What::Admitted });
                        attempts += 1;
                    }
                    continue;
                }
                let (attempt, pass) = under_way.swap_remove(pick.index(under_way.len()));
                let what = match step {
                    5 => {
                        circuit.answered();
                        What::Answered
                    }
                    6 => {
                        circuit.give_back(pass);
                        What::GivenBack
                    }
                    _ => {
                        let asked = asked.map(Duration::from_secs);
                        circuit.failed(pass, now, asked, random);
                        What::Failed { asked, random }
                    }
                };
                history.0.push(Event { attempt, at: now, what });
            }
        }
    }
}
