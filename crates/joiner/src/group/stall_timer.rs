//! Measures for how long a partition has not delivered what it has.

use std::time::{Duration, Instant};

/// Runs while a partition owes rows, or the event that its end is reached.
///
/// It starts when the partition is assigned, and again with every row. It stops at the end of the partition, and starts
/// again when the log grows behind that end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallTimer {
    /// Since when a row or the end of the partition is due.
    due_since: Option<Instant>,
    /// When the partition last delivered something.
    last: Instant,
    /// The end of the log that was the first answer after `last`.
    end: Option<i64>,
}

impl StallTimer {
    /// A partition that is read from now on. At least its end is due.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { due_since: Some(now), last: now, end: None }
    }

    /// Rows came. More of them are due, or the end.
    pub(crate) const fn rows(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// The end is reached. Nothing is due.
    pub(crate) const fn end(&mut self, now: Instant) {
        *self = Self { due_since: None, last: now, end: None };
    }

    /// Nothing could come until now: what is due is due from now on.
    pub(crate) fn excuse(&mut self, now: Instant) {
        *self = Self { due_since: self.due_since.map(|_| now), last: now, end: None };
    }

    /// Kafka was asked at `asked` where the log ends, and answered `end`.
    ///
    /// Two such answers show that the log has grown. An answer and the offset that is read next would not: only
    /// transaction markers may lie between them, and the consumer never sees those. When markers follow a row,
    /// librdkafka reports the end again after them.
    pub(crate) fn log_ends_at(&mut self, end: i64, asked: Instant, now: Instant) {
        if asked <= self.last {
            return;
        }
        if end > *self.end.get_or_insert(end) {
            self.due_since.get_or_insert(now);
        }
    }

    /// Since when something is due. None while the timer stands still.
    pub(crate) const fn due_since(&self) -> Option<Instant> {
        self.due_since
    }

    /// For how long something has been due.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        self.due_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a partition, each a second after the one before.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Rows,
        End,
        Excuse,
        /// It is asked where the log ends, and that is told at once.
        LogEnds(i64),
        /// Told now, but asked for two seconds ago.
        LogEndedBefore(i64),
        Nothing,
    }

    /// How many seconds something has been due at the end of it.
    fn silence(events: &[Event]) -> u64 {
        let start = Instant::now();
        let mut now = start;
        let mut stall_timer = StallTimer::new(start);
        for event in events {
            now += Duration::from_secs(1);
            match *event {
                Event::Rows => stall_timer.rows(now),
                Event::End => stall_timer.end(now),
                Event::Excuse => stall_timer.excuse(now),
                Event::LogEnds(end) => stall_timer.log_ends_at(end, now, now),
                Event::LogEndedBefore(end) => {
                    stall_timer.log_ends_at(
                        end,
                        now.checked_sub(Duration::from_secs(2)).unwrap(),
                        now,
                    );
                }
                Event::Nothing => {}
            }
        }
        stall_timer.elapsed(now).as_secs()
    }

    #[test]
    fn something_is_due_until_the_end_is_told_and_when_the_log_grows_behind_it() {
        use Event::{End, Excuse, LogEndedBefore, LogEnds, Nothing, Rows};
        let cases: &[(&str, &[Event], u64)] = &[
            ("the end is due after the assignment", &[Nothing, Nothing], 2),
            ("more is due after rows", &[Rows, Nothing, Nothing, Nothing], 3),
            ("nothing is due at the end", &[Rows, End, Nothing, Nothing], 0),
            ("nor while the log stays as it is", &[End, LogEnds(7), LogEnds(7), Nothing], 0),
            ("it has grown", &[End, LogEnds(7), LogEnds(8), Nothing], 1),
            ("it has grown, and goes on", &[End, LogEnds(7), LogEnds(8), LogEnds(9), Nothing], 2),
            ("what has grown came", &[End, LogEnds(7), LogEnds(8), Rows, End, Nothing], 0),
            ("grown before the end was told", &[LogEnds(7), End, LogEnds(8), Nothing], 0),
            ("asked before the end was told", &[End, LogEnds(7), End, LogEndedBefore(9)], 0),
            (
                "a first answer of old is no answer",
                &[End, LogEndedBefore(7), LogEnds(9), Nothing],
                0,
            ),
            ("nothing could come", &[Rows, Nothing, Excuse, Nothing], 1),
            ("the end stays told", &[End, Excuse, Nothing], 0),
        ];
        for (what, events, expected) in cases {
            assert_eq!(silence(events), *expected, "{what}");
        }
    }
}
