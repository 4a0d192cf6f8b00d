//! How many connections the operating system lets this process have: each takes a file descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Descriptors that are not for clients: files, and connections to Kafka and the registry.
const OTHERS: usize = 200;
/// The same for each worker thread: its event loop, and the connection more that rounding up gives it.
const OTHERS_PER_WORKER: usize = 8;

/// Takes as many descriptors as the process may have, and says how many connections `workers` threads can serve: those
/// wanted, or as many as fit. A soft limit of 1,024 is usual, for the sake of programs that call `select`; none does here.
pub(crate) fn connections(wanted: usize, workers: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            debug!(%error, "the limit of open files stays as it is");
        }
    }
    let limit = getrlimit(Resource::Nofile).current;
    let fitting = fitting(wanted, workers, limit);
    if fitting < wanted {
        warn!(
            max_connections = wanted,
            open_files = limit,
            serving = fitting,
            "producer.max_connections is more than the process may have open (ulimit -Hn)"
        );
    }
    fitting
}

/// How many of the connections fit into `limit` descriptors, at least one.
fn fitting(wanted: usize, workers: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    wanted.min(limit.saturating_sub(OTHERS + workers * OTHERS_PER_WORKER)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_than_descriptors_are_left_for() {
        for (wanted, workers, limit, expected) in [
            (25_000, 2, None, 25_000),
            (25_000, 2, Some(1_048_576), 25_000),
            (25_000, 2, Some(25_216), 25_000),
            (25_000, 2, Some(25_215), 24_999),
            (25_000, 2, Some(1_024), 808),
            (100, 2, Some(1_024), 100),
            (25_000, 64, Some(1_024), 312),
            (25_000, 2, Some(100), 1),
            (usize::MAX, 512, Some(u64::MAX), usize::MAX - 4_296),
        ] {
            assert_eq!(fitting(wanted, workers, limit), expected, "{wanted} {workers} {limit:?}");
        }
    }
}
