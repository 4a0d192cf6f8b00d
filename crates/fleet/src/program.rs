//! The programs that a fleet consists of.

use std::path::PathBuf;

use crate::error::ProcessError;

/// A program of this workspace that runs until it is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Kafka and a schema registry for development.
    Devstack,
    /// The HTTP API.
    ProducerApi,
    /// The join.
    Joiner,
    /// The scheduler that follows a calendar.
    SchedulerCron,
    /// The scheduler that follows a timeline.
    SchedulerLoop,
}

impl Program {
    /// The name of the binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Devstack => "devstack",
            Self::ProducerApi => "producer-api",
            Self::Joiner => "joiner",
            Self::SchedulerCron => "scheduler-cron",
            Self::SchedulerLoop => "scheduler-loop",
        }
    }

    /// A key of the section of the configuration that is its own.
    pub fn key(self, key: &str) -> String {
        let section = match self {
            Self::Devstack => "devstack",
            Self::ProducerApi => "producer",
            Self::Joiner => "joiner",
            Self::SchedulerCron => "scheduler_cron",
            Self::SchedulerLoop => "scheduler_loop",
        };
        format!("{section}.{key}")
    }

    /// Where it must be: beside the program that runs.
    ///
    /// # Errors
    ///
    /// [`ProcessError::NotBuilt`] if it is not there.
    pub(crate) fn binary(self) -> Result<PathBuf, ProcessError> {
        let name = self.name();
        let own = std::env::current_exe();
        let own =
            own.map_err(ProcessError::system("finding out where this program is beside", name))?;
        let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if path.is_file() { Ok(path) } else { Err(ProcessError::NotBuilt { name, path }) }
    }
}
