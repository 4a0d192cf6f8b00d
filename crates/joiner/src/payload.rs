//! What a row carries through the join.

use std::sync::Arc;

use models::records::{DriverEarning, Rider, Trip};

/// A decoded record.
///
/// A row must be decoded when it comes, to find its trip and to tell whether it is valid; so the record is kept
/// rather than its bytes, and nothing is decoded again when the trip is complete. The changelog pays for
/// that by encoding it, but only for rows that are still open when a transaction commits, which are few.
/// It is shared, because the changelog takes a copy of what is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payload {
    Trip(Arc<Trip>),
    Driver(Arc<DriverEarning>),
    Rider(Arc<Rider>),
}

impl join::Payload for Payload {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Trip(trip) => {
                let Trip { trip_id, driver_id, duration, mileage, .. } = &**trip;
                let Trip { pickup_location, destination_location, .. } = &**trip;
                let Trip { start_time, completion_time, .. } = &**trip;
                let texts = [trip_id, driver_id, duration, mileage]
                    .into_iter()
                    .chain([pickup_location, destination_location])
                    .chain(start_time)
                    .chain(completion_time);
                size_of::<Trip>() + texts.map(String::len).sum::<usize>()
            }
            Self::Driver(driver) => {
                size_of::<DriverEarning>() + driver.driver_id.len() + driver.trip_id.len()
            }
            Self::Rider(rider) => {
                let Rider { rider_id, trip_id, duration_estimate, payment_status, .. } = &**rider;
                let texts = [rider_id, trip_id, duration_estimate, payment_status];
                size_of::<Rider>() + texts.map(String::len).iter().sum::<usize>()
            }
        }
    }
}

/// The record behind `shared`: itself if nobody else holds it, a copy otherwise.
pub(crate) fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::unwrap_or_clone(shared)
}
