//! Under what circumstances a comparison was made.

use std::fmt;
use std::thread;
use std::time::SystemTime;

/// Under what circumstances a comparison was made.
#[derive(Debug)]
pub(super) struct Circumstances {
    pub(super) os: &'static str,
    pub(super) cores: usize,
    pub(super) optimized: bool,
    /// Whether it is the short one.
    pub(super) quick: bool,
    /// How often each scenario ran.
    pub(super) repeat: u32,
    /// When: RFC 3339, UTC.
    pub(super) made_at: String,
}

impl Circumstances {
    /// Those of this machine and this moment.
    pub(super) fn here_and_now(quick: bool, repeat: u32) -> Self {
        Self {
            os: std::env::consts::OS,
            cores: thread::available_parallelism().map_or(1, usize::from),
            optimized: !cfg!(debug_assertions),
            quick,
            repeat,
            made_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }
}

impl fmt::Display for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, cores, optimized, quick, repeat, made_at } = self;
        let built = if *optimized {
            "built for speed"
        } else {
            "built without optimisation, so that times and costs say little"
        };
        write!(f, "Made on {os} with {cores} cores, {built}; {made_at}.")?;
        if *quick {
            f.write_str(
                " This is the short run: enough to see that all works, too short for percentiles.",
            )?;
        }
        if *repeat > 1 {
            write!(
                f,
                " All scenarios ran {repeat} times, in turn. Tables have the median (min–max) of that, and only one \
                 number where all are equal; plots show the first time."
            )?;
        }
        Ok(())
    }
}
