//! How far and how long rides are, and what the rider makes of it: the distributions of the contract.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::stream::Stream;
use crate::text::cents;

/// Shortest and longest ride, in miles.
pub(crate) const MILES: (f64, f64) = (1.0, 65.0);

/// The minutes that a rider is told are between these.
pub(crate) const RIDER_MINUTES: (u32, u32) = (15, 60);

/// The ride, as driver and rider share it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ride {
    /// To the hundredth, 1 to 65.
    pub(crate) miles: f64,
    /// 1 to 162.5.
    pub(crate) minutes: f64,
}

impl Ride {
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        let miles = mileage(stream);
        Self { miles, minutes: miles * stream.random_range(1.0..2.5) }
    }

    /// As the trip row says.
    pub(crate) fn whole_miles(self) -> u32 {
        self.miles.round() as u32
    }

    /// As the trip row says.
    pub(crate) fn whole_minutes(self) -> u32 {
        self.minutes.round() as u32
    }

    /// 80 % of 2.00 a mile and 20 % of 0.50 a minute, of what the trip row says.
    pub(crate) fn earnings(self) -> f64 {
        // In dimes, so that no rounding error is paid out.
        f64::from(self.whole_miles() * 16 + self.whole_minutes()) / 10.0
    }

    /// How long the ride took for the rider.
    ///
    /// The contract draws this from 15..=60 whatever the trip row says, which is often less than 15 minutes and
    /// sometimes far more than 60. Both can't be had. So the distribution is kept, and the story as far as it
    /// goes: the ride has the same rank among all riders' minutes as it has among all rides.
    pub(crate) fn rider_minutes(self) -> u32 {
        RIDER_MINUTES.0 + RANKS.partition_point(|minutes| *minutes <= self.minutes) as u32
    }
}

/// The rides' minutes at the quantiles 1/46 .. 45/46, found by integrating the distribution of [`mileage`] over
/// that of the pace. They cut all rides into 46 equal parts, one for each of 15..=60.
const RANKS: [f64; 45] = [
    2.443, 3.467, 4.224, 4.872, 5.462, 6.019, 6.555, 7.078, 7.594, 8.105, 8.616, 9.127, 9.643,
    10.164, 10.691, 11.228, 11.774, 12.332, 12.904, 13.491, 14.096, 14.721, 15.369, 16.042, 16.743,
    17.476, 18.246, 19.058, 19.920, 20.840, 21.828, 22.896, 24.061, 25.346, 26.779, 28.403, 30.279,
    32.502, 35.226, 38.713, 43.524, 50.651, 61.117, 75.447, 97.639,
];

/// 10 % uniform(15, 65), 30 % normal(10, 5), 60 % log-normal(2, 0.7); within [`MILES`], to the hundredth.
fn mileage(stream: &mut Stream) -> f64 {
    let kind: f64 = stream.random();
    let miles: f64 = if kind < 0.1 {
        stream.random_range(15.0..65.0)
    } else {
        let normal: f64 = StandardNormal.sample(stream);
        if kind < 0.4 { 10.0 + 5.0 * normal } else { (2.0 + 0.7 * normal).exp() }
    };
    (miles.clamp(MILES.0, MILES.1) * 100.0).round() / 100.0
}

/// What the rider was told, paid and thought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RiderView {
    pub(crate) estimate_minutes: u32,
    pub(crate) initial_fare_estimate: f64,
    pub(crate) final_adjusted_fare: f64,
    pub(crate) payment_status: &'static str,
    pub(crate) rating: i32,
}

impl RiderView {
    /// The view of a rider whose ride took `minutes`.
    pub(crate) fn draw(stream: &mut Stream, minutes: u32) -> Self {
        let minutes = minutes.cast_signed();
        let error: f64 = stream.random_range(-5.0..5.0);
        let estimate = minutes + error.round() as i32;
        let initial_fare_estimate = fare(stream, estimate);
        let final_adjusted_fare = fare(stream, minutes);
        let payment_status = if stream.random_bool(0.99) { "Completed" } else { "Refunded" };
        let delay = minutes - estimate;
        let rating = if delay <= 0 { stream.random_range(4..=5) } else { 5 - delay.min(4) };
        Self {
            estimate_minutes: estimate.cast_unsigned(),
            initial_fare_estimate,
            final_adjusted_fare,
            payment_status,
            rating,
        }
    }
}

/// 0.50 a minute, give or take a dollar.
fn fare(stream: &mut Stream, minutes: i32) -> f64 {
    cents(f64::from(minutes) * 0.5 + stream.random_range(-1.0..1.0))
}
