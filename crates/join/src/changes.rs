//! The form of the state in a changelog (rule 10).
//!
//! A [`Changes`] holds the present entries of some trips, and the state that a task has once: its watermarks and
//! its counts. A *delta* names the trips that changed since the delta before it. A *snapshot* names all trips, and so
//! is a delta to an empty task. A closed entry that the watermark drops is not named: whoever applies the delta applies
//! its watermark too, and that drops the entry again.

use models::{EventTime, Partition, TripId};
use serde::{Deserialize, Serialize};

use crate::Counters;
use crate::entry::{ClosedAs, ClosedTrip, OpenRow, OpenTrips, Span, TripEntry};
use crate::watermark::{InputWatermark, Watermark};

/// What the state of a task is now, in part (a delta) or as a whole (a snapshot).
///
/// To keep records small, `trips` may be spread over several with the same `task_state`; all of them
/// must be applied before the task is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<P> {
    /// State kept once per task.
    pub task_state: TaskState,
    /// Trips and all the entries they have now; none if the trip is gone. In no order, each once.
    pub trips: Vec<TripState<P>>,
}

/// State kept once per task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// The task.
    pub task: Partition,
    /// Of how many.
    pub tasks: Partition,
    /// Its watermark.
    pub watermark: EventTime,
    /// The watermark of each partition that it reads.
    pub inputs: Vec<InputWatermark>,
    /// By task, the watermark that it was told last; none of itself and of tasks that it never heard from.
    pub heard: Vec<Option<Watermark>>,
    /// How many rows met which fate.
    pub counters: Counters,
}

/// One trip in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TripState<P> {
    /// The trip.
    pub trip_id: TripId,
    /// Its entries, in the order in which they were opened.
    pub entries: Vec<EntryState<P>>,
}

/// One entry in the state (rule 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState<P> {
    /// It waits; these rows it has, in the order of [`Side::ALL`](models::Side::ALL). One or two.
    Open([Option<OpenRow<P>>; 3]),
    /// It was joined.
    Joined(Span),
    /// It was decided incomplete.
    Unmatched(Span),
}

/// One trip in the state where it stands: what a [`TripState`] says, without a copy.
#[derive(Debug)]
pub struct TripRef<'t, P> {
    trip_id: &'t TripId,
    entries: &'t [TripEntry],
    open: &'t OpenTrips<P>,
}

/// One entry of a [`TripRef`]: what an [`EntryState`] says.
#[derive(Debug)]
pub enum EntryRef<'t, P> {
    /// It waits; these rows it has, in the order of [`Side::ALL`](models::Side::ALL). One or two.
    Open([Option<&'t OpenRow<P>>; 3]),
    /// It was joined.
    Joined(Span),
    /// It was decided incomplete.
    Unmatched(Span),
}

impl<'t, P> TripRef<'t, P> {
    pub(crate) const fn new(
        trip_id: &'t TripId,
        entries: &'t [TripEntry],
        open: &'t OpenTrips<P>,
    ) -> Self {
        Self { trip_id, entries, open }
    }

    /// The trip.
    pub const fn trip_id(&self) -> &'t TripId {
        self.trip_id
    }

    /// Its entries, in the order in which they were opened; none if it is gone.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = EntryRef<'t, P>> + Clone + use<'t, P> {
        let open = self.open;
        self.entries.iter().map(move |entry| match entry {
            TripEntry::Open(key) => {
                EntryRef::Open(open.get(*key).rows.each_ref().map(Option::as_ref))
            }
            TripEntry::Closed(ClosedTrip { span, closed_as: ClosedAs::Joined }) => {
                EntryRef::Joined(*span)
            }
            TripEntry::Closed(ClosedTrip { span, closed_as: ClosedAs::Unmatched }) => {
                EntryRef::Unmatched(*span)
            }
        })
    }
}

/// Why a changelog can't be taken for the state of this task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It belongs to another task, or was written when trips were spread over another number of
    /// tasks and so had other homes.
    #[error(
        "restoring task {task} of {tasks}: the changelog was written by task {written_by} of {written_of}"
    )]
    OtherTask {
        /// The task to restore.
        task: Partition,
        /// Of how many.
        tasks: Partition,
        /// The task that wrote it.
        written_by: Partition,
        /// Of how many.
        written_of: Partition,
    },
    /// An open entry must have one or two rows.
    #[error("restoring task {task}: trip {trip_id} has an open entry with {rows} rows")]
    NotOpen {
        /// The task to restore.
        task: Partition,
        /// The trip.
        trip_id: TripId,
        /// How many rows the entry has.
        rows: usize,
    },
}
