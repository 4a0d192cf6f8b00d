//! Where Kafka knows the producer from a record that it has acknowledged.
//!
//! A partition's leader takes any sequence number from a producer that it doesn't know. If it refused the first batch
//! (`NOT_LEADER_OR_FOLLOWER`) and took the second, which was on its way already, the first could not be written any more,
//! and librdkafka would count it as acknowledged with the second (`rd_kafka_dr_implicit_ack`). So the first record
//! travels alone, and all others wait until it is acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use models::{Partition, Side};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A partition of the topic of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SidePartition {
    pub(super) side: Side,
    pub(super) partition: Partition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    /// A first record is on its way.
    Introduced,
    Known,
}

/// What may be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// It may be sent.
    Send,
    /// It may be sent as the first one of its partition; its report has to be [noted](KnownPartitions::note).
    SendFirst,
    /// It has to wait until something [changes](KnownPartitions::changed).
    Wait,
}

/// What is known of all partitions that are written.
#[derive(Debug)]
pub(super) struct KnownPartitions {
    /// By side and partition.
    states: Mutex<[Vec<State>; 3]>,
    /// How many are not known.
    unknown: AtomicUsize,
    change: Notify,
}

impl KnownPartitions {
    /// Of topics with so many partitions, none of which knows the producer; by [`Side::index`].
    pub(super) fn new(partitions: [Partition; 3]) -> Self {
        let states =
            partitions.map(|count| vec![State::Unknown; usize::try_from(count).unwrap_or(0)]);
        let unknown = AtomicUsize::new(states.iter().map(Vec::len).sum());
        Self { states: Mutex::new(states), unknown, change: Notify::new() }
    }

    /// Whether every record may be sent.
    pub(super) fn all(&self) -> bool {
        self.unknown.load(Ordering::Acquire) == 0
    }

    /// Asks for leave to send a record.
    pub(super) fn ask(&self, place: SidePartition) -> Permit {
        let mut states = self.lock();
        let state = &mut states[place.side.index()][place.partition as usize];
        match state {
            State::Known => Permit::Send,
            State::Introduced => Permit::Wait,
            State::Unknown => {
                *state = State::Introduced;
                Permit::SendFirst
            }
        }
    }

    /// Notes whether a first record was acknowledged. If not, another one is to be the first.
    pub(super) fn note(&self, place: SidePartition, acknowledged: bool) {
        {
            let mut states = self.lock();
            let state = &mut states[place.side.index()][place.partition as usize];
            debug_assert_eq!(*state, State::Introduced, "{place:?}");
            *state = if acknowledged { State::Known } else { State::Unknown };
        }
        if acknowledged {
            self.unknown.fetch_sub(1, Ordering::Release);
        }
        self.change.notify_waiters();
    }

    /// Ends when a first record has its report. To be made before [`KnownPartitions::ask`] is asked, so that none is
    /// missed.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.change.notified()
    }

    fn lock(&self) -> MutexGuard<'_, [Vec<State>; 3]> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_goes_first_and_the_others_when_it_has_arrived() {
        let known = KnownPartitions::new([2, 1, 1]);
        let places = [(Side::Trip, 0), (Side::Trip, 1), (Side::Driver, 0), (Side::Rider, 0)]
            .map(|(side, partition)| SidePartition { side, partition });
        for place in places {
            assert!(!known.all());
            assert_eq!(known.ask(place), Permit::SendFirst);
            assert_eq!(known.ask(place), Permit::Wait);
            known.note(place, false);
            assert_eq!(known.ask(place), Permit::SendFirst, "another one tries");
            known.note(place, true);
            assert_eq!([known.ask(place), known.ask(place)], [Permit::Send; 2]);
        }
        assert!(known.all());
    }
}
