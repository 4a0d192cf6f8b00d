//! Why a demo comes to no verdict.

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
    Process(ProcessError),
    /// The streams can't be read.
    #[error("checking what became of the trips: {0}")]
    Verify(#[from] VerifyError),
    /// Stopping was asked for before there was anything to judge.
    #[error("interrupted before the services were ready")]
    Interrupted,
}

impl From<ProcessError> for DemoError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted => Self::Interrupted,
            error => Self::Process(error),
        }
    }
}
