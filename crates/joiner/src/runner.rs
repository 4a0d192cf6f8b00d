//! The thread of the join: one session after another.

use std::time::{Duration, Instant};

use service::{Pauses, with_causes};
use tracing::{error, info, warn};

use crate::JoinerError;
use crate::session::{Environment, Session, SessionError};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Works until shutdown is asked for, and opens a new session after each failure. It blocks, so it needs a thread of
/// its own.
///
/// # Errors
///
/// A failure that a new session can't mend.
pub(crate) fn run(env: &Environment) -> Result<(), JoinerError> {
    let shutdown = &env.ctx.shutdown;
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    while !shutdown.requested() {
        env.not_ready("connecting to Kafka");
        let mut commits = 0;
        let outcome = Session::open(env).and_then(|mut session| {
            let outcome = session.run();
            commits = session.commits();
            outcome
        });
        let Err(failure) = outcome else { return Ok(()) };
        env.not_ready(&with_causes(&failure));
        env.metrics.aborted();
        if failure.is_final() {
            return Err(JoinerError::Session(with_causes(&failure)));
        }
        if shutdown.requested() {
            warn!(error = %with_causes(&failure), "the last transaction was not committed; the next start does it again");
            return Ok(());
        }
        if commits > 0 {
            pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        }
        let pause = pauses.next().expect("they have no end");
        explain(&failure, pause);
        wait(env, pause);
    }
    Ok(())
}

fn explain(failure: &SessionError, pause: Duration) {
    let error = with_causes(failure);
    match failure {
        SessionError::Transaction(transaction) if transaction.is_fenced() => error!(
            error,
            ?pause,
            "this joiner's transaction has timed out, or another joiner runs under the same joiner.instance_id; \
             starting over from the last commit"
        ),
        SessionError::Restore(_) => info!(error, ?pause, "starting over"),
        _ => warn!(error, ?pause, "starting over from the last commit"),
    }
}

fn wait(env: &Environment, pause: Duration) {
    let started = Instant::now();
    while started.elapsed() < pause && !env.ctx.shutdown.requested() {
        std::thread::sleep(LOOK);
    }
}
