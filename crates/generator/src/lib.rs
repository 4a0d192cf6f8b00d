#![doc = include_str!("../README.md")]

mod address;
mod complete;
mod ride;
mod single;
mod stream;
mod text;

use chrono::{DateTime, Utc};
use models::records::{CompleteTrip, DriverEarning, Rider, Trip};

use crate::stream::Purpose;

/// Makes records from a seed. Copies make the same records.
///
/// ```
/// use chrono::DateTime;
///
/// let generator = generator::Generator::new(42);
/// let completion = DateTime::from_timestamp(1_763_853_229, 281_670_000).expect("in range");
/// let rows = generator.complete_trip(0, completion);
/// assert_eq!(rows.trip_data.driver_id, rows.driver_earning_data.driver_id);
/// assert_eq!(rows, generator.complete_trip(0, completion));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Generator {
    seed: u64,
}

impl Generator {
    /// A generator of the records of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed that it was made with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The three rows of trip number `index`, which was over at `completion`.
    ///
    /// Only the two times depend on `completion`; all else, the ids included, is the same whenever it is asked
    /// for.
    pub fn complete_trip(&self, index: u64, completion: DateTime<Utc>) -> CompleteTrip {
        complete::trip(&mut stream::of(self.seed, index, Purpose::CompleteTrip), completion)
    }

    /// A trip row on its own, with the values that `POST /api/generate-trip` fills in.
    pub fn trip(&self, index: u64, completion: DateTime<Utc>) -> Trip {
        single::trip(&mut stream::of(self.seed, index, Purpose::Trip), completion)
    }

    /// A driver row on its own, with the values that `POST /api/generate-driver-earning` fills in.
    pub fn driver_earning(&self, index: u64) -> DriverEarning {
        single::driver_earning(&mut stream::of(self.seed, index, Purpose::DriverEarning))
    }

    /// A rider row on its own, with the values that `POST /api/generate-rider` fills in.
    pub fn rider(&self, index: u64) -> Rider {
        single::rider(&mut stream::of(self.seed, index, Purpose::Rider))
    }
}
