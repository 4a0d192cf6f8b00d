//! Waiting for something that a broker does eventually.

use std::time::{Duration, Instant};

/// Repeats a question until there is an answer.
///
/// # Panics
///
/// If there is none within `deadline`.
pub fn within<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
