//! What the API is asked for.

use std::fmt;

use serde::Serialize;

use crate::number::thousands;

/// Who asks for how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Load {
    /// What each request asks for.
    pub trips: u32,
    /// How many clients there are. Each sends its next request when it has the answer to the last.
    pub connections: u32,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trips, connections } = self;
        let s = if *trips == 1 { "" } else { "s" };
        write!(f, "{} trip{s}, {connections} at once", thousands(f64::from(*trips)))
    }
}
