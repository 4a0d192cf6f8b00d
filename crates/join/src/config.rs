//! What the rules of the join can be set to, and which task of how many this is.

use std::time::Duration;

use models::{Partition, Side};
use serde::{Deserialize, Serialize};

/// The longest time any setting may have: far from where milliseconds in an `i64` overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What becomes of a row whose side of its trip is already taken. The first row wins either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// It is dropped and counted.
    #[default]
    Drop,
    /// It is rejected with [`RejectReason::Duplicate`](crate::RejectReason::Duplicate).
    Reject,
}

/// The settings of the rules. Times count in whole milliseconds; what is below one is cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinConfig {
    /// How far apart the rows of one trip may be, the bound included (rule 1). 1 ms to 366 days.
    pub window: Duration,
    /// How far a row may be behind the largest timestamp of its partition and still be on time
    /// (rule 4). 0 to 366 days.
    pub grace: Duration,
    /// How long nothing must come from a partition that is read to its end before the watermark no
    /// longer waits for it (rule 4). 1 ms to 366 days.
    pub idle: Duration,
    /// How far ahead of the wall clock a row may be, the bound included (rule 6). 0 to 366 days.
    pub max_future: Duration,
    /// How far a partition may run ahead of the task's watermark before
    /// [`Task::inputs_ahead`](crate::Task::inputs_ahead) names it (rule 11). 1 ms to 366 days.
    pub max_skew: Duration,
    /// What becomes of duplicates (rule 3).
    pub duplicates: Duplicates,
    /// How large the state of one task may become (rule 11). At least 1.
    pub max_state_bytes: usize,
    /// Whether changes are collected for [`Task::drain_delta`](crate::Task::drain_delta) (rule 10).
    /// If so it must be called regularly: what nobody takes piles up.
    pub changelog: bool,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(60),
            idle: Duration::from_secs(5),
            max_future: Duration::from_secs(10 * 60),
            max_skew: Duration::from_secs(10 * 60),
            duplicates: Duplicates::Drop,
            max_state_bytes: 512 * 1024 * 1024,
            changelog: false,
        }
    }
}

/// Why a task can't be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A time is too short to mean anything.
    #[error("{setting} must be at least 1 ms, it is {value:?}")]
    TooShort {
        /// The field of [`JoinConfig`].
        setting: &'static str,
        /// What it was.
        value: Duration,
    },
    /// A time is longer than 366 days.
    #[error("{setting} must be at most 366 days, it is {value:?}")]
    TooLong {
        /// The field of [`JoinConfig`].
        setting: &'static str,
        /// What it was.
        value: Duration,
    },
    /// No state would fit.
    #[error("max_state_bytes must be at least 1")]
    NoState,
    /// There is no such task.
    #[error("there is no task {task} of {tasks}")]
    NoSuchTask {
        /// The number that was asked for.
        task: Partition,
        /// How many there are.
        tasks: Partition,
    },
}

/// The settings as the rules use them: checked, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct CheckedConfig {
    pub(crate) window_ms: i64,
    pub(crate) grace_ms: i64,
    pub(crate) idle_ms: i64,
    pub(crate) max_future_ms: i64,
    pub(crate) max_skew_ms: i64,
    pub(crate) duplicates: Duplicates,
    pub(crate) max_state_bytes: usize,
}

impl JoinConfig {
    /// Says whether a task can be set up with these settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), SetupError> {
        self.rules().map(drop)
    }

    pub(crate) fn rules(&self) -> Result<CheckedConfig, SetupError> {
        let at_least_one = |setting, value: Duration| match millis(setting, value)? {
            0 => Err(SetupError::TooShort { setting, value }),
            ms => Ok(ms),
        };
        if self.max_state_bytes == 0 {
            return Err(SetupError::NoState);
        }
        Ok(CheckedConfig {
            window_ms: at_least_one("window", self.window)?,
            grace_ms: millis("grace", self.grace)?,
            idle_ms: at_least_one("idle", self.idle)?,
            max_future_ms: millis("max_future", self.max_future)?,
            max_skew_ms: at_least_one("max_skew", self.max_skew)?,
            duplicates: self.duplicates,
            max_state_bytes: self.max_state_bytes,
        })
    }
}

fn millis(setting: &'static str, value: Duration) -> Result<i64, SetupError> {
    if value > LONGEST {
        return Err(SetupError::TooLong { setting, value });
    }
    Ok(value.as_millis() as i64)
}

/// Which task this is, of how many, and what it reads (rule 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLayout {
    task: Partition,
    tasks: Partition,
    inputs: Vec<(Side, Partition)>,
}

impl TaskLayout {
    /// Task number `task` of `tasks`, where the three inputs have `partitions` partitions, in the
    /// order of [`Side::ALL`].
    ///
    /// The task reads partition `p` of an input if `p` mod `tasks` is its number. `tasks` is meant
    /// to be the largest of the counts; with that it reads at most one partition of each input,
    /// and none of an input that has fewer.
    ///
    /// # Errors
    ///
    /// [`SetupError::NoSuchTask`] unless 0 <= `task` < `tasks`.
    pub fn new(
        task: Partition,
        tasks: Partition,
        partitions: [Partition; 3],
    ) -> Result<Self, SetupError> {
        if task < 0 || task >= tasks {
            return Err(SetupError::NoSuchTask { task, tasks });
        }
        let inputs = Side::ALL
            .into_iter()
            .flat_map(|side| (0..partitions[side.index()]).map(move |p| (side, p)))
            .filter(|(_, partition)| partition % tasks == task)
            .collect();
        Ok(Self { task, tasks, inputs })
    }

    /// The number of this task, which is its partition of the repartition topic.
    pub const fn task(&self) -> Partition {
        self.task
    }

    /// How many tasks there are.
    pub const fn tasks(&self) -> Partition {
        self.tasks
    }

    /// The partitions that the task reads.
    pub fn inputs(&self) -> &[(Side, Partition)] {
        &self.inputs
    }
}
