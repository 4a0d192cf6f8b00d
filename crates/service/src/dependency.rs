//! What a service can't work without, such as Kafka: waited for at the start, watched from then on.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use tracing::{info, warn};

use crate::pauses::Pauses;
use crate::{Health, with_causes};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One check in `/health/ready`, kept current by asking what it is about. Each change is logged.
#[derive(Debug, Clone)]
pub struct Dependency {
    check: &'static str,
    health: Health,
}

impl Dependency {
    /// What the check `check` is about.
    pub fn new(check: &'static str, health: &Health) -> Self {
        Self { check, health: health.clone() }
    }

    /// Makes attempts, with growing pauses, until one succeeds or fails for another reason than an outage. Drop the
    /// future to give up.
    ///
    /// # Errors
    ///
    /// The first error that is no outage.
    pub async fn reached<T, E, F>(
        &self,
        mut attempt: impl FnMut() -> F,
        is_outage: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let mut is_first = true;
        for pause in Pauses::new(FIRST_PAUSE, LONGEST_PAUSE) {
            match attempt().await {
                Ok(reached) => {
                    self.note(Ok(()), false);
                    return Ok(reached);
                }
                Err(error) if is_outage(&error) => self.note(Err(with_causes(&error)), is_first),
                Err(error) => return Err(error),
            }
            is_first = false;
            tokio::time::sleep(pause).await;
        }
        unreachable!("there is always another pause")
    }

    /// Asks at once and then after each `period`, for as long as it is polled. The error of `ask` is a line for people.
    pub async fn watch<F>(&self, period: Duration, mut ask: impl FnMut() -> F) -> Infallible
    where
        F: Future<Output = Result<(), String>>,
    {
        loop {
            self.note(ask().await, false);
            tokio::time::sleep(period).await;
        }
    }

    /// Sets the check. Logs it if it changes between working and failing, and the first failure in any case: a service
    /// may say that it is not ready before it has tried.
    fn note(&self, outcome: Result<(), String>, is_first: bool) {
        let check = self.check;
        let reason = outcome.as_ref().err().cloned();
        let changed = self.health.set(check, outcome);
        match reason {
            Some(reason) if changed || is_first => {
                warn!(check, "{reason}; trying again until it works");
            }
            None if changed => info!(check, "connected"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    #[error("attempt {0}")]
    struct Attempt(u32);

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_for_and_told() {
        let health = Health::new();
        let kafka = Dependency::new("kafka", &health);
        let attempts = AtomicU32::new(0);
        let attempt = || {
            let number = attempts.fetch_add(1, Ordering::Relaxed);
            let last = attempts.load(Ordering::Relaxed) > 1;
            let told = health.checks();
            async move {
                if last {
                    assert_eq!(told["kafka"], Err("attempt 0".to_owned()));
                    return Ok(number);
                }
                Err(Attempt(number))
            }
        };
        assert_eq!(kafka.reached(attempt, |_| true).await, Ok(1));
        assert!(health.is_ready());
        let failed = async || Err::<(), _>(Attempt(7));
        assert_eq!(kafka.reached(failed, |_| false).await, Err(Attempt(7)));
    }
}
