//! Waking at an instant, to some tens of microseconds, without burning a core.
//!
//! tokio's timers count in milliseconds and round up: with them a tick comes 1 to 2 ms late. A thread of its own waits
//! here with a time-out of the kernel, which on Linux is a high-resolution timer, late by the thread's timer slack of
//! 50 µs (prctl(2), `PR_SET_TIMERSLACK`). It wakes once a little before, so that the processor has left its deeper idle
//! states when the instant comes.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long before the instant the coarse wait ends.
const JUST_BEFORE: Duration = Duration::from_millis(1);

/// What a pace waits with.
pub(crate) trait Wake {
    /// Waits until `at`. Safe to drop and call again.
    fn until(&mut self, at: Instant) -> impl Future<Output = ()> + Send;
}

/// A thread that waits for the instants it is given. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    set: Sender<Instant>,
    /// The last instant that the thread has reached.
    rung: watch::Receiver<Option<Instant>>,
    armed: Option<Instant>,
}

impl Alarm {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (set, instants) = channel();
        let (ring, rung) = watch::channel(None);
        thread::Builder::new().name("alarm".to_owned()).spawn(move || serve(&instants, &ring))?;
        Ok(Self { set, rung, armed: None })
    }
}

impl Wake for Alarm {
    async fn until(&mut self, at: Instant) {
        if Instant::now() >= at {
            return;
        }
        if self.armed != Some(at) {
            self.armed = Some(at);
            self.set.send(at).expect("the thread lives as long as the sender");
        }
        let rung = self.rung.wait_for(|rung| *rung == Some(at)).await;
        rung.expect("the thread lives as long as the sender");
    }
}

/// Reaches one instant after the other; a new one takes the place of one that is still waited for.
fn serve(instants: &Receiver<Instant>, ring: &watch::Sender<Option<Instant>>) {
    while let Ok(mut at) = instants.recv() {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let coarse = left.saturating_sub(JUST_BEFORE);
            match instants.recv_timeout(if coarse.is_zero() { left } else { coarse }) {
                Ok(sooner) => at = sooner,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        ring.send_replace(Some(at));
    }
}

/// tokio's timer, for tests in paused time.
#[cfg(test)]
pub(crate) struct RuntimeTimer;

#[cfg(test)]
impl Wake for RuntimeTimer {
    async fn until(&mut self, at: Instant) {
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn it_rings_never_before_the_instant() {
        let mut alarm = Alarm::start().unwrap();
        for micros in [0, 1, 300, 1_000, 1_500, 5_000, 20_000] {
            let at = Instant::now() + Duration::from_micros(micros);
            timeout(DEADLINE, alarm.until(at)).await.expect("it rings");
            assert!(Instant::now() >= at, "{micros} µs");
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_is_taken_up_again() {
        let mut alarm = Alarm::start().unwrap();
        let at = Instant::now() + Duration::from_millis(30);
        for _ in 0..3 {
            let _ = timeout(Duration::from_millis(1), alarm.until(at)).await;
        }
        timeout(DEADLINE, alarm.until(at)).await.expect("it rings");
        assert!(Instant::now() >= at);
    }

    #[tokio::test]
    async fn a_new_instant_takes_the_place_of_a_far_one() {
        let mut alarm = Alarm::start().unwrap();
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(timeout(Duration::from_millis(5), alarm.until(far)).await.is_err());
        let near = Instant::now() + Duration::from_millis(5);
        timeout(DEADLINE, alarm.until(near)).await.expect("it rings");
    }
}
