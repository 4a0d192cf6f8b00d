//! The trips of a task, by id.

use std::hash::{BuildHasher, BuildHasherDefault};

use hashbrown::HashTable;
use models::TripId;
use rustc_hash::FxHasher;
use slab::Slab;

use crate::entry::TripEntries;
use crate::keys::TripKey;

/// A trip that the task knows of.
#[derive(Debug)]
pub(crate) struct KnownTrip {
    pub(crate) id: TripId,
    pub(crate) entries: TripEntries,
    /// Whether it stands in the list of changed trips.
    pub(crate) changed: bool,
}

/// Finding a trip touches its id only if all 64 bits of its hash are right, and growing touches no trip at all: there
/// may be millions, and each touch is a miss in every cache.
#[derive(Debug, Default)]
pub(crate) struct TripIndex {
    by_hash: HashTable<HashedKey>,
    trips: Slab<KnownTrip>,
}

#[derive(Debug, Clone, Copy)]
struct HashedKey {
    hash: u64,
    key: TripKey,
}

/// The same in every process, as what is restored must stand in the same order.
pub(crate) fn hash_of(id: &TripId) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(id.as_str())
}

impl TripIndex {
    /// The trip `id`, whose hash is `hash`.
    pub(crate) fn find(&self, hash: u64, id: &TripId) -> Option<TripKey> {
        let is_it = |place: &HashedKey| place.hash == hash && self.get(place.key).id == *id;
        self.by_hash.find(hash, is_it).map(|place| place.key)
    }

    /// Takes in a trip that is not there, without entries as yet.
    pub(crate) fn insert(&mut self, hash: u64, id: TripId) -> TripKey {
        let trip = KnownTrip { id, entries: TripEntries::new(), changed: false };
        let key = self.trips.insert(trip);
        let key = TripKey(u32::try_from(key).expect("fewer than 2^32 trips"));
        self.by_hash.insert_unique(hash, HashedKey { hash, key }, |place| place.hash);
        key
    }

    /// Takes out a trip that is there.
    pub(crate) fn remove(&mut self, key: TripKey) -> KnownTrip {
        let trip = self.trips.remove(key.0 as usize);
        let place = self.by_hash.find_entry(hash_of(&trip.id), |place| place.key == key);
        place.expect("every trip has its place").remove();
        trip
    }

    /// The trip that is kept at `key` now, if there is one.
    pub(crate) fn at(&self, key: TripKey) -> Option<&KnownTrip> {
        self.trips.get(key.0 as usize)
    }

    /// A trip that is there.
    pub(crate) fn get(&self, key: TripKey) -> &KnownTrip {
        &self.trips[key.0 as usize]
    }

    /// A trip that is there.
    pub(crate) fn get_mut(&mut self, key: TripKey) -> &mut KnownTrip {
        &mut self.trips[key.0 as usize]
    }

    /// All trips, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KnownTrip> {
        self.trips.iter().map(|(_, trip)| trip)
    }
}
