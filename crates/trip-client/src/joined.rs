//! Waiting until the joiner has joined what a run has sent.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use service::Context;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::addresses;
use crate::client::http_for;
use crate::config::ClientConfig;
use crate::failure::root_cause;

/// The joiner's count of trips that are joined in committed transactions.
const COUNTER: &str = "tripstream_joiner_joined_total";
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A joiner that has joined nothing for so long, some commits, has nothing to do.
const STILL: Duration = Duration::from_millis(400);
/// How long a run waits at its start for a joiner that is at work on something else.
const SETTLE: Duration = Duration::from_secs(5);
/// How often it is looked at during a run: what a joiner joined between the last look and its end is not seen.
const FOLLOW: Duration = Duration::from_millis(250);
/// How long it is still looked at after a stop: some commits, and less than what is kept of the time for shutdown.
const LAST_LOOKS: Duration = Duration::from_millis(500);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// A joiner's count since [`JoinerWatch::start`]. It counts all trips that this joiner joins, whoever sent them; of
/// several joiners in one group it sees one.
#[derive(Debug)]
pub struct JoinerWatch {
    http: Client,
    metrics: Url,
    /// The counter when it was last read.
    seen: u64,
    joined: u64,
}

/// A watch that looks at the joiner while the run goes on, so that one that starts anew is noticed.
#[derive(Debug)]
pub(crate) struct Following {
    /// Dropped to end it.
    running: oneshot::Sender<()>,
    task: JoinHandle<JoinerWatch>,
}

impl Following {
    /// Stops looking; the watch goes on from there.
    pub(crate) async fn end(self) -> JoinerWatch {
        drop(self.running);
        self.task.await.expect("looking at a joiner does not panic")
    }
}

/// How a wait for the joiner ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinerWait {
    /// How many trips were confirmed and so had to be joined.
    pub wanted: u64,
    /// How many the joiner joined since the run began.
    pub trips: u64,
    /// How long that took after the last answer, in seconds.
    pub seconds: f64,
}

/// A joiner whose count can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read at {metrics} how many trips are joined: {reason}; does the joiner run there (client.joiner_url)?"
)]
pub struct JoinerError {
    metrics: String,
    reason: String,
}

impl JoinerWatch {
    /// Reads the count for the first time. A joiner that is catching up with other trips gets some seconds to finish;
    /// if it doesn't, a warning says that they will be counted.
    ///
    /// # Errors
    ///
    /// [`JoinerError`] if that fails.
    pub async fn start(config: &ClientConfig) -> Result<Self, JoinerError> {
        let unusable = |reason| JoinerError { metrics: config.joiner_url.clone(), reason };
        let metrics = addresses::joiner_metrics(&config.joiner_url)
            .map_err(|err| unusable(err.to_string()))?;
        let http = http_for(&metrics).build().map_err(|err| unusable(err.to_string()))?;
        let mut watch = Self { http, metrics, seen: 0, joined: 0 };
        watch.seen = watch.read().await?;
        let began = Instant::now();
        loop {
            sleep(STILL).await;
            let now = watch.read().await?;
            let before = std::mem::replace(&mut watch.seen, now);
            if before == watch.seen {
                return Ok(watch);
            }
            if began.elapsed() >= SETTLE {
                warn!("the joiner is joining other trips; those count as joined, too");
                return Ok(watch);
            }
        }
    }

    /// Looks from time to time, in a task of its own: requests are not to wait for it.
    pub(crate) fn follow(mut self) -> Following {
        let (running, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let next = async {
                    sleep(FOLLOW).await;
                    self.look().await
                };
                tokio::select! {
                    _ = &mut ended => return self,
                    // It may come back; the last looks tell if it does not.
                    looked = next => if let Err(err) = looked {
                        debug!("{err}");
                    },
                }
            }
        });
        Following { running, task }
    }

    /// Waits until `wanted` trips are joined since the start, for at most `limit`, and not much beyond a shutdown: what
    /// is joined already is counted.
    pub(crate) async fn wait(mut self, wanted: u64, limit: Duration, ctx: &Context) -> JoinerWait {
        let began = Instant::now();
        let limit_in_words = humantime::format_duration(limit);
        info!(trips = wanted, at_most = %limit_in_words, "waiting until the joiner has joined them");
        let until_joined = async {
            let mut told = false;
            while self.joined < wanted {
                if let Err(err) = self.look().await
                    && !told
                {
                    // It may come back.
                    warn!("{err}");
                    told = true;
                }
                if self.joined < wanted {
                    sleep(LOOK).await;
                }
            }
        };
        let stopped = async {
            ctx.shutdown.wait().await;
            sleep(LAST_LOOKS).await;
        };
        tokio::select! {
            _ = timeout(limit, until_joined) => {}
            () = stopped => {}
        }
        JoinerWait { wanted, trips: self.joined, seconds: began.elapsed().as_secs_f64() }
    }

    async fn look(&mut self) -> Result<(), JoinerError> {
        let now = self.read().await?;
        self.joined += increase(self.seen, now);
        self.seen = now;
        Ok(())
    }

    async fn read(&self) -> Result<u64, JoinerError> {
        let fail = |reason| JoinerError { metrics: self.metrics.to_string(), reason };
        let request = self.http.get(self.metrics.clone()).timeout(LOOK_TIMEOUT).send();
        let answer = request.await.map_err(|err| fail(root_cause(&err)))?;
        if !answer.status().is_success() {
            return Err(fail(format!("it answers {}", answer.status())));
        }
        let text = answer.text().await.map_err(|err| fail(root_cause(&err)))?;
        value_of(COUNTER, &text).ok_or_else(|| fail(format!("there is no {COUNTER}")))
    }
}

/// What a counter has grown between two looks; one that is less than before began anew with its process, as Prometheus'
/// `increase` takes it.
fn increase(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn value_of(counter: &str, metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == counter { value.trim().parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_by_its_whole_name() {
        let text = "# TYPE tripstream_joiner_joined counter\n\
                    tripstream_joiner_joined_total_x 7\n\
                    tripstream_joiner_joined_total 42\n# EOF\n";
        assert_eq!(value_of(COUNTER, text), Some(42));
        assert_eq!(value_of(COUNTER, "# EOF\n"), None);
    }

    #[test]
    fn a_joiner_that_starts_again_counts_from_zero() {
        for (before, now, want) in [(10, 10, 0), (10, 13, 3), (10, 4, 4), (10, 0, 0)] {
            assert_eq!(increase(before, now), want, "{before} then {now}");
        }
    }
}
