//! Whether a run succeeded.

use std::fmt::Write as _;

use super::RunReport;
use super::summary::in_brackets;

/// A run that can't be called a success: requests failed or were cut off. Skipped ticks are no failure: the overrun
/// policy asked for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunFailed(String);

impl RunReport {
    /// Whether the run succeeded: every request that started was answered with the trips it asked for, and the joiner
    /// joined them, if that was waited for.
    ///
    /// # Errors
    ///
    /// [`RunFailed`] says how many were not, why, and what to look at.
    pub fn verdict(&self) -> Result<(), RunFailed> {
        let counts = &self.counts;
        let failed = counts.failed_total();
        if failed + counts.cut_off > 0 {
            let reasons = in_brackets(counts.failed.iter());
            let mut text = format!("{failed} of {} requests failed{reasons}", counts.started);
            if counts.cut_off > 0 {
                let cut_off = counts.cut_off;
                let _ = write!(text, ", {cut_off} cut off at the end of the shutdown timeout");
            }
            if let Some(failure) = &self.last_failure {
                let _ = write!(text, "; the last one: {failure}");
            }
            if counts.succeeded == 0 && counts.failed.keys().eq(["connect"]) {
                let _ = write!(text, "; does the producer API run at {}?", self.endpoint);
            }
            return Err(RunFailed(text));
        }
        match &self.joined {
            Some(joined) if joined.trips < joined.wanted => Err(RunFailed(format!(
                "the joiner joined {} of {} trips within {:.1} s (client.until_joined)",
                joined.trips, joined.wanted, joined.seconds
            ))),
            _ => Ok(()),
        }
    }
}
