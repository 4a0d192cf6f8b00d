//! Which partition a record is read from.

use models::{Partition, Side};

/// A partition that the joiner consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SourcePartition {
    /// A partition of an input.
    Input(Side, Partition),
    /// A partition of the repartition topic.
    Repartition(Partition),
}

impl SourcePartition {
    /// Its number in its topic.
    pub(crate) const fn number(self) -> Partition {
        match self {
            Self::Input(_, partition) | Self::Repartition(partition) => partition,
        }
    }

    /// The task that reads it, of `tasks`.
    pub(crate) const fn task(self, tasks: Partition) -> usize {
        match self {
            Self::Input(_, partition) => (partition % tasks) as usize,
            Self::Repartition(partition) => partition as usize,
        }
    }
}
