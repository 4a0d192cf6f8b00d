//! Saying once, not at each request, that the API stopped or began to answer: a state machine over outcomes.

use std::time::Duration;

use tokio::time::Instant;

/// At least that long between two notes.
const QUIET: Duration = Duration::from_secs(1);

/// Something worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// The first answer, or the first after failures.
    Answers,
    /// Failures, or failures of another kind than before.
    Fails,
}

/// What was last said about the API: why it fails (`None`: it answers), and when.
#[derive(Debug, Default)]
pub(crate) struct Outlook(Option<Said>);

#[derive(Debug)]
struct Said {
    reason: Option<String>,
    at: Instant,
}

impl Outlook {
    /// A request ended at `now`; `reason` is why it failed. Returns what to say now, if anything: an outcome of the
    /// kind last said is no news, and news within [`QUIET`] of the last are left to the next outcome.
    pub(crate) fn observe(&mut self, reason: Option<&str>, now: Instant) -> Option<Note> {
        if let Some(said) = &self.0
            && (said.reason.as_deref() == reason || now.duration_since(said.at) < QUIET)
        {
            return None;
        }
        self.0 = Some(Said { reason: reason.map(str::to_owned), at: now });
        Some(if reason.is_some() { Note::Fails } else { Note::Answers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_once_and_flapping_at_most_once_a_second() {
        let start = Instant::now();
        let mut outlook = Outlook::default();
        // (milliseconds, failure, what is said)
        for (ms, reason, want) in [
            (0, Some("connect"), Some(Note::Fails)),
            (100, Some("connect"), None),
            (5_000, Some("connect"), None),
            (5_100, None, Some(Note::Answers)),
            (5_200, Some("timeout"), None),
            (6_000, None, None),
            (6_200, Some("timeout"), Some(Note::Fails)),
            (7_300, Some("http_502"), Some(Note::Fails)),
            (8_400, None, Some(Note::Answers)),
        ] {
            let got = outlook.observe(reason, start + Duration::from_millis(ms));
            assert_eq!(got, want, "at {ms} ms: {reason:?}");
        }
    }
}
