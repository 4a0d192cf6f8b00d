//! Waiting for a condition, with a deadline: the tests' only way to wait.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(50);

/// Asks `condition` until it answers something, and returns that.
///
/// # Panics
///
/// After `deadline`, saying `what` did not happen.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}
