//! Why a demo comes to no verdict.

use std::io;

use service::ConfigError;

use fleet::ProcessError;
use verify::VerifyError;

/// What can go wrong in a demo before the trips can be judged.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The configuration can't work.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A service does not do as it should.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The streams can't be read.
    #[error("checking what became of the trips: {0}")]
    Verify(#[from] VerifyError),
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// Stopping was asked for before there was anything to judge.
    #[error("interrupted before the services were ready")]
    Interrupted,
}

impl DemoError {
    /// What the operating system says to what was being done.
    pub(super) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}
