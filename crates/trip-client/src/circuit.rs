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
    Probe,
}

/// The circuit of one API. It opens after so many attempts in a row that found nobody there, and closes with the first
/// answer, whatever that says.
#[derive(Debug)]
pub(crate) struct Circuit {
    open_after: u32,
    backoff: Backoff,
    failures: u32,
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
        Self { open_after, backoff, failures: 0, open: None }
    }

    /// May an attempt go at `now`? A probe must end in [`Circuit::answered`], [`Circuit::failed`] or
    /// [`Circuit::give_back`].
    pub(crate) fn ask(&mut self, now: Instant) -> Option<CircuitPass> {
        match &mut self.open {
            None => Some(CircuitPass::Free),
            Some(open) if !open.probing && now >= open.next_probe => {
                open.probing = true;
                Some(CircuitPass::Probe)
            }
            Some(_) => None,
        }
    }

    /// The attempt is not made after all.
    pub(crate) fn give_back(&mut self, pass: CircuitPass) {
        if let (CircuitPass::Probe, Some(open)) = (pass, &mut self.open) {
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
            (None, _) if self.failures >= self.open_after => 0,
            (Some(open), CircuitPass::Probe) => open.failed_probes.saturating_add(1),
            // One more that was sent before the circuit opened.
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
            (100, Some(CircuitPass::Probe)),
            (299, None),
            (300, Some(CircuitPass::Probe)),
            (599, None),
            (600, Some(CircuitPass::Probe)),
        ] {
            assert_eq!(circuit.ask(at(ms)), want, "at {ms} ms");
            assert_eq!(circuit.ask(at(ms)), None, "a second one at {ms} ms");
            if let Some(pass) = want {
                circuit.failed(pass, at(ms), None, 1.0);
            }
        }
        assert_eq!(circuit.ask(at(900)), Some(CircuitPass::Probe));
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
        assert_eq!(circuit.ask(later), Some(CircuitPass::Probe));
    }

    #[test]
    fn a_late_failure_from_before_the_outage_does_not_put_off_the_probe() {
        let start = Instant::now();
        let mut circuit = Circuit::new(1, BACKOFF);
        circuit.failed(CircuitPass::Free, start, None, 1.0);
        let probe_at = start + Duration::from_millis(100);
        circuit.failed(CircuitPass::Free, probe_at, None, 1.0);
        assert_eq!(circuit.ask(probe_at), Some(CircuitPass::Probe));
    }

    #[test]
    fn the_api_may_ask_for_a_longer_wait_up_to_the_limit() {
        for (asked_s, probe_ms) in [(0, 100), (1, 300)] {
            let start = Instant::now();
            let mut circuit = Circuit::new(1, BACKOFF);
            circuit.failed(CircuitPass::Free, start, Some(Duration::from_secs(asked_s)), 1.0);
            assert_eq!(circuit.ask(start + Duration::from_millis(probe_ms - 1)), None);
            let probe = circuit.ask(start + Duration::from_millis(probe_ms));
            assert_eq!(probe, Some(CircuitPass::Probe), "{asked_s} s");
        }
    }

    proptest! {
        #[test]
        fn while_open_at_most_one_attempt_is_under_way(
            steps in prop::collection::vec((0u64..200, 0u8..4), 1..200),
        ) {
            let mut circuit = Circuit::new(3, BACKOFF);
            let (mut now, mut probes) = (Instant::now(), 0u32);
            for (ms, step) in steps {
                now += Duration::from_millis(ms);
                match step {
                    0 => circuit.failed(CircuitPass::Free, now, None, 0.5),
                    1 if probes > 0 => {
                        probes = 0;
                        circuit.failed(CircuitPass::Probe, now, None, 0.5);
                    }
                    2 => {
                        probes = 0;
                        circuit.answered();
                    }
                    _ => probes += u32::from(circuit.ask(now) == Some(CircuitPass::Probe)),
                }
                prop_assert!(probes <= 1);
            }
        }
    }
}
